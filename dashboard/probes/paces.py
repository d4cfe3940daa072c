"""The periods that a probe had: a result stands for the one it had then."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from django.conf import settings

# The latest are kept for good. An older one is forgotten once no results of its time are
# kept: until then rollup rows can be rebuilt of them, each with the period it had. All
# pages read these, so that there is an end to it, which nobody reaches by hand.
LATEST, MOST = 50, 200
Stored: TypeAlias = list[list[int | str]]


class Pace(NamedTuple):
    period_s: int
    until: datetime


class Periods(NamedTuple):
    """The period of today, and those before it, the oldest first."""

    period_s: int
    before: Sequence[Pace] = ()

    def at(self, moment: datetime) -> int:
        """Return the period at a moment; before the oldest that is known, that one."""
        place = bisect_right(self.before, moment, key=attrgetter("until"))
        own: Pace | Periods = self.before[place] if place < len(self.before) else self
        return own.period_s

    def is_known(self, moment: datetime) -> bool:
        """Say whether it was noted; it was not before the first change that was."""
        return bool(self.before) and moment >= self.before[0].until


def changed_pace(stored: Stored, before_s: int, period_s: int, now: datetime) -> Stored:
    """Return a probe's earlier periods after it was given `period_s`."""
    if period_s == before_s:
        return stored
    # In order also after the clock went back.
    at = max([now, *(pace.until for pace in _paces(stored[-1:]))])
    noted: Stored = [*stored, [before_s, at.isoformat()]]
    older, latest = noted[:-LATEST], noted[-LATEST:]
    # Results are kept in whole days.
    kept_from = now - timedelta(days=settings.RETENTION_DAYS["raw"] + 1)
    kept = [
        note
        for note, pace in zip(older, _paces(older), strict=True)
        if pace.until >= kept_from
    ]
    return [*kept, *latest][-MOST:]


def periods_from(period_s: int, stored: Stored) -> Periods:
    """Return a probe's periods from its two columns."""
    return Periods(period_s, tuple(_paces(stored)))


def _paces(stored: Stored) -> Iterator[Pace]:
    for before_s, until in stored:
        yield Pace(int(before_s), datetime.fromisoformat(str(until)))
