"""The spans of time that a page can show; the whole choice is in the URL.

A range is one of the presets, which end now and move on, or free: `from` and `to`, as a
form sends them (in the visitor's zone) or with an offset, as links and charts do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from dashboard.web import words


class Preset(NamedTuple):
    words: str
    span: timedelta
    buckets: int


# The buckets are whole minutes, hours or half days: what the rollups can tell.
PRESETS: Mapping[str, Preset] = {
    "1h": Preset("last hour", timedelta(hours=1), 60),
    "6h": Preset("last 6 hours", timedelta(hours=6), 72),
    "24h": Preset("last 24 hours", timedelta(hours=24), 48),
    "7d": Preset("last 7 days", timedelta(days=7), 84),
    "30d": Preset("last 30 days", timedelta(days=30), 60),
    "90d": Preset("last 90 days", timedelta(days=90), 90),
}
DEFAULT = "24h"
# What an address says of its range.
PARAMETERS = ("range", "from", "to")
# A chart's points are a few pixels apart, and its table can still be read.
_MOST_BUCKETS = 72
_SHORTEST = timedelta(minutes=1)
# Days are kept for three years; a longer range would only be slow.
_LONGEST = timedelta(days=3 * 366)
# The longest preset; three years of credits are 26,000 hours of one team.
_LONG = timedelta(days=90)
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Range:
    """[start, end), cut into `buckets` for its charts.

    `key` is "" for a free range, and `problem` says what was wrong with the one that was
    asked for. `asked` is what the URL has to say to get the same page again.
    """

    key: str
    words: str
    start: datetime
    end: datetime
    buckets: int
    compares: bool = False
    problem: str = ""
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def span(self) -> timedelta:
        return self.end - self.start

    @property
    def is_live(self) -> bool:
        """Say whether it ends now, so that there will be more to show in a moment."""
        return self.key != ""

    def before(self) -> "Range":
        """Return the period of the same length that this one follows."""
        return replace(self, start=self.start - self.span, end=self.start)

    def url(self, **changes: str) -> str:
        """Return the same page's address with some parameters changed, "" for none."""
        kept = {**self.asked, **changes}
        return "?" + urlencode({name: value for name, value in kept.items() if value})

    def link(self) -> str:
        """Return the range's own parameters, to be put behind another page's address."""
        return urlencode({n: self.asked[n] for n in PARAMETERS if self.asked.get(n)})


@dataclass(frozen=True, slots=True)
class Tab:
    """One choice of a row of choices."""

    word: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class RangeBar:
    """What the bar above the charts offers; `since` and `until` fill its two fields.

    `zooms` where there are charts over which one can drag. A page whose cost grows
    with the range renews itself seldom where that `is_long`.
    """

    tabs: list[Tab]
    compare: Tab | None
    since: str
    until: str
    words: str
    problem: str
    kept: list[tuple[str, str]]
    zone: str
    zooms: bool
    is_long: bool


def chosen(
    query: MultiValueDict[str, str], now: datetime, default: str = DEFAULT
) -> Range:
    """Return the range that the URL asks for, the default for anything unknown."""
    compares = query.get("compare") == "1"
    kept = {"compare": "1"} if compares else {}
    since, until = query.get("from") or "", query.get("to") or ""
    if since or until:
        free = _free(_moment(since), _moment(until), now)
        if free:
            named = {"from": stamp(free.start), "to": stamp(free.end)}
            return replace(free, compares=compares, asked={**named, **kept})
    key = query.get("range") or ""
    key = key if key in PRESETS else default
    preset = PRESETS[key]
    return Range(
        key=key,
        words=preset.words,
        start=now - preset.span,
        end=now,
        buckets=preset.buckets,
        compares=compares,
        problem="That is no range of time: it needs a start before its end, both past."
        if since or until
        else "",
        asked={"range": key, **kept},
    )


def bar(
    current: Range, *, may_compare: bool = True, zooms: bool = True, **others: str
) -> RangeBar:
    """Return the bar for a range; `others` are parameters that each choice keeps."""
    kept = {name: value for name, value in others.items() if value}
    shown = replace(current, asked={**current.asked, **kept})
    free = {"from": "", "to": ""}
    return RangeBar(
        tabs=[
            Tab(key, shown.url(range=key, **free), key == current.key)
            for key in PRESETS
        ],
        compare=Tab(
            "compare with the time before",
            shown.url(compare="" if current.compares else "1"),
            current.compares,
        )
        if may_compare
        else None,
        since=_field(current.start),
        until=_field(current.end),
        words=current.words,
        problem=current.problem,
        kept=[*kept.items(), *([("compare", "1")] if current.compares else [])],
        zone=words.zone(),
        zooms=zooms,
        is_long=current.span > _LONG,
    )


def stamp(at: datetime) -> str:
    """Return a moment as a URL names it: UTC to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _free(
    since: datetime | None, until: datetime | None, now: datetime
) -> Range | None:
    end = min(until or now, now)
    start = max(since or end - PRESETS[DEFAULT].span, _FIRST, end - _LONGEST)
    if (until is None and since is None) or end - start < _SHORTEST:
        return None
    minutes = (end - start) // timedelta(minutes=1)
    return Range(
        key="",
        words=f"{words.minute(start)} to {words.minute(end)}",
        start=start,
        end=end,
        buckets=max(1, min(_MOST_BUCKETS, minutes)),
    )


def _moment(text: str) -> datetime | None:
    """Return the moment, None for what is none; without an offset it is local."""
    try:
        found = datetime.fromisoformat(text[:40])
        if found.tzinfo is None:
            found = found.replace(tzinfo=timezone.get_current_timezone())
        return max(found.astimezone(UTC), _FIRST)
    except (ValueError, OverflowError):
        return None


def _field(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%dT%H:%M")
