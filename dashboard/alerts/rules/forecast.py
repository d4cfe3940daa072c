"""Credits that run out soon at the pace of the last day."""

from dataclasses import dataclass
from datetime import datetime

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

# It clears above the limit times this, so that a pace that wavers does not flap.
_HYSTERESIS = 1.25


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a team's credits go; increases (refills) are not negative use.

    `span_h` is what the readings cover. With `auto_refill` there is no forecast: the
    next refill is not known. `faster` is a clearly faster pace of late, an hour, and of
    how many hours: it is told, and judges nothing.
    """

    per_hour: float
    remaining: float
    span_h: float
    readings: int
    auto_refill: bool = False
    faster: tuple[float, float] | None = None


def credits_forecast(pace: Pace | None, limits: Limits, now: datetime) -> Verdict:
    """Judge how long the credits last; the limits are hours, and lower is worse.

    None, for too few readings (three over an hour), decides nothing; nor do credits that
    are gone already, for which there is the rule of credits.
    """
    if pace is None or pace.remaining <= 0:
        return HOLD
    if pace.per_hour <= 0 or pace.auto_refill:
        return CLEAR
    hours = pace.remaining / pace.per_hour
    for level, severity, limit in (
        (Level.CRITICAL, Severity.CRITICAL, limits.critical_at),
        (Level.LOW, Severity.WARNING, limits.warn_at),
    ):
        if limit is not None and hours <= limit:
            return Verdict(
                Step.FIRE,
                severity,
                level,
                f"credits last {_hours(hours)} more at the pace of the "
                f"{last(pace.span_h)} ({pace.per_hour:,.4g} an hour){_faster(pace)}",
                value=hours,
                limit=limit,
                samples=pace.readings,
                evidence=Evidence(since=now),
            )
    widest = limits.warn_at if limits.warn_at is not None else limits.critical_at
    return HOLD if widest is not None and hours <= widest * _HYSTERESIS else CLEAR


def _faster(pace: Pace) -> str:
    """Return ", but 25 min at that of the last hour (837 an hour)", or ""."""
    if pace.faster is None:
        return ""
    per_hour, over_h = pace.faster
    left = _hours(pace.remaining / per_hour)
    return f", but {left} at that of the {last(over_h)} ({per_hour:,.4g} an hour)"


def last(hours: float) -> str:
    """Return "last hour" or "last 24 h"."""
    return "last hour" if round(hours) <= 1 else f"last {hours:.0f} h"


def _hours(hours: float) -> str:
    if hours * 60 < 1:
        return "less than 1 min"
    return f"{hours:.0f} h" if hours >= 2 else f"{hours * 60:.0f} min"
