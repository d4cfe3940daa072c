"""Coverage: how many results were expected of a time, and how much of it was watched."""

from datetime import timedelta

import pytest

from dashboard.probes.models import Probe, ProbeKind
from dashboard.rollups.queries import (
    course,
    total,
)
from dashboard.rollups.services import fold
from dashboard.teams import keys
from dashboard.teams.models import Gateway, Team
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team
from tests.rollups.histories import seen_probe

pytestmark = pytest.mark.django_db


HOUR = timedelta(hours=1)


DAY = timedelta(days=1)


def test_coverage_counts_the_holes() -> None:
    probe = seen_probe([-60 * number for number in range(60, 30, -1)])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.expected) == (30, 60)
    assert found.coverage == 0.5


def test_a_shorter_period_expects_no_more_of_the_time_before_it() -> None:
    """Every five minutes until an hour ago, every ten seconds since."""
    probe = make_probe(period_s=300)
    Gateway.objects.filter(pk=probe.gateway_id).update(created_at=NOW - DAY)
    fold([make_outcome(probe, seconds=300 * n) for n in range(-24, -12)])
    Probe.objects.filter(pk=probe.pk).update(period_s=10)
    fold([make_outcome(probe, seconds=10 * n) for n in range(-360, 0)])

    found = total([probe.pk], NOW - 1.5 * HOUR, NOW, NOW)

    assert found.samples == 6 + 360
    assert found.expected == pytest.approx(6 + 360)


def test_nothing_is_expected_before_a_probe_was_made() -> None:
    probe = seen_probe([-60 * number for number in range(30, 0, -1)])

    for days in (0, 1, 7):
        found = total([probe.pk], NOW - days * DAY - HOUR, NOW, NOW)
        assert (found.samples, found.expected) == (30, 30)


def test_nothing_is_expected_of_a_probe_that_is_switched_off() -> None:
    probe = seen_probe([-60 * number for number in range(120, 60, -1)])
    before = total([probe.pk], NOW - 2 * HOUR, NOW, NOW)

    Probe.objects.update(enabled=False)

    assert before.expected == 120
    assert total([probe.pk], NOW - 2 * HOUR, NOW, NOW).expected == 60


@pytest.mark.parametrize("days", [0, 29])
def test_nothing_is_expected_before_a_probe_was_first_switched_on(days: int) -> None:
    """Its team is watched for a month, and it ran three times in its first minutes."""
    gateway = make_gateway()
    Gateway.objects.update(created_at=NOW - 30 * DAY)
    on_at = NOW - timedelta(minutes=3)
    probe = make_probe(gateway=gateway, rests=[[None, on_at.isoformat()]])
    fold([make_outcome(probe, seconds) for seconds in (-170, -110, -50)])

    found = course([probe.pk], NOW - days * DAY - HOUR, NOW, 30, NOW)

    assert (found.whole.samples, found.whole.expected) == (3, 3)
    assert sum(piece.expected for piece in found.pieces) == 3


@pytest.mark.parametrize("hours", [1, 5, 24 * 7])
def test_nothing_is_expected_while_a_probe_was_paused(hours: int) -> None:
    off_at, on_at = NOW - timedelta(minutes=34), NOW - timedelta(minutes=31)
    probe = seen_probe([-60 * n for n in range(180, 0, -1) if n not in (34, 33, 32)])
    whole = total([probe.pk], NOW - hours * HOUR, NOW, NOW)
    assert whole.expected == whole.samples + 3

    rests = [[off_at.isoformat(), on_at.isoformat()]]
    Probe.objects.update(rests=rests)

    told = total([probe.pk], NOW - hours * HOUR, NOW, NOW)
    assert (told.samples, told.expected) == (whole.samples, whole.samples)


def test_nothing_is_expected_of_a_probe_before_its_team_has_a_key() -> None:
    team = make_team()
    Gateway.objects.update(created_at=NOW - DAY)
    Team.objects.update(created_at=NOW - DAY)
    probe = make_probe(team, kind=ProbeKind.BALANCE)
    assert total([probe.pk], NOW - HOUR, NOW, NOW).expected == 0

    Team.objects.update(key_sealed="sealed", key_set_at=NOW - timedelta(minutes=3))
    fold([make_outcome(probe, seconds) for seconds in (-170, -110)])

    assert total([probe.pk], NOW - HOUR, NOW, NOW).expected == 3


