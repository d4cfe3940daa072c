"""When the recorder asks the rules about what it stores, and what it never loses."""

from datetime import timedelta

import pytest

from apiclient import ErrorClass
from apiclient.breaker import BreakerRow
from dashboard.alerts.models import Incident
from dashboard.alerts.services import install_default_rules
from dashboard.pipeline.answers import Answer, own_fault
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.recorder import JUDGE_EVERY_S, Recorder
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.services import Spent
from dashboard.teams.services import Sighting
from tests.factories import NOW, make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db


class Tape:
    """Feeds a recorder: what a team's probe saw, and at which second."""

    def __init__(self) -> None:
        install_default_rules()
        self.seconds = 0.0
        self.probe: Probe = make_probe(make_team())
        self.recorder = Recorder(monotonic=lambda: self.seconds)

    def sees(self, status: str, *, second: float, error: str = "") -> int:
        """Store one outcome; return how many incidents are open then."""
        self.seconds = second
        at = NOW + timedelta(seconds=second)
        outcome = Outcome(
            probe_id=self.probe.pk,
            started_at=at,
            latency_us=1000,
            elapsed_us=1000,
            attempts=1,
            error_class=error,
        )
        assert self.probe.team_id is not None
        ask = prepare(self.probe, Spent())
        report = own_fault(ask, ErrorClass.INTERNAL, "not looked at", at)
        sighting = Sighting(self.probe.team_id, at, status=status)
        self.recorder.add(Answer(ask, report, outcome, sighting))
        self.recorder.flush(at)
        return Incident.objects.filter(resolved_at=None).count()


def test_successes_are_judged_now_and_then() -> None:
    tape = Tape()

    assert tape.sees("active", second=0) == 0
    assert tape.sees("suspended", second=1) == 0
    assert tape.sees("suspended", second=JUDGE_EVERY_S) == 1


def test_what_one_round_left_out_the_next_one_judges() -> None:
    tape = Tape()
    first = tape.probe
    tape.sees("active", second=0)
    tape.sees("suspended", second=1)
    tape.probe = make_probe(make_team())

    assert tape.sees("active", second=JUDGE_EVERY_S) == 1
    assert Incident.objects.get().team_id == first.team_id


def test_a_failure_is_judged_at_once() -> None:
    tape = Tape()

    tape.sees("active", second=0)

    assert tape.sees("suspended", second=1, error="team_suspended") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("was_stored", [False, True])
def test_a_run_of_a_gateway_that_was_deleted_costs_nobody_his_results(
    *, was_stored: bool
) -> None:
    tape = Tape()
    gateway = make_gateway()
    breakers = tape.recorder.breakers([gateway.pk])[gateway.pk]
    if was_stored:
        breakers.swap("its", BreakerRow(), BreakerRow(version=1))
        tape.sees("active", second=0)
    gateway.delete()
    seen = breakers.load("its")
    breakers.swap("its", seen, BreakerRow(version=seen.version + 1))

    for second in (1, 2, 3):
        tape.sees("active", second=second)

    assert Outcome.objects.count() == (4 if was_stored else 3)
