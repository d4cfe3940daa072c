"""The credits rule, as tapes of readings."""

from datetime import timedelta
from math import nan

import pytest

from dashboard.alerts.rules import Credits, Epoch, Limits, Step, credits_left, is_worse
from dashboard.alerts.rules.credits import credits_text
from tests.factories import NOW

LIMITS = Limits(warn_at=0.2, critical_at=0.1)
STALE_S = 900.0


def reading(remaining: float | None, allocated: float | None = 1000.0) -> Credits:
    return Credits(remaining, allocated, NOW)


def notices(*tape: float, allocated: float = 1000.0) -> list[str]:
    """Return what a tape of remaining credits tells, as the state machine would."""
    told: list[str] = []
    epoch, level = None, ""
    for remaining in tape:
        verdict = credits_left(
            reading(remaining, allocated), LIMITS, epoch, NOW, STALE_S
        )
        if verdict.step is Step.FIRE:
            if not level or is_worse(verdict.level, than=level):
                level = verdict.level
                told.append(level)
            epoch = Epoch(verdict.evidence.allocated, verdict.evidence.lowest)
        elif verdict.step is Step.CLEAR and epoch is not None:
            epoch, level = None, ""
            told.append("recovered")
    return told


@pytest.mark.parametrize(
    ("remaining", "allocated", "level"),
    [
        (201, 1000, None),
        (200, 1000, "low"),
        (101, 1000, "low"),
        (100, 1000, "critical"),
        (0.5, 1000, "critical"),
        (0, 1000, "exhausted"),
        (-3, 1000, "exhausted"),
        (0, None, "exhausted"),
        (5, None, None),
        (5, 0, None),
        (5, -10, None),
    ],
)
def test_levels_are_inclusive(
    remaining: float, allocated: float | None, level: str | None
) -> None:
    verdict = credits_left(reading(remaining, allocated), LIMITS, None, NOW, STALE_S)

    assert (verdict.level or None) == level
    assert verdict.step is (Step.FIRE if level else Step.CLEAR)


@pytest.mark.parametrize("remaining", [None, nan])
def test_unknown_is_never_zero(remaining: float | None) -> None:
    epoch = Epoch(1000, 50)

    assert (
        credits_left(reading(remaining), LIMITS, None, NOW, STALE_S).step is Step.HOLD
    )
    assert (
        credits_left(reading(remaining), LIMITS, epoch, NOW, STALE_S).step is Step.HOLD
    )
    assert credits_left(None, LIMITS, None, NOW, STALE_S).step is Step.HOLD


def test_a_stale_reading_decides_nothing() -> None:
    """A-44; A-03: nor does one from the future."""
    old = Credits(0, 1000, NOW - timedelta(seconds=901))
    early = Credits(0, 1000, NOW + timedelta(seconds=61))

    assert credits_left(old, LIMITS, None, NOW, STALE_S).step is Step.HOLD
    assert credits_left(early, LIMITS, None, NOW, STALE_S).step is Step.HOLD


@pytest.mark.parametrize(
    ("tape", "told"),
    [
        ((250, 50), ["critical"]),
        ((250, 190, 90, 0), ["low", "critical", "exhausted"]),
        ((120, 90, 110, 90), ["low", "critical"]),
        # Just above the limit is not yet over; a refill is.
        ((190, 205, 195), ["low"]),
        ((190, 221), ["low", "recovered"]),
        ((100, 1000, 100), ["critical", "recovered", "critical"]),
        # A refill that leaves it low ends the epoch: the level is told anew.
        ((40, 140, 140), ["critical", "recovered", "low"]),
        # A small refund is not a refill.
        ((40, 80, 40), ["critical"]),
        ((-20, -40, 500), ["exhausted", "recovered"]),
    ],
)
def test_each_level_is_told_once_an_epoch(
    tape: tuple[float, ...], told: list[str]
) -> None:
    """A-41, A-42."""
    assert notices(*tape) == told


def test_more_allocated_credits_end_the_epoch() -> None:
    """A-42."""
    verdict = credits_left(reading(150, 1500), LIMITS, Epoch(1000, 150), NOW, STALE_S)

    assert verdict.step is Step.CLEAR


def test_a_floor_warns_where_no_share_can_be_told() -> None:
    limits = Limits(warn_at=0.2, critical_at=0.1, floor=50)

    verdict = credits_left(reading(50, None), limits, None, NOW, STALE_S)

    assert (verdict.level, verdict.limit) == ("low", 50)
    near = credits_left(reading(54, None), limits, Epoch(None, 50), NOW, STALE_S)
    assert near.step is Step.HOLD


@pytest.mark.parametrize(
    ("remaining", "allocated", "text"),
    [
        (1200, 10000, "12 % left (1,200 of 10,000 credits)"),
        (1, 1000, "less than 1 % left (1 of 1,000 credits)"),
        (0, 1000, "no credits left (0 of 1,000 credits)"),
        (-3, 1000, "no credits left (-3 of 1,000 credits)"),
        (12.5, None, "12.5 credits left"),
    ],
)
def test_credits_in_words(remaining: float, allocated: float | None, text: str) -> None:
    assert credits_text(remaining, allocated) == text
