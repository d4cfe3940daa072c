"""When probes were off: each switch notes it, and what it means for a time."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User

from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.rests import MOST, NEVER_ON, Stored, awake_s, rests_of, switched
from dashboard.probes.services import (
    accept_cost,
    change,
    pause,
    resume,
    switch_off,
    watch_team,
)
from tests.factories import NOW, make_probe, make_team

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def at(minutes: float) -> str:
    return (NOW + minutes * MINUTE).isoformat()


def test_a_probes_rests_follow_its_switches() -> None:
    told = switched([], NOW, on=True)
    assert told == []

    told = switched(told, NOW, on=False)
    assert told == switched(told, NOW + MINUTE, on=False) == [[at(0), None]]

    told = switched(told, NOW + 2 * MINUTE, on=True)
    assert told == switched(told, NOW + HOUR, on=True) == [[at(0), at(2)]]

    assert switched(NEVER_ON, NOW, on=True) == [[None, at(0)]]


def test_of_many_rests_the_oldest_become_one() -> None:
    told: Stored = []
    for minute in range(0, 2 * MOST + 4, 2):
        told = switched(told, NOW + minute * MINUTE, on=False)
        told = switched(told, NOW + (minute + 1) * MINUTE, on=True)

    assert len(told) == MOST
    assert (told[0], told[1]) == ([at(0), at(5)], [at(6), at(7)])


@pytest.mark.parametrize(
    ("stored", "awake_min"),
    [
        ([], 60),
        (NEVER_ON, 0),
        ([[None, at(-20)]], 20),
        ([[at(-20), None]], 40),
        ([[at(-90), at(-50)], [at(-40), at(-37)]], 47),
        ([[at(-90), at(-60)], [at(0), None]], 60),
    ],
)
def test_an_hour_is_as_long_as_the_probe_was_on(
    stored: Stored, awake_min: float
) -> None:
    assert awake_s(rests_of(stored), NOW - HOUR, NOW) == 60 * awake_min


@pytest.mark.django_db
class TestSwitches:
    def rests(self, probe: Probe) -> Stored:
        probe.refresh_from_db()
        stored: Stored = probe.rests
        return stored

    def test_a_paid_probe_was_never_on_until_its_cost_is_accepted(self) -> None:
        watch_team(team := make_team(), NOW)
        deep = Probe.objects.get(team=team, kind=ProbeKind.DEEP_JOB)
        assert deep.rests == NEVER_ON

        user = User.objects.create_user("ann")
        accept_cost(deep, user=user, model="m", daily_credit_cap=9, now=NOW)
        assert self.rests(deep) == [[None, at(0)]]

        switch_off(deep, NOW + MINUTE)
        assert self.rests(deep) == [[None, at(0)], [at(1), None]]

    def test_a_pause_is_a_rest_of_what_ran(self) -> None:
        team = make_team()
        ran, off = make_probe(team), make_probe(team, kind=ProbeKind.BALANCE)
        change(off, period_s=60, enabled=False, now=NOW)

        pause(team, NOW + MINUTE)
        resume(team, NOW + 4 * MINUTE)

        assert self.rests(ran) == [[at(1), at(4)]]
        assert self.rests(off) == [[at(0), None]]

    def test_a_new_period_is_no_switch(self) -> None:
        probe = make_probe(make_team())

        change(probe, period_s=30, enabled=True, now=NOW)

        assert self.rests(probe) == []

    def test_an_older_version_tells_as_much_as_its_rows_do(self) -> None:
        def probe(kind: ProbeKind, **fields: Any) -> Probe:
            return make_probe(team, kind=kind, **fields)

        team, hour_ago = make_team(), NOW - HOUR
        on = probe(ProbeKind.TEAM_STATUS)
        off = probe(ProbeKind.BALANCE, enabled=False, last_at=hour_ago)
        never = probe(ProbeKind.KEY_CHECK, enabled=False)
        paid = probe(ProbeKind.DEEP_JOB, cost_accepted_at=hour_ago)

        import_module("dashboard.probes.migrations.0010_rests").note(apps, None)

        assert [self.rests(each) for each in (on, off, never, paid)] == [
            [],
            [[at(-60), None]],
            NEVER_ON,
            [[None, at(-60)]],
        ]
