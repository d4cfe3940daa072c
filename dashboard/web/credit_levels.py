"""How much of a team's credits is left, in the steps that the pages colour."""

from dashboard.alerts.rulebook import CREDITS_CRITICAL, CREDITS_LOW
from dashboard.teams.models import CreditReading
from dashboard.web import words
from dashboard.web.states import Tone


def share_left(reading: CreditReading) -> float | None:
    """Return the fraction of the allocated credits that is left, if both are known."""
    if reading.remaining is None or not reading.allocated or reading.allocated < 0:
        return None
    return reading.remaining / reading.allocated


def level(reading: CreditReading) -> tuple[Tone, str]:
    """Return how urgent the reading is, and its word; unknown is never zero."""
    if reading.remaining is None:
        return Tone.UNKNOWN, "unknown"
    share = share_left(reading)
    if reading.remaining <= 0:
        return Tone.BAD, "exhausted"
    if share is not None and share <= CREDITS_CRITICAL:
        return Tone.BAD, "critical"
    if share is not None and share <= CREDITS_LOW:
        return Tone.WARN, "low"
    return Tone.OK, "enough"


def left_words(reading: CreditReading) -> str:
    """Return "12 % left (1,200 of 10,000 credits)"."""
    if reading.remaining is None:
        return "credits unknown"
    share = share_left(reading)
    left = words.number(reading.remaining)
    if share is None or reading.allocated is None:
        return f"{left} credits left"
    allocated = words.number(reading.allocated)
    return f"{words.percent(max(0.0, share))} left ({left} of {allocated} credits)"
