"""The times in which a probe was switched off: nothing was expected of it then."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from dashboard.lib import buckets

# Beyond so many the two oldest become one: what lies between them is not expected either.
MOST = 50
Stored: TypeAlias = list[list[str | None]]


class Rest(NamedTuple):
    """None is since ever, and still."""

    start: datetime | None
    end: datetime | None


# Of a probe that was never on.
NEVER_ON: Stored = [[None, None]]


def switched(stored: Stored, now: datetime, *, on: bool) -> Stored:
    """Return a probe's rests after it was switched on or off."""
    is_off = bool(stored) and stored[-1][1] is None
    at = now.isoformat()
    if on:
        return [*stored[:-1], [stored[-1][0], at]] if is_off else stored
    rests = stored if is_off else [*stored, [at, None]]
    if len(rests) > MOST:
        (start, _), (_, end), *others = rests
        return [[start, end], *others]
    return rests


def rests_of(stored: Stored) -> tuple[Rest, ...]:
    return tuple(Rest(_moment(start), _moment(end)) for start, end in stored)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def awake_s(rests: Sequence[Rest], start: datetime, end: datetime) -> float:
    """Return for how many seconds of [start, end) a probe was on."""
    return buckets.seconds(start, end) - sum(_overlaps_s(rests, start, end))


def _overlaps_s(
    rests: Iterable[Rest], start: datetime, end: datetime
) -> Iterable[float]:
    for rest in rests:
        begins = start if rest.start is None else max(start, rest.start)
        ends = end if rest.end is None else min(end, rest.end)
        yield buckets.seconds(begins, ends)
