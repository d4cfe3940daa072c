"""How a circuit breaker is shown."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from dashboard.probes.queries import BreakerView
from dashboard.probes.taxonomy import in_words
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

_TONES = {
    "closed": Tone.OK,
    "forced_closed": Tone.OK,
    "half_open": Tone.WARN,
    "open": Tone.BAD,
    "forced_open": Tone.BAD,
}


@dataclass(frozen=True, slots=True)
class BreakerRow:
    badge: Badge
    place: str
    endpoint: str
    since: SafeString
    next_try: SafeString
    reason: str


def breaker_row(breaker: BreakerView, now: datetime) -> BreakerRow:
    team = breaker.probe.team if breaker.probe else None
    return BreakerRow(
        badge=Badge(_TONES[breaker.state.value], breaker.state.replace("_", "-")),
        place=str(team or breaker.gateway),
        endpoint=breaker.endpoint,
        since=words.time(breaker.opened_at, now, "–"),  # noqa: RUF001 (a dash)
        next_try=words.time(breaker.next_try_at, now, "–"),  # noqa: RUF001 (a dash)
        reason=in_words(breaker.reason),
    )
