"""Credits spent far faster than usual, and credits that the gateway no longer tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.alerts.rules.credits import Credits
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

# So many hours must be known before an hour can be called unusual.
LEAST_HOURS = 24
# Less than this share of the allocated credits in an hour is never worth an alarm.
LEAST_SHARE = 0.01
# It clears below its limit times this.
_HYSTERESIS = 0.7
# As many answers in a row must have told nothing.
_UNTOLD = 3
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a team spent in the last hour, and in the `hours` known of its last week.

    `typical` is the median of those, `highest` the most of them. `drops` are what makes
    the last hour, oldest first, each with the moment from which it was seen.
    """

    last_hour: float
    typical: float
    highest: float
    hours: int
    allocated: float | None
    drops: Sequence[tuple[datetime, float]] = ()


def is_notable(spent: float, allocated: float | None) -> bool:
    """Say whether an hour's spending is enough to be looked at."""
    return spent > 0 and spent >= LEAST_SHARE * (allocated or 0.0)


def credits_spike(
    spending: Spending | None, limits: Limits, now: datetime, *, is_open: bool
) -> Verdict:
    """Judge the last hour by the team's own week; the limits are how many times typical.

    Fires where it is also the most of all hours of the week: a team that works by day has
    an idle night for its typical hour. None, spending too small to look at, clears.
    """
    if spending is None or not is_notable(spending.last_hour, spending.allocated):
        return CLEAR
    if spending.hours < LEAST_HOURS:
        return HOLD
    # A typical hour of nothing would make any hour infinitely many times as much.
    least = LEAST_SHARE * (spending.allocated or 0.0) / 3
    times = spending.last_hour / max(spending.typical, least, 1e-9)
    if is_open or spending.last_hour > spending.highest:
        for level, severity, limit in (
            (Level.HIGH, Severity.CRITICAL, limits.critical_at),
            (Level.RAISED, Severity.WARNING, limits.warn_at),
        ):
            if limit is not None and times >= limit:
                return _spike(spending, times, (level, severity, limit), now)
    lowest = limits.warn_at if limits.warn_at is not None else limits.critical_at
    near = lowest is not None and times >= lowest * _HYSTERESIS
    return HOLD if is_open and near else CLEAR


def _spike(
    spending: Spending,
    times: float,
    reached: tuple[Level, Severity, float],
    now: datetime,
) -> Verdict:
    level, severity, limit = reached
    return Verdict(
        Step.FIRE,
        severity,
        level,
        f"{spending.last_hour:,.4g} credits spent in the last hour, more than in any of "
        f"the {spending.hours} hours before (typical {spending.typical:,.4g})",
        value=times,
        limit=limit,
        samples=spending.hours,
        evidence=Evidence(since=_began(spending, limit / times, now)),
    )


def _began(spending: Spending, share: float, now: datetime) -> datetime:
    """Return since when more is spent than the limit allows, as far as readings tell.

    `share` is the limit's share of the last hour. It is where the time until now begins
    that is furthest above that pace: what was spent slowly before brings it nearer again.
    """
    allowed, total, most = spending.last_hour * share, 0.0, 0.0
    began = now - _HOUR
    for at, used in reversed(spending.drops):
        total += used
        above = total - allowed * ((now - at) / _HOUR)
        if above > most:
            most, began = above, at
    return began


def credits_unknown(
    reading: Credits | None, answers_since: int, stale_after_s: float, now: datetime
) -> Verdict:
    """Judge whether the gateway has stopped to tell a team's credits.

    Fires when the latest known reading is stale though `answers_since` answers, three at
    least, have come since; a team whose credits were never told is no alarm.
    """
    if reading is None or not reading.is_known:
        return HOLD
    age_s = (now - reading.read_at).total_seconds()
    if age_s <= stale_after_s:
        return CLEAR
    if answers_since < _UNTOLD:
        return HOLD
    return Verdict(
        Step.FIRE,
        Severity.WARNING,
        text=f"the gateway answers, and has not told the credits for {age_s / 60:.0f} min",
        value=age_s,
        limit=stale_after_s,
        samples=answers_since,
        evidence=Evidence(since=reading.read_at),
    )
