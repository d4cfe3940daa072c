"""Maintenance: what is seen is stored and shown, and is part of no rate and no alarm."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from dashboard.alerts import silences
from dashboard.alerts.models import Incident, RuleKind, Silence
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.pipeline.answers import Answer, own_fault
from dashboard.pipeline.answers import answer as answer_of
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.services import Spent
from dashboard.probes.taxonomy import ErrorClass
from dashboard.rollups.models import Level, Rollup
from tests.alerts.conftest import after, make_recipient
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db


def maintain(start_s: float, end_s: float, **fields: object) -> Silence:
    return Silence.objects.create(
        starts_at=after(start_s),
        ends_at=after(end_s),
        reason="new version",
        maintenance=True,
        **fields,
    )


def failure(probe: Probe, seconds: float) -> Answer:
    ask = prepare(probe, Spent())
    detail, at = "HTTP 500", after(seconds)
    return answer_of(ask, own_fault(ask, ErrorClass.SERVER_ERROR, detail, at))


def test_outcomes_are_stored_and_left_out_of_the_rates() -> None:
    """A-59, A-01: by when the run started, half-open."""
    probe = make_probe(make_team())
    maintain(60, 120, team=probe.team)
    recorder = Recorder()
    for seconds in (59, 60, 119, 120):
        recorder.add(failure(probe, seconds))
    recorder.flush(after(121))

    marked = Outcome.objects.order_by("started_at").values_list(
        "maintenance", flat=True
    )
    assert list(marked) == [False, True, True, False]
    hour = Rollup.objects.get(level=Level.HOUR)
    assert (hour.samples, hour.bad, hour.excluded) == (2, 2, 2)
    assert hour.classes == {"server_error": 2}


def test_it_raises_no_alarm_and_ends_none() -> None:
    """A-59."""
    install_default_rules()
    make_recipient()
    probe, other = make_probe(make_team()), make_probe(make_team())
    for i in range(5):
        make_outcome(probe, -60 * i, error_class="server_error", maintenance=True)
        make_outcome(other, -60 * i, error_class="server_error")
    evaluate({probe.pk, other.pk}, NOW)
    assert Incident.objects.get().probe == other

    for i in range(1, 6):
        make_outcome(other, 60 * i, maintenance=True)
    evaluate({other.pk}, after(301))
    assert Incident.objects.get().is_open


@pytest.mark.slow
def test_a_missing_result_is_no_alarm_in_a_maintenance() -> None:
    """A-80: nor is one of a probe that is switched off."""
    install_default_rules()
    probe, other = make_probe(make_team(), last_at=NOW), make_probe(make_team())
    Probe.objects.filter(pk=other.pk).update(last_at=NOW)
    maintain(-60, 3600, gateway=probe.gateway)
    for seconds in range(0, 600, 15):
        evaluate_all(after(seconds))

    assert Incident.objects.get().probe == other


@pytest.mark.parametrize("name", ["gateway", "team", "probe", None])
def test_it_is_of_what_it_names(name: str | None) -> None:
    gateway = make_gateway()
    probe = make_probe(make_team(gateway))
    other = make_probe(make_team())
    own = {"gateway": gateway, "team": probe.team, "probe": probe}
    announced = maintain(-60, 60, **({name: own[name]} if name else {}))

    assert silences.in_maintenance([announced], probe, NOW)
    assert silences.in_maintenance([announced], other, NOW) is (name is None)
    assert not silences.in_maintenance([announced], probe, after(60))


def test_a_plain_silence_is_no_maintenance() -> None:
    probe = make_probe()
    silence = maintain(-60, 60)
    silence.maintenance = False

    assert not silences.in_maintenance([silence], probe, NOW)


def test_a_maintenance_is_of_all_kinds_of_alarms() -> None:
    silence = Silence(
        starts_at=NOW,
        ends_at=NOW + timedelta(hours=1),
        reason="x",
        maintenance=True,
        kind=RuleKind.CREDITS,
    )

    with pytest.raises(ValidationError):
        silence.clean()
