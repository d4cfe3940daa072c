"""How many outcomes were to be expected of a probe in a time; pure.

A row knows what its probe's period promised then; so does it for the hole behind it,
since a probe that runs every five minutes has a row in each fifth only. The first row
judges the hole before it, and the period of today what comes after the last one. From
the first change of its period on that is noted, the notes judge it all.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from dashboard.lib import buckets
from dashboard.probes.paces import Periods
from dashboard.probes.rests import Rest, awake_s
from dashboard.rollups.tally import LEVELS, Key, Tally

_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_LENGTHS = {level: timedelta(seconds=level) for level in LEVELS}


class Step(NamedTuple):
    """One outcome every `period_s` in [start, end)."""

    start: datetime
    end: datetime
    period_s: int


@dataclass(frozen=True, slots=True)
class Promises:
    """What a probe promised, in steps of one period each, and when it rested.

    `came` counts the outcomes of the rows in which it did: no less is expected of them.
    """

    steps: Sequence[Step]
    rests: Sequence[Rest]
    came: Mapping[Key, int]

    def expected(self, start: datetime, end: datetime) -> float:
        """Return how many outcomes [start, end) should have."""
        expected = self._counted(start, end, self.rests)
        for key, came in self.came.items():
            begins = max(start, key.start)
            ends = min(end, key.start + _LENGTHS[key.level])
            if begins < ends:
                least = min(came, self._counted(begins, ends, ()))
                expected += max(0.0, least - self._counted(begins, ends, self.rests))
        return expected

    def _counted(self, start: datetime, end: datetime, rests: Sequence[Rest]) -> float:
        counted = 0.0
        first = bisect_right(self.steps, start, key=_start_of) - 1
        for step in self.steps[max(0, first) :]:
            if step.start >= end:
                break
            begins, ends = max(start, step.start), min(end, step.end)
            counted += awake_s(rests, begins, ends) / step.period_s
        return counted


_start_of = attrgetter("start")


def promises(
    rows: Mapping[Key, tuple[float, Tally]],
    periods: Periods,
    rests: Sequence[Rest],
    *,
    is_on: bool,
) -> Promises:
    """Return what a probe promised, from its rows and its periods.

    Of one that is off nothing is expected where it has no rows.
    """
    steps = _steps(rows, periods.at(_EVER), is_on=is_on)
    if periods.before:
        steps = list(_noted(steps, periods))
    came = {
        key: tally.samples + tally.excluded
        for key, (_, tally) in (rows.items() if rests else ())
        if _has_rest(key, rests)
    }
    return Promises(steps, rests, came)


def _steps(
    rows: Mapping[Key, tuple[float, Tally]], last_s: int, *, is_on: bool
) -> list[Step]:
    """Return the steps of the rows and of the holes between them, `last_s` at the end."""
    # From each turn on it ran every so many seconds; 0: not at all.
    turns: list[tuple[datetime, int]] = []
    counted_to, period_s = _EVER, 0
    for key, (promised, _) in sorted(rows.items(), key=_start_of_row):
        if not is_on and key.start > counted_to:
            turns.append((counted_to, 0))
            period_s = 0
        here_s = round(key.level / promised)
        if here_s != period_s:
            turns.append((key.start, here_s))
            period_s = here_s
        counted_to = key.start + _LENGTHS[key.level]
    turns.append((counted_to, last_s if is_on else 0))
    if is_on:
        turns[0] = _EVER, turns[0][1]
    return [
        Step(start, end, period_s)
        for (start, period_s), (end, _) in pairwise([*turns, (_NEVER, 0)])
        if period_s
    ]


def _start_of_row(row: tuple[Key, object]) -> datetime:
    return row[0].start


def _noted(steps: Iterable[Step], periods: Periods) -> Iterator[Step]:
    """Cut steps where the period changed, and take the one that was noted then."""
    first, *others = periods.before
    edges = [first.until, *(pace.until for pace in others), _NEVER]
    told = [*(pace.period_s for pace in others), periods.period_s]
    known = [
        Step(start, end, period_s)
        for (start, end), period_s in zip(pairwise(edges), told, strict=True)
    ]
    for step in steps:
        if step.start < first.until:
            yield step._replace(end=min(step.end, first.until))
        at = bisect_right(known, step.start, key=_start_of) - 1
        for own in known[max(0, at) :]:
            if own.start >= step.end:
                break
            start, end = max(own.start, step.start), min(own.end, step.end)
            if start < end:
                yield Step(start, end, own.period_s)


def _has_rest(key: Key, rests: Sequence[Rest]) -> bool:
    ends = key.start + _LENGTHS[key.level]
    return awake_s(rests, key.start, ends) < buckets.seconds(key.start, ends)
