"""The spans of time that a page can show; the choice is in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.datastructures import MultiValueDict


@dataclass(frozen=True, slots=True)
class Range:
    """A span that ends now, cut into `buckets` for its charts."""

    key: str
    words: str
    span: timedelta
    buckets: int

    def start(self, now: datetime) -> datetime:
        return now - self.span


# The buckets are whole minutes, hours or half days: what the rollups can tell.
RANGES: Mapping[str, Range] = {
    each.key: each
    for each in (
        Range("1h", "last hour", timedelta(hours=1), 60),
        Range("6h", "last 6 hours", timedelta(hours=6), 72),
        Range("24h", "last 24 hours", timedelta(hours=24), 48),
        Range("7d", "last 7 days", timedelta(days=7), 84),
        Range("30d", "last 30 days", timedelta(days=30), 60),
    )
}
DEFAULT = RANGES["24h"]


@dataclass(frozen=True, slots=True)
class Tab:
    """One choice of a row of choices."""

    word: str
    url: str
    is_current: bool


def chosen(query: MultiValueDict[str, str]) -> Range:
    """Return the range that the URL asks for, a day for anything unknown."""
    return RANGES.get(query.get("range") or "", DEFAULT)


def tabs(current: Range) -> list[Tab]:
    return [
        Tab(each.key, f"?range={each.key}", each is current) for each in RANGES.values()
    ]
