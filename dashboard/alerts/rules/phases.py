"""From one evaluation to the next: pending, firing, easing, flapping.

An alarm is inactive, then pending while its rule must hold for a time, then firing, and
after its end it may have to stay good for a time before it is resolved. What is pending,
and since when it has been good again, is stored: a restart changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dashboard.alerts.rules.verdict import Step

# Fired or ended more often than this in this time, an alarm comes and goes; it ends
# after as long a calm.
MOST_CHANGES = 4
CALM = timedelta(minutes=30)


class Act(StrEnum):
    """What one verdict does to an alarm."""

    NOTHING = "nothing"
    WAIT = "wait"
    FORGET = "forget"
    OPEN = "open"
    KEEP = "keep"
    EASE = "ease"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Phase:
    """Where an alarm stands; `since` is when its waiting began.

    What waits is a pending alarm that its rule holds long enough, and an open one that
    it has been good long enough.
    """

    is_open: bool = False
    since: datetime | None = None


def act(step: Step, phase: Phase, wait_s: float, now: datetime) -> Act:
    """Return what a verdict does; `wait_s` is how long it must hold, or be good again.

    HOLD leaves a pending alarm pending, and starts the time of being good anew.
    """
    if phase.is_open:
        return _while_open(step, phase, wait_s, now)
    if step is Step.HOLD:
        return Act.NOTHING
    if step is Step.CLEAR:
        return Act.FORGET if phase.since else Act.NOTHING
    return Act.OPEN if _is_over(phase, wait_s, now) else Act.WAIT


def _while_open(step: Step, phase: Phase, wait_s: float, now: datetime) -> Act:
    if step is Step.FIRE:
        return Act.KEEP
    if step is Step.CLEAR:
        return Act.RESOLVE if _is_over(phase, wait_s, now) else Act.EASE
    return Act.FORGET if phase.since else Act.NOTHING


def _is_over(phase: Phase, wait_s: float, now: datetime) -> bool:
    since = phase.since or now
    return (now - since).total_seconds() >= wait_s
