"""The error budget: two windows at once, and a guard against few samples."""

from datetime import timedelta

import pytest

from dashboard.alerts.rules import WINDOWS_S, Count, Limits, Step, burn_rate
from tests.factories import NOW

LIMITS = Limits(objective=0.99, min_samples=30, min_bad=3)
HOUR, SHORT = 3600, 300
SIX_HOURS, HALF_HOUR, THREE_DAYS = 6 * 3600, 1800, 3 * 86_400


def counts(**told: tuple[int, int]) -> dict[int, Count]:
    lengths = {
        "five_minutes": SHORT,
        "half_hour": HALF_HOUR,
        "hour": HOUR,
        "six_hours": SIX_HOURS,
        "three_days": THREE_DAYS,
    }
    return {lengths[name]: Count(*count) for name, count in told.items()}


@pytest.mark.parametrize(
    ("found", "step", "severity"),
    [
        # 9 of 60 burn at 15; one of the last five still fails.
        (counts(hour=(60, 9), five_minutes=(5, 1)), Step.FIRE, "critical"),
        (counts(hour=(60, 8), five_minutes=(5, 5)), Step.CLEAR, ""),
        (counts(hour=(60, 9), five_minutes=(5, 0)), Step.CLEAR, ""),
        # 14.4 exactly.
        (counts(hour=(1000, 144), five_minutes=(1000, 144)), Step.FIRE, "critical"),
        (counts(hour=(1000, 143), five_minutes=(1000, 144)), Step.CLEAR, ""),
        # A slower fire.
        (counts(six_hours=(360, 22), half_hour=(30, 2)), Step.FIRE, "critical"),
        (counts(three_days=(4320, 44), six_hours=(360, 4)), Step.FIRE, "warning"),
        # Low traffic: all of 29 runs is not yet a matter of budgets.
        (counts(hour=(29, 29), five_minutes=(5, 5)), Step.CLEAR, ""),
        (counts(hour=(30, 2), five_minutes=(5, 2)), Step.CLEAR, ""),
        (counts(hour=(30, 5), five_minutes=(0, 0)), Step.CLEAR, ""),
        ({}, Step.HOLD, ""),
        (counts(hour=(0, 0)), Step.HOLD, ""),
    ],
)
def test_both_windows_must_burn(
    found: dict[int, Count], step: Step, severity: str
) -> None:
    """A-12: the workbook's three steps, each over a window and a twelfth of it."""
    verdict = burn_rate(found, LIMITS, NOW)

    assert verdict.step is step
    if step is Step.FIRE:
        assert verdict.severity == severity


def test_the_windows_are_those_of_the_steps() -> None:
    assert WINDOWS_S == (SHORT, HALF_HOUR, HOUR, SIX_HOURS, THREE_DAYS)


def test_the_verdict_says_how_fast_it_burns() -> None:
    verdict = burn_rate(counts(hour=(60, 9), five_minutes=(5, 1)), LIMITS, NOW)

    assert verdict.text == (
        "9 of 60 runs failed in 60 min: the error budget of 99 % burns 15 times too "
        "fast (limit 14.4)"
    )
    assert (verdict.value, verdict.limit, verdict.samples) == (15.0, 14.4, 60)


@pytest.mark.parametrize(
    ("over_s", "five_minutes", "half_hour", "is_anew"),
    [
        (None, (5, 5), (30, 30), False),
        (359, (5, 5), (30, 30), False),  # the minute in which it ended may be of it
        (360, (5, 3), (30, 30), True),
        (360, (5, 2), (30, 30), False),
        (360, (100, 5), (130, 30), False),
        (1860, (5, 5), (30, 2), False),  # the longest one tells most
        (1860, (5, 1), (30, 3), True),
        (9 * HOUR, (5, 5), (30, 3), True),
    ],
)
def test_what_burns_anew_does_not_wait_for_its_window(
    over_s: int | None,
    five_minutes: tuple[int, int],
    half_hour: tuple[int, int],
    *,
    is_anew: bool,
) -> None:
    """A-57: an outage before it speaks no longer for what burns by itself."""
    found = counts(
        six_hours=(360, 60),
        five_minutes=five_minutes,
        half_hour=half_hour,
        hour=(60, 4),
    )
    over = None if over_s is None else NOW - timedelta(seconds=over_s)

    latest = burn_rate(found, LIMITS, NOW, over).evidence.latest

    assert latest == (NOW if is_anew else NOW - timedelta(seconds=HALF_HOUR))


def test_without_an_objective_nothing_is_judged() -> None:
    assert burn_rate(counts(hour=(60, 60)), Limits(), NOW).step is Step.HOLD


def test_the_longest_window_may_begin_an_hour_earlier() -> None:
    """A-57: with a whole hour; what an outage left in it is not told as new."""
    found = counts(six_hours=(393, 30), three_days=(4353, 45), hour=(60, 0))
    over = NOW - timedelta(hours=6, minutes=30)

    verdict = burn_rate(found, LIMITS, NOW, over)

    assert verdict.step is Step.FIRE
    assert verdict.evidence.latest is not None
    assert verdict.evidence.latest < over
