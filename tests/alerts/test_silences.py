"""Silences keep mails back, and nothing else: A-59."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from dashboard.alerts import silences
from dashboard.alerts.models import Incident, RuleKind, Silence
from dashboard.probes.models import Probe
from tests.alerts.conftest import after, make_incident
from tests.alerts.mailbox import Mailbox
from tests.alerts.test_life import HOUR, World, _alone, timeline
from tests.factories import NOW, make_gateway, make_probe, make_team

__all__ = ["_alone"]  # the fixture: credits only, sent at once

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(mailbox: Mailbox) -> World:
    return World(mailbox)


def silence(start_h: float = 0, end_h: float = 4, **fields: object) -> Silence:
    return Silence.objects.create(
        starts_at=after(start_h * HOUR),
        ends_at=after(end_h * HOUR),
        reason="moving house",
        **fields,
    )


def test_fired_and_resolved_inside_nobody_hears_of_it(world: World) -> None:
    silence()
    world.at(1, 150)
    assert world.incident.is_open
    world.at(2, 900)
    world.at(5, 900)

    assert world.subjects == []
    assert not world.incident.is_open


def test_what_still_fires_at_its_end_is_told_once(world: World) -> None:
    silence()
    for quarter in range(4, 24):
        world.at(quarter / 4, 150)

    assert len(world.subjects) == 1
    assert "WARNING" in world.subjects[0]
    kinds = [kind for kind, _ in timeline(world.incident)]
    assert kinds == ["opened", "silenced", "audible"]


def test_who_was_told_before_is_told_of_the_end(world: World) -> None:
    """A-54 comes first: he waits for it."""
    world.at(0, 150)
    silence(0.5, 4)
    world.at(1, 900)

    assert len(world.subjects) == 2
    assert "RESOLVED" in world.subjects[1]


def test_what_got_worse_inside_is_told_at_its_end(world: World) -> None:
    world.at(0, 150)
    silence(0.5, 4)
    world.at(1, 150)
    world.at(2, 50)
    assert len(world.subjects) == 1
    world.at(4.1, 50)

    assert "CRITICAL" in world.subjects[1]
    assert len(world.subjects) == 2


def test_reminders_are_silent_too(world: World) -> None:
    world.at(0, 150)
    silence(0.5, 20)
    for hour in range(1, 12):
        world.at(hour, 150)

    assert len(world.subjects) == 1


def test_what_fails_on_after_its_greater_one_is_counted_by_itself(world: World) -> None:
    """Nobody is mailed of it, and the pages leave out only what another speaks for."""
    silence()
    world.at(1, 150)
    greater = make_incident(world.team.gateway, resolved_at=after(1.5 * HOUR))
    held = Incident.objects.filter(kind=RuleKind.CREDITS)
    held.update(inhibited_by=greater)
    world.at(1.6, 150)

    assert held.get().inhibited_by is None
    assert held.get().silence is not None
    assert world.subjects == []


def test_ended_early_it_ends_now(world: World) -> None:
    made = silence()
    world.at(1, 150)
    assert silences.end(made, after(1.5 * HOUR))
    world.at(2, 150)

    assert len(world.subjects) == 1
    assert not silences.end(made, after(3 * HOUR))


class TestMatchers:
    @pytest.fixture
    def incident(self) -> Incident:
        gateway = make_gateway()
        team = make_team(gateway)
        return make_incident(gateway, team, make_probe(team))

    @pytest.mark.parametrize("name", ["gateway", "team", "probe", "kind", None])
    def test_each_matcher_matches_its_own(
        self, incident: Incident, name: str | None
    ) -> None:
        own = {name: getattr(incident, name)} if name else {}

        assert silences.covering([silence(**own)], incident) is not None

    def test_all_that_is_named_must_match(self, incident: Incident) -> None:
        other = make_team()
        assert incident.team is not None
        for fields in (
            {"team": other},
            {"gateway": other.gateway},
            {"probe": make_probe(incident.team, kind="balance")},
            {"kind": RuleKind.CREDITS},
            {"team": incident.team, "kind": RuleKind.CREDITS},
        ):
            assert silences.covering([silence(**fields)], incident) is None

    def test_only_the_present_ones_count(self) -> None:
        silence(-4, 0)
        silence(1, 2)
        now = silence(-1, 1)

        assert silences.active(NOW) == [now]


@pytest.mark.parametrize(
    ("lasts", "ok"),
    [
        (timedelta(days=30), True),
        (timedelta(days=30, seconds=1), False),
        (timedelta(0), False),
        (timedelta(hours=-1), False),
    ],
)
def test_a_silence_has_a_sensible_length(lasts: timedelta, *, ok: bool) -> None:
    now = timezone.now()
    made = Silence(starts_at=now, ends_at=now + lasts, reason="x")
    if ok:
        made.clean()
    else:
        with pytest.raises(ValidationError):
            made.clean()


@pytest.mark.parametrize("kind", RuleKind)
def test_no_silence_of_a_probe_matches_nothing(kind: RuleKind) -> None:
    """A-59: it would pretend to silence what is of the probe's team, or of its gateway."""
    probe = make_probe(make_team())
    now = timezone.now()
    made = Silence(probe=probe, kind=kind, starts_at=now, reason="x")
    made.ends_at = now + timedelta(hours=1)
    if kind in {
        *("error_rate", "latency", "burn_rate", "stream_failures"),
        *("breaker_open", "no_data"),
    }:
        made.clean()
    else:
        with pytest.raises(ValidationError, match="mailed all the same"):
            made.clean()


def test_a_deleted_silence_lets_its_incidents_speak(world: World) -> None:
    silence()
    world.at(1, 150)
    Silence.objects.all().delete()
    world.at(1.5, 150)

    assert len(world.subjects) == 1
    assert Probe.objects.count() == 1
