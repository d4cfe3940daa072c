"""A probe's period may change: each result stands for the one it had then."""

import random
from datetime import datetime, timedelta
from importlib import import_module

import pytest
import time_machine
from django.apps import apps
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from dashboard.probes.models import Outcome, Probe
from dashboard.probes.paces import LATEST, MOST, Stored, changed_pace, periods_from
from dashboard.probes.services import change
from dashboard.rollups.models import Level, Rollup
from dashboard.rollups.promises import promises
from dashboard.rollups.queries import course, grouped, total
from dashboard.rollups.rebuild import check, rebuild
from dashboard.rollups.services import fold
from dashboard.rollups.tally import Key, Tally
from dashboard.teams.models import Gateway
from tests.factories import NOW, make_gateway, make_probe

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LONG_AGO = NOW - timedelta(days=400)


def old_probe(period_s: int) -> Probe:
    """Make a probe that is a month old."""
    gateway = make_gateway()
    Gateway.objects.filter(pk=gateway.pk).update(created_at=NOW - 30 * DAY)
    return make_probe(gateway=gateway, period_s=period_s)


def run(probe: Probe, start: datetime, end: datetime, *, bad: range = range(0)) -> None:
    """Fold a result a period; those whose number is in `bad` failed."""
    seconds = range(
        int((start - NOW).total_seconds()),
        int((end - NOW).total_seconds()),
        probe.period_s,
    )
    outcomes = [
        Outcome(
            probe=probe,
            started_at=NOW + timedelta(seconds=second),
            latency_us=50_000,
            elapsed_us=50_000,
            attempts=1,
            error_class="timeout" if number in bad else "",
        )
        for number, second in enumerate(seconds)
    ]
    Outcome.objects.bulk_create(outcomes)
    fold(outcomes)


def set_period(probe: Probe, period_s: int, now: datetime) -> None:
    change(probe, period_s=period_s, enabled=True, now=now)
    probe.refresh_from_db()


def changed_probe() -> Probe:
    """Make one of 300 s that runs every 10 s since half an hour, and failed 25 min."""
    probe = old_probe(300)
    changed_at = NOW - HOUR / 2
    run(probe, NOW - 10 * HOUR, changed_at)
    set_period(probe, 10, changed_at)
    run(probe, changed_at, NOW, bad=range(150))
    return probe


@pytest.mark.django_db
@pytest.mark.parametrize("hours", [1, 5, 24, 7 * 24, 30 * 24])
def test_an_outage_is_as_long_in_every_window(hours: int) -> None:
    """Minutes, hours and days tell of it: the hour and the day knew another period."""
    probe = changed_probe()

    found = total([probe.pk], NOW - hours * HOUR, NOW, NOW)

    assert found.down_s == 1500
    watched_s = min(hours, 10) * 3600
    assert found.up_s == watched_s - 1500
    assert course([probe.pk], NOW - hours * HOUR, NOW, 30, NOW).whole.down_s == 1500


@pytest.mark.django_db
def test_a_longer_period_does_not_stretch_the_outage_before_it() -> None:
    probe = old_probe(10)
    run(probe, NOW - HOUR / 2, NOW, bad=range(30))
    set_period(probe, 3600, NOW)
    run(probe, NOW + HOUR, NOW + 5 * HOUR)

    found = total([probe.pk], NOW - DAY, NOW + 5 * HOUR, NOW + 5 * HOUR)

    assert (found.up_s, found.down_s) == (1500 + 4 * 3600, 300)


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_a_whole_is_the_sum_of_its_parts_and_lies_between_them(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 (no secret)
    probes = []
    for _ in range(3):
        probe = old_probe(draw.choice([60, 300]))
        at = NOW - 30 * HOUR
        while at < NOW:
            until = min(NOW, at + draw.choice([0.2, 1, 7, 20]) * HOUR)
            first = draw.randrange(100)
            run(probe, at, until, bad=range(first, first + draw.randrange(60)))
            set_period(probe, draw.choice([60, 120, 600]), until)
            at = until
        probes.append(probe)
    members = {"": [probe.pk for probe in probes]}
    members |= {str(probe.pk): [probe.pk] for probe in probes}

    for hours in (1, 24, 7 * 24):
        start = NOW - hours * HOUR
        whole, *parts = grouped(members, start, NOW, NOW).values()
        pieces = course(members[""], start, NOW, 12, NOW).pieces

        assert whole.down_s == sum(part.down_s for part in parts)
        assert whole.up_s == sum(part.up_s for part in parts)
        assert whole.down_s == sum(piece.down_s for piece in pieces)
        shares = [part.availability for part in parts if part.availability is not None]
        assert min(shares) <= (whole.availability or 0) <= max(shares)
    assert list(check(LONG_AGO, NOW)) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hours", "pieces", "is_noted"),
    # By minutes and by hours; an older version's minutes know what was not noted.
    [(24, 96, True), (24, 96, False), (24, 24, True), (12, 12, True)],
)
def test_the_pieces_of_a_time_expect_what_the_whole_does(
    hours: int, pieces: int, *, is_noted: bool
) -> None:
    """A day at 300 s with an hour missing, then five minutes at 10 s."""
    probe = old_probe(300)
    changed_at = NOW - HOUR / 12
    run(probe, NOW - DAY, NOW - 10 * HOUR)
    run(probe, NOW - 9 * HOUR, changed_at)
    set_period(probe, 10, changed_at)
    if not is_noted:
        Probe.objects.update(paces=[])
    run(probe, changed_at, NOW)

    start = NOW - hours * HOUR
    found = course([probe.pk], start, NOW, pieces, NOW)

    due = (changed_at - start).total_seconds() / 300 + 30
    assert (found.whole.samples, found.whole.expected) == (due - 12, due)
    expected = sum(piece.expected for piece in found.pieces)
    assert expected == pytest.approx(due, abs=1)