def test_a_replaced_key_hides_no_gap_before_it() -> None:
    team = make_team()
    Gateway.objects.update(created_at=NOW - DAY)
    Team.objects.update(created_at=NOW - DAY)
    probe = make_probe(team, kind=ProbeKind.BALANCE)
    keys.set_key(team, "sk-the-first-one", NOW - 3 * HOUR)
    fold([make_outcome(probe, -60 * number) for number in range(30, 0, -1)])
    keys.set_key(team, "sk-the-second-one", NOW - timedelta(minutes=9))

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.expected) == (30, 60)


def test_a_capped_probe_is_not_missing() -> None:
    """It says each time that it is held, and is there."""
    probe = seen_probe([-60 * number for number in range(60, 30, -1)])
    held = [-60 * number for number in range(30, 0, -1)]
    fold([make_outcome(probe, at, error_class="config_error") for at in held])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.excluded, found.coverage) == (30, 30, 1.0)


def test_a_new_probes_first_results_are_no_more_than_expected() -> None:
    """Five probes of 300 s, 35 seconds after they were made."""
    gateway = make_gateway()
    Gateway.objects.update(created_at=NOW - timedelta(seconds=35))
    probes = [make_probe(gateway=gateway, period_s=300)]
    probes += [make_probe(make_team(gateway), period_s=300) for _ in range(4)]
    Team.objects.update(created_at=NOW - timedelta(seconds=35))
    fold([make_outcome(probe, -30) for probe in probes])

    found = total([probe.pk for probe in probes], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.expected, found.coverage) == (5, 5, 1.0)


def test_no_more_time_is_known_than_there_was() -> None:
    """A first result stands for five minutes, of which there were 35 seconds."""
    gateway = make_gateway()
    Gateway.objects.update(created_at=NOW - timedelta(seconds=35))
    well, failing = make_probe(gateway=gateway, period_s=60), make_team(gateway)
    Team.objects.update(created_at=NOW - timedelta(seconds=35))
    broken = make_probe(failing, period_s=300)
    fold([make_outcome(well, -30), make_outcome(broken, -30, error_class="timeout")])

    found = course([well.pk, broken.pk], NOW - 7 * DAY, NOW, 14, NOW)

    assert found.whole.watched_s == 35
    assert found.whole.up_s + found.whole.down_s == pytest.approx(70)
    assert found.whole.availability_is_thin


@pytest.mark.parametrize("pieces", [60, 12])
def test_a_young_probe_changes_nothing_of_what_older_ones_saw(pieces: int) -> None:
    """A result stands for fifteen minutes, wherever in them its piece of time ends."""
    seldom = make_probe(period_s=900)
    Gateway.objects.update(created_at=NOW - 30 * DAY)
    fold([make_outcome(seldom, -900 * n, error_class="timeout") for n in (4, 3, 2, 1)])
    alone = course([seldom.pk], NOW - HOUR, NOW, pieces, NOW)
    young = make_probe(period_s=60)
    Gateway.objects.filter(pk=young.gateway_id).update(
        created_at=NOW - timedelta(minutes=2)
    )
    fold([make_outcome(young, -30)])

    both = course([seldom.pk, young.pk], NOW - HOUR, NOW, pieces, NOW)

    down_s = [piece.down_s for piece in both.pieces]
    assert down_s == [piece.down_s for piece in alone.pieces]
    assert (both.whole.down_s, sum(down_s)) == (3600, 3600)
    assert (alone.whole.up_s, both.whole.up_s) == (0, 60)


@pytest.mark.parametrize(
    ("watched_s", "window", "is_thin"),
    [
        (599, DAY, True),
        (600, DAY, False),
        # Whoever asks of five minutes is told of them.
        (240, timedelta(minutes=5), False),
        (100, timedelta(minutes=5), True),
    ],
)
def test_a_share_of_time_needs_ten_minutes_of_watching(
    watched_s: float, window: timedelta, *, is_thin: bool
) -> None:
    probe = seen_probe([-watched_s])

    assert total([probe.pk], NOW - window, NOW, NOW).availability_is_thin is is_thin


def test_what_came_in_a_rest_was_expected() -> None:
    """A run in flight when it was switched off; rows of an older version's past."""
    probe = seen_probe([-60 * number for number in range(60, 30, -1)])
    Probe.objects.update(rests=[[None, NOW.isoformat()]])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.expected) == (30, 30)
