"""A refused key is tried seldom: A-31."""

from datetime import datetime, timedelta

import pytest

from dashboard.probes import claims, services
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.teams.keys import set_key
from dashboard.web.prober import Prober, ProberState
from dashboard.web.states import is_overdue
from tests.factories import NOW, make_probe, make_team

pytestmark = pytest.mark.django_db
KEY = "sk-" + "a" * 20


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class World:
    """A probe that needs its team's key, and the times at which it ran."""

    def __init__(self, kind: ProbeKind = ProbeKind.BALANCE) -> None:
        self.team = make_team()
        set_key(self.team, KEY, NOW)
        self.probe = make_probe(self.team, kind=kind, period_s=60)
        self.runs: list[float] = []

    def live(self, start_s: int, end_s: int, error_class: str) -> None:
        for seconds in range(start_s, end_s, 10):
            now = after(seconds)
            if seconds % 60 == 0:
                claims.follow_clock(now)
            for _ in claims.claim_due(CHEAP, now, most=1):
                self.runs.append(seconds)
                services.record([self.outcome(now, error_class)], now)

    def outcome(self, now: datetime, error_class: str) -> Outcome:
        return Outcome(
            probe=self.probe,
            started_at=now,
            latency_us=1,
            elapsed_us=1,
            attempts=1,
            error_class=error_class,
        )


def test_after_two_refusals_it_is_tried_every_quarter_of_an_hour() -> None:
    """A-31: a gateway may lock out who insists."""
    world = World()
    world.live(0, 3000, "auth_failed")

    assert world.runs == [0, 60, 960, 1860, 2760]


def test_it_is_not_called_missing_meanwhile() -> None:
    """A-31: nor is that an alarm of missing results."""
    world = World()
    world.live(0, 100, "auth_failed")
    world.probe.refresh_from_db()
    works = Prober(1.0, ProberState.WORKING)

    assert not is_overdue(world.probe, works, after(900))
    assert is_overdue(world.probe, works, after(60 + 3 * 900 + 1))


def test_a_new_key_is_tried_within_a_minute() -> None:
    """A-31."""
    world = World()
    world.live(0, 200, "auth_failed")
    set_key(world.team, KEY, after(200))
    world.live(200, 400, "")

    assert world.runs == [0, 60, 240, 300, 360]


def test_once_it_is_accepted_it_runs_as_before() -> None:
    world = World()
    world.live(0, 960, "auth_failed")
    world.live(960, 1150, "")

    assert world.runs == [0, 60, 960, 1020, 1080, 1140]


def test_other_failures_and_other_probes_keep_their_pace() -> None:
    world = World()
    world.live(0, 200, "server_error")
    assert world.runs == [0, 60, 120, 180]
    Probe.objects.filter(pk=world.probe.pk).delete()

    status = World(ProbeKind.TEAM_STATUS)
    status.live(0, 200, "auth_failed")
    assert status.runs == [0, 60, 120, 180]