@pytest.mark.django_db
def test_coverage_is_the_same_in_every_window_after_a_change() -> None:
    """Twenty minutes of the shorter period are missing; no row of an hour knows it."""
    probe = old_probe(300)
    changed_at = NOW - 1.5 * HOUR
    run(probe, NOW - 20 * HOUR, changed_at)
    set_period(probe, 10, changed_at)
    run(probe, changed_at, NOW - HOUR / 3)

    found = {
        hours: total([probe.pk], NOW - hours * HOUR, NOW, NOW)
        for hours in (1, 5, 24, 99)
    }

    missing = {
        hours: seen.expected - seen.samples - seen.excluded
        for hours, seen in found.items()
    }
    assert missing == {1: 120, 5: 120, 24: 120 + 4 * 12, 99: 120 + 79 * 12}
    assert found[1].coverage == pytest.approx(2 / 3)


@pytest.mark.django_db
def test_rows_of_before_read_as_before_and_are_added_to() -> None:
    """An older version kept no time in state, and noted no change of a period."""
    probe = old_probe(300)
    run(probe, NOW - 2 * HOUR, NOW, bad=range(3))
    before = total([probe.pk], NOW - DAY, NOW, NOW)
    Rollup.objects.update(up_s=None, down_s=None)

    assert total([probe.pk], NOW - DAY, NOW, NOW) == before
    assert list(check(LONG_AGO, NOW)) == []
    assert (before.up_s, before.down_s) == (21 * 300, 3 * 300)

    set_period(probe, 10, NOW)
    run(probe, NOW, NOW + HOUR / 2, bad=range(6))
    later = NOW + HOUR / 2
    found = total([probe.pk], NOW - DAY, later, later)

    assert (found.up_s, found.down_s) == (21 * 300 + 174 * 10, 3 * 300 + 60)
    assert list(check(LONG_AGO, later)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("hours", [1, 5, 24, 30 * 24])
def test_an_outage_after_the_update_is_as_long_as_it_was(hours: int) -> None:
    """An older version had changed the period that day, and noted it nowhere."""
    changed_at, updated_at = NOW - 0.75 * HOUR, NOW - 0.5 * HOUR
    noted, probe = old_probe(300), old_probe(300)
    set_period(noted, 10, NOW - DAY)
    run(probe, NOW - 10 * HOUR, changed_at)
    Probe.objects.filter(pk=probe.pk).update(period_s=10)
    probe.refresh_from_db()
    run(probe, changed_at, updated_at)
    Rollup.objects.update(up_s=None, down_s=None)

    with time_machine.travel(updated_at, tick=False):
        import_module("dashboard.probes.migrations.0012_noted_paces").note(apps, None)
    run(probe, updated_at, NOW, bad=range(180))

    assert total([probe.pk], NOW - hours * HOUR, NOW, NOW).down_s == 1800
    assert list(check(LONG_AGO, NOW)) == []
    assert Probe.objects.get(pk=noted.pk).paces == noted.paces


@pytest.mark.django_db
def test_a_wrong_time_in_state_is_found_and_mended() -> None:
    probe = changed_probe()
    before = total([probe.pk], NOW - DAY, NOW, NOW)
    Rollup.objects.filter(level=Level.DAY).update(down_s=9)
    Rollup.objects.filter(level=Level.HOUR, start=NOW - HOUR).delete()

    levels = [each.key.level for each in rebuild(LONG_AGO, NOW)]

    assert levels == [Level.HOUR, Level.DAY]
    assert list(check(LONG_AGO, NOW)) == []
    assert total([probe.pk], NOW - DAY, NOW, NOW) == before


def test_the_period_of_a_moment_is_the_one_before_the_next_change() -> None:
    stored = changed_pace([], 300, 10, NOW)
    stored = changed_pace(stored, 10, 10, NOW + HOUR / 2)
    periods = periods_from(60, changed_pace(stored, 10, 60, NOW + HOUR))

    moments = [NOW - DAY, NOW, NOW + HOUR / 2, NOW + HOUR, NOW + DAY]
    assert [periods.at(moment) for moment in moments] == [300, 10, 10, 60, 60]
    assert [periods.is_known(moment) for moment in moments] == [False] + [True] * 4
    assert not periods_from(60, []).is_known(NOW)


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from([10, 60, 300])), max_size=9
    ),
    st.lists(st.integers(0, 300 * 60), max_size=3).map(sorted),
    st.lists(st.integers(-600, 310 * 60), min_size=3, max_size=3).map(sorted),
    st.booleans(),
)
def test_what_is_promised_of_two_times_is_promised_of_both(
    minutes: list[tuple[int, int]],
    changes: list[int],
    edges: list[int],
    is_on: bool,  # noqa: FBT001 (hypothesis gives it)
) -> None:
    stored: Stored = []
    for number, second in enumerate(changes):
        at = NOW + timedelta(seconds=second)
        stored = changed_pace(stored, 20 + number, 21 + number, at)
    rows = {
        Key(1, 60, NOW + timedelta(minutes=minute)): (60 / period_s, Tally(samples=1))
        for minute, period_s in minutes
    }
    told = promises(rows, periods_from(30, stored), (), is_on=is_on)
    start, middle, end = (NOW + timedelta(seconds=second) for second in edges)

    whole = told.expected(start, end)

    assert whole == pytest.approx(
        told.expected(start, middle) + told.expected(middle, end)
    )
    if is_on:
        assert (end - start).total_seconds() / 300 - 1e-6 <= whole


