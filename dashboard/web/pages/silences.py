"""What the page of silences shows."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import RuleKind, Silence
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

PAGE_SIZE = 50
_LAST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """One silence; `end_url` is empty where the visitor may not end it."""

    badge: Badge
    what: str
    reason: str
    author: str
    starts: SafeString
    ends: SafeString
    end_url: str


@dataclass(frozen=True, slots=True)
class Silences:
    rows: list[SilenceRow]
    longer_url: str
    shorter_url: str


def silences(
    seen: QuerySet[Silence],
    operable_team_ids: Collection[int],
    place: int,
    now: datetime,
    *,
    for_all: bool,
) -> Silences:
    """Return page number `place` (from 1) of the silences, those that last longest first.

    Of one team alone there may be a whole page of them.
    """
    place = min(max(place, 1), _LAST_PAGE)
    first = (place - 1) * PAGE_SIZE
    ordered = seen.order_by("-ends_at", "-pk")
    found = list(ordered[first : first + PAGE_SIZE + 1])
    return Silences(
        rows=[
            _row(each, now, may_end=for_all or each.team_id in operable_team_ids)
            for each in found[:PAGE_SIZE]
        ],
        longer_url=f"?page={place - 1}" if place > 1 else "",
        shorter_url=f"?page={place + 1}" if len(found) > PAGE_SIZE else "",
    )


def _row(silence: Silence, now: datetime, *, may_end: bool) -> SilenceRow:
    is_over = silence.ends_at <= now
    if is_over:
        badge = Badge(Tone.OFF, "over")
    elif silence.starts_at > now:
        badge = Badge(Tone.UNKNOWN, "coming")
    else:
        badge = Badge(Tone.WARN, "active")
    return SilenceRow(
        badge=badge,
        what=_what(silence),
        reason=silence.reason,
        author=str(silence.author or "unknown"),
        starts=words.clock(silence.starts_at, now),
        ends=words.clock(silence.ends_at, now),
        end_url=reverse("end_silence", args=[silence.pk])
        if may_end and not is_over
        else "",
    )


def _what(silence: Silence) -> str:
    kind = RuleKind(silence.kind).label if silence.kind else "All alarms"
    if silence.maintenance:
        kind = "Maintenance"
    place = silence.probe or silence.team or silence.gateway
    if silence.team and not (silence.probe or silence.kind or silence.maintenance):
        return f"{kind} of {place} itself, none of its whole gateway"
    return f"{kind} of {place}" if place else f"{kind} of everything"
