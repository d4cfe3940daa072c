"""A circuit breaker that is open."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Limits,
    Severity,
    Step,
    Verdict,
)
from dashboard.probes.taxonomy import in_a_sentence, meaning

# A breaker that opened as often in half an hour is told, however short it was open.
_MOST_OPENINGS = 3
OPENINGS_WITHIN = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class BreakerSight:
    """One breaker now; `state` is "closed", "open" or "half_open".

    `openings` counts how often it opened in the last half hour; `in_a_row` says that so
    many failures opened it, and not the share of its latest calls.
    """

    state: str
    endpoint: str = ""
    failures: int = 0
    opened_at: datetime | None = None
    failed_after: datetime | None = None
    reason: str = ""
    openings: int = 1
    in_a_row: bool = True
    key: str = ""


def breaker_open(
    breaker: BreakerSight | None, limits: Limits, now: datetime
) -> Verdict:
    """Judge a breaker; None is one that is no longer stored, and so closed.

    Half open decides nothing: the trial will. Fires when it has been open for `for_s`,
    from the first opening and not from the latest failed trial, or opened three times in
    half an hour.
    """
    if breaker is None or breaker.state.endswith("closed"):
        return CLEAR
    if breaker.state != "open":
        return HOLD
    since = breaker.opened_at or now
    often = breaker.openings >= _MOST_OPENINGS
    if (now - since).total_seconds() < limits.for_s and not often:
        return HOLD
    error_class = _class_of(breaker.reason)
    why = f": {in_a_sentence(meaning(error_class).title)}" if error_class else ""
    times = _times(breaker)
    again = f", opened {breaker.openings} times in 30 min" if often else ""
    return Verdict(
        Step.FIRE,
        Severity.WARNING,
        text=f"breaker of {breaker.endpoint} is open{times}{again}{why}",
        value=float(breaker.failures),
        error_class=error_class,
        evidence=Evidence(
            since=since,
            latest=breaker.failed_after,
            endpoint=breaker.endpoint,
            key=breaker.key,
        ),
    )


def _times(breaker: BreakerSight) -> str:
    if not breaker.in_a_row and breaker.failures:
        return " after half of the latest calls failed"
    if breaker.failures > 1:
        return f" after {breaker.failures} failures in a row"
    return ""


def _class_of(reason: str) -> str:
    """Return the reason where it is an error class, else nothing."""
    try:
        meaning(reason)
    except ValueError:
        return ""
    return reason