def test_rows_of_one_period_make_one_step_whatever_holes_are_between_them() -> None:
    minutes = [*range(0, 60, 5), *range(100, 160)]
    rows = {
        Key(1, 60, NOW + timedelta(minutes=minute)): (
            0.2 if minute < 60 else 6,
            Tally(samples=1),
        )
        for minute in reversed(minutes)
    }
    periods = periods_from(10, [])

    ran = promises(rows, periods, (), is_on=True)
    stopped = promises(rows, periods, (), is_on=False)

    assert [step.period_s for step in ran.steps] == [300, 10, 10]
    assert [step.period_s for step in stopped.steps] == [300] * 12 + [10]
    assert ran.expected(NOW - HOUR, NOW + 3 * HOUR) == 2 * 12 + 8 + 80 * 6
    assert stopped.expected(NOW - HOUR, NOW + 3 * HOUR) == pytest.approx(12 / 5 + 360)


def test_changes_are_in_order_after_the_clock_went_back() -> None:
    stored = changed_pace([], 300, 10, NOW)

    periods = periods_from(60, changed_pace(stored, 10, 60, NOW - HOUR))

    assert [periods.at(NOW + n * HOUR) for n in (-2, -0.5, 0)] == [300, 300, 60]


@pytest.mark.django_db
def test_rebuilding_after_many_changes_of_a_day_changes_nothing() -> None:
    probe = old_probe(300)
    run(probe, NOW - 20 * HOUR, NOW - 10 * HOUR, bad=range(6))
    set_period(probe, 10, NOW - 10 * HOUR)
    run(probe, NOW - 10 * HOUR, NOW - 9 * HOUR, bad=range(36))
    for number in range(2 * LATEST):
        changed_at = NOW - 8 * HOUR + timedelta(minutes=number)
        set_period(probe, 60 + number % 2, changed_at)

    assert list(rebuild(LONG_AGO, NOW)) == []
    assert total([probe.pk], NOW - 5 * DAY, NOW, NOW).down_s == 6 * 300 + 36 * 10


@pytest.mark.parametrize(
    ("apart", "changes", "kept"),
    [
        (DAY, 100, LATEST),
        # All of the time of which results are kept.
        (DAY / 4, 300, 31 * 4 + 1),
        (HOUR / 60, MOST + 9, MOST),
    ],
)
def test_the_oldest_periods_are_forgotten(
    apart: timedelta, changes: int, kept: int, settings: Settings
) -> None:
    settings.RETENTION_DAYS = {"raw": 30}
    stored: Stored = []
    for number in range(changes):
        stored = changed_pace(stored, number, number + 1, NOW + number * apart)

    assert [before_s for before_s, _ in stored] == list(range(changes - kept, changes))
