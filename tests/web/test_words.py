"""How numbers, times and strips read."""

from collections import Counter
from datetime import timedelta

import pytest

from dashboard.rollups.tally import Tally
from dashboard.web import words
from dashboard.web.strips import strip
from tests.factories import NOW


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (7500, "2 h 5 min"),
        (48 * 3600, "2 d"),
        (50 * 3600, "2 d 2 h"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (None, "no data"),
        (0.0, "0 %"),
        (0.0004, "<0.1 %"),
        (0.012, "1.2 %"),
        (0.5, "50 %"),
        (0.9996, ">99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_rate_is_never_rounded_to_all_or_nothing(
    rate: float | None, said: str
) -> None:
    assert words.percent(rate) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "no data"), (0.84, "0.8 ms"), (182.4, "182 ms"), (1240.0, "1.24 s")],
)
def test_latencies(value: float | None, said: str) -> None:
    assert words.milliseconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1200.0, "1,200"), (0.5, "0.5"), (0, "0"), (99.999, "100")]
)
def test_numbers(value: float, said: str) -> None:
    assert words.number(value) == said


def test_a_time_tells_its_age_and_its_exact_moment() -> None:
    shown = words.time(NOW - timedelta(seconds=4), NOW)

    assert ">4 s ago</time>" in shown
    assert 'title="2 Mar 2026, 11:59:56 UTC"' in shown
    assert words.ago(NOW + timedelta(seconds=30), NOW) == "in 30 s"
    assert words.time(None, NOW, "") == ""


def test_a_strip_has_a_cell_for_each_hour_and_says_it_in_words() -> None:
    hours = [NOW + timedelta(hours=place) for place in range(4)]
    seen = {
        hours[0]: Tally(samples=60),
        hours[1]: Tally(samples=60, bad=6),
        hours[2]: Tally(samples=60, bad=60),
    }

    shown = strip(hours, seen)

    assert dict(shown.paths).keys() == {"ok", "some", "bad", "none"}
    assert shown.summary == (
        "63.3 % ok in 4 hours, failures in 2 hours, no data in 1 hour"
    )


def test_an_hour_of_maintenance_is_neither_well_nor_a_gap() -> None:
    hours = [NOW + timedelta(hours=place) for place in range(3)]
    held = Tally(excluded=9, classes=Counter({"held": 9}))

    shown = strip(hours, {hours[0]: Tally(excluded=60), hours[1]: held})

    assert [kind for kind, _ in shown.paths] == ["maintenance", "none"]
    assert shown.cells == "maintenance||"
    assert shown.summary == "Maintenance in 1 hour, no data in 2 hours"


def test_an_empty_strip_is_not_a_healthy_one() -> None:
    shown = strip([NOW], {})

    assert [kind for kind, _ in shown.paths] == ["none"]
    assert shown.summary == "No data in 1 hour"
