"""Credits low, critical, exhausted."""

from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Level,
    Limits,
    Severity,
    Step,
    Verdict,
)

# An alarm clears above its limit times this, so that small refunds do not make it flap.
_HYSTERESIS = 1.1
# A reading may be dated this little ahead of the clock that judges it.
_MOST_AHEAD_S = -60.0
# A rise by this share of the allocated credits is a refill; less is a refund.
_REFILL = 0.05


@dataclass(frozen=True, slots=True)
class Credits:
    """The latest reading; None is unknown, never 0."""

    remaining: float | None
    allocated: float | None
    read_at: datetime

    @property
    def is_known(self) -> bool:
        return self.remaining is not None and isfinite(self.remaining)

    @property
    def share_left(self) -> float | None:
        """Return the share that is left; None where no share can be told."""
        if not self.allocated or not isfinite(self.allocated) or self.allocated <= 0:
            return None
        return None if self.remaining is None else self.remaining / self.allocated


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an open incident has seen since its opening: a refill ends it."""

    allocated: float | None
    lowest: float | None


def credits_left(
    reading: Credits | None,
    limits: Limits,
    epoch: Epoch | None,
    now: datetime,
    stale_after_s: float,
) -> Verdict:
    """Judge a team's credits; `epoch` is the open incident's, None while there is none.

    An unknown or a stale reading decides nothing, nor one that is dated in the future.
    """
    if reading is None or reading.remaining is None or not reading.is_known:
        return HOLD
    age_s = (now - reading.read_at).total_seconds()
    if not _MOST_AHEAD_S <= age_s <= stale_after_s:
        return HOLD
    if epoch is not None and _is_refilled(reading, epoch):
        return CLEAR
    reached = _reached(reading, limits)
    if reached is not None:
        return _fire(reading, epoch, *reached)
    if epoch is not None and _is_near(reading, limits):
        return HOLD
    return CLEAR


def _reached(reading: Credits, limits: Limits) -> tuple[Level, float] | None:
    """Return the worst level that is reached and its limit in credits, inclusive."""
    remaining, share = reading.remaining or 0.0, reading.share_left
    allocated = reading.allocated or 0.0
    if remaining <= 0:
        return Level.EXHAUSTED, 0.0
    for level, limit in (
        (Level.CRITICAL, limits.critical_at),
        (Level.LOW, limits.warn_at),
    ):
        if share is not None and limit is not None and share <= limit:
            return level, limit * allocated
    if limits.floor is not None and remaining <= limits.floor:
        return Level.LOW, limits.floor
    return None


def _is_near(reading: Credits, limits: Limits) -> bool:
    """Say whether some limit is still within reach of the hysteresis."""
    remaining, share = reading.remaining or 0.0, reading.share_left
    widest = limits.warn_at if limits.warn_at is not None else limits.critical_at
    if share is not None and widest is not None and share <= widest * _HYSTERESIS:
        return True
    return limits.floor is not None and remaining <= limits.floor * _HYSTERESIS


def _is_refilled(reading: Credits, epoch: Epoch) -> bool:
    if (
        reading.allocated is not None
        and epoch.allocated is not None
        and reading.allocated > epoch.allocated
    ):
        return True
    if reading.remaining is None or epoch.lowest is None or not reading.allocated:
        return False
    return reading.remaining - epoch.lowest >= _REFILL * abs(reading.allocated)


def _fire(reading: Credits, epoch: Epoch | None, level: Level, limit: float) -> Verdict:
    remaining = reading.remaining or 0.0
    lowest = remaining
    if epoch is not None and epoch.lowest is not None:
        lowest = min(epoch.lowest, remaining)
    return Verdict(
        Step.FIRE,
        Severity.WARNING if level is Level.LOW else Severity.CRITICAL,
        level,
        _text(level, credits_text(remaining, reading.allocated)),
        value=remaining,
        limit=limit,
        evidence=Evidence(
            since=reading.read_at, allocated=reading.allocated, lowest=lowest
        ),
    )


def _text(level: Level, left: str) -> str:
    before = {Level.LOW: "credits low, ", Level.CRITICAL: "credits very low, "}
    return f"{before.get(level, '')}{left}"


def credits_text(remaining: float, allocated: float | None) -> str:
    """Return "12 % left (1,200 of 10,000 credits)", or without the share."""
    if not allocated or allocated <= 0:
        return f"{_number(remaining)} credits left"
    share = f"{_number(remaining)} of {_number(allocated)} credits"
    if remaining <= 0:
        return f"no credits left ({share})"
    percent = 100 * remaining / allocated
    shown = f"{percent:.0f}" if percent >= 1 else "less than 1"
    return f"{shown} % left ({share})"


def _number(number: float) -> str:
    """Return the number with separators; below 100 with what is behind its point."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.4g}"
