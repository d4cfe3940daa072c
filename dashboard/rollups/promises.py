"""How many outcomes were to be expected of a probe in a time; pure.

A row knows what its probe's period promised then; so does it for the hole behind it,
since a probe that runs every five minutes has a row in each fifth only. The first row
judges the hole before it, and the period of today what comes after the last one. From
the first change of its period on that is noted, the notes judge it all.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from dashboard.lib import buckets
from dashboard.probes.paces import Periods
from dashboard.probes.rests import Rest, awake_s
from dashboard.rollups.tally import LEVELS, Key

_EVER = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)
_LENGTHS = {level: timedelta(seconds=level) for level in LEVELS}


class Promised(NamedTuple):
    """What is known of a row: how many outcomes it promised, and how many came."""

    key: Key
    expected: float
    came: int


class Step(NamedTuple):
    """One outcome every `period_s` in [start, end)."""

    start: datetime
    end: datetime
    period_s: int


@dataclass(frozen=True, slots=True)
class Promises:
    """What a probe promised, in steps of one period each, and when it rested.

    `rows` are those in which it did: of them no less is expected than what came.
    """

    steps: Sequence[Step]
    rests: Sequence[Rest] = ()
    rows: Sequence[Promised] = ()

    def expected(self, start: datetime, end: datetime) -> float:
        """Return how many outcomes [start, end) should have."""
        expected = self._counted(start, end, self.rests)
        for key, _, came in self.rows:
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
    rows: Sequence[Promised], periods: Periods, rests: Sequence[Rest], *, is_on: bool
) -> Promises:
    """Return what a probe promised, from its rows and its periods.

    Of one that is off nothing is expected where it has no rows.
    """
    steps: list[Step] = []
    counted_to, pace_s = _EVER, 0
    for key, expected, _ in sorted(rows, key=_start_of_row):
        here_s = round(key.level / expected)
        if is_on and key.start > counted_to:
            _add(steps, Step(counted_to, key.start, pace_s or here_s))
        counted_to, pace_s = key.start + _LENGTHS[key.level], here_s
        _add(steps, Step(key.start, counted_to, here_s))
    if is_on:
        _add(steps, Step(counted_to, _NEVER, periods.at(_EVER)))
    if periods.before:
        steps = [part for step in steps for part in _noted(step, periods)]
    return Promises(steps, rests, [row for row in rows if _has_rest(row.key, rests)])


def _start_of_row(row: Promised) -> datetime:
    return row.key.start


def _add(steps: list[Step], step: Step) -> None:
    """Append a step, or lengthen the last one by it."""
    last = steps[-1] if steps else None
    if last and last.end == step.start and last.period_s == step.period_s:
        steps[-1] = last._replace(end=step.end)
    else:
        steps.append(step)


def _noted(step: Step, periods: Periods) -> Iterator[Step]:
    """Cut a step where the period changed, and take the one that was noted then."""
    first, *others = periods.before
    told = [step.period_s, *(pace.period_s for pace in others), periods.period_s]
    edges = [_EVER, first.until, *(pace.until for pace in others), _NEVER]
    for period_s, (begins, ends) in zip(told, pairwise(edges), strict=True):
        start, end = max(begins, step.start), min(ends, step.end)
        if start < end:
            yield Step(start, end, period_s)


def _has_rest(key: Key, rests: Sequence[Rest]) -> bool:
    if not rests:
        return False
    ends = key.start + _LENGTHS[key.level]
    return awake_s(rests, key.start, ends) < buckets.seconds(key.start, ends)
