"""How a team's credits are shown: left of allocated, how old, how long they last."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from dashboard.teams.models import CreditReading
from dashboard.teams.queries import Burn
from dashboard.web import credit_levels, words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone


@dataclass(frozen=True, slots=True)
class Credits:
    """`bar` is how much of a bar of width 100 is filled; None draws no bar."""

    badge: Badge
    left: str
    bar: float | None
    read_at: SafeString


def credits_of(reading: CreditReading | None, now: datetime) -> Credits:
    if reading is None:
        return Credits(
            Badge(Tone.UNKNOWN, "unknown", "no reading yet"),
            "unknown",
            None,
            words.time(None, now, "never read"),
        )
    tone, word = credit_levels.level(reading)
    share = credit_levels.share_left(reading)
    return Credits(
        badge=Badge(tone, word),
        left=credit_levels.left_words(reading),
        bar=None if share is None else round(min(1.0, max(0.0, share)) * 100, 1),
        read_at=words.time(reading.read_at, now),
    )


def runway(burn: Burn | None) -> str:
    """Return how long the credits last at the pace of the last day, with its basis."""
    if burn is None:
        return "too few readings"
    if burn.hours_left is None:
        return "nothing used lately"
    if burn.remaining <= 0:
        return "used up"
    return f"about {words.roughly(burn.hours_left * 3600)}"


def pace(burn: Burn | None) -> str:
    if burn is None:
        return ""
    span = words.roughly(burn.span.total_seconds())
    basis = f"from {words.count(burn.readings, 'reading')} over {span}"
    return f"{words.number(burn.per_hour)} credits an hour, {basis}"
