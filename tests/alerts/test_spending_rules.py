"""Credits that go far faster than usual, and credits that are no longer told."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dashboard.alerts.rules import (
    Credits,
    Limits,
    Spending,
    Step,
    credits_spike,
    credits_unknown,
)
from tests.factories import NOW

LIMITS = Limits(warn_at=3)


def spent(
    last_hour: float,
    typical: float = 20,
    highest: float = 50,
    hours: int = 168,
    allocated: float | None = 1000,
) -> Spending:
    return Spending(last_hour, typical, highest, hours, allocated)


@pytest.mark.parametrize(
    ("spending", "is_open", "step"),
    [
        (None, False, Step.CLEAR),
        (spent(0), False, Step.CLEAR),
        (spent(9), False, Step.CLEAR),  # below 1 % of what it has
        (spent(59), False, Step.CLEAR),
        (spent(60), False, Step.FIRE),
        # It is no more than another hour of the week was.
        (spent(60, highest=60), False, Step.CLEAR),
        (spent(61, highest=60), False, Step.FIRE),
        # A team that works by day has nothing for its typical hour.
        (spent(40, typical=0, highest=45), False, Step.CLEAR),
        (spent(46, typical=0, highest=45), False, Step.FIRE),
        # While it is open its own first hour is among the highest.
        (spent(60, highest=100), True, Step.FIRE),
        (spent(45), True, Step.HOLD),
        (spent(42), True, Step.HOLD),
        (spent(41), True, Step.CLEAR),
        # Less than a day is no baseline.
        (spent(500, hours=23), False, Step.HOLD),
        (spent(500, hours=24), False, Step.FIRE),
        # Nobody told what it has.
        (spent(60, allocated=None), False, Step.FIRE),
    ],
)
def test_a_spike_is_far_above_the_teams_own_week(
    spending: Spending | None, step: Step, *, is_open: bool
) -> None:
    assert credits_spike(spending, LIMITS, NOW, is_open=is_open).step is step


def test_a_spike_may_be_critical() -> None:
    limits = Limits(warn_at=3, critical_at=10)

    assert credits_spike(spent(199), limits, NOW, is_open=False).level == "raised"
    verdict = credits_spike(spent(200), limits, NOW, is_open=False)
    assert (verdict.level, verdict.severity) == ("high", "critical")
    assert verdict.text == (
        "200 credits spent in the last hour, more than in any of the 168 hours before "
        "(typical 20)"
    )


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


BURN = [(at(minute), 60.0) for minute in range(-10, 0)]


@pytest.mark.parametrize(
    ("drops", "began"),
    [
        (BURN, at(-10)),
        ([(at(-10), 600.0)], at(-10)),
        # Jobs of the usual size before it do not bring it forward, and a pause in it does
        # not put it off.
        ([(at(-55), 10.0), (at(-35), 10.0), *BURN], at(-10)),
        ([(at(-40), 300.0), *BURN[:2], *BURN[-2:]], at(-40)),
        # It began earlier than an hour ago, or nobody knows.
        ([(at(minute), 60.0) for minute in range(-60, 0)], at(-60)),
        ([], at(-60)),
    ],
)
def test_fast_spending_begins_when_it_became_fast(
    drops: list[tuple[datetime, float]], began: datetime
) -> None:
    told = replace(spent(sum(used for _, used in drops) or 600.0), drops=drops)

    verdict = credits_spike(told, LIMITS, NOW, is_open=False)

    assert verdict.evidence.since == began


@pytest.mark.parametrize(
    ("remaining", "age_s", "answers", "step"),
    [
        (500.0, 60, 0, Step.CLEAR),
        (500.0, 900, 15, Step.CLEAR),
        (500.0, 901, 2, Step.HOLD),
        (500.0, 901, 3, Step.FIRE),
        (500.0, 7200, 0, Step.HOLD),  # nothing answers: that is another alarm
        (None, 7200, 9, Step.HOLD),  # never told
        (float("nan"), 7200, 9, Step.HOLD),
    ],
)
def test_credits_that_are_told_no_longer(
    remaining: float | None, age_s: int, answers: int, step: Step
) -> None:
    """A-40: after three answers without them, and never as 0."""
    reading = Credits(remaining, 1000.0, NOW - timedelta(seconds=age_s))

    assert credits_unknown(reading, answers, 900, NOW).step is step


def test_a_team_whose_credits_were_never_told_is_no_alarm() -> None:
    assert credits_unknown(None, 99, 900, NOW).step is Step.HOLD
