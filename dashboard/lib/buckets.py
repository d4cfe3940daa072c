"""Buckets of time: whole minutes, hours and days of UTC, and ranges made of them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Stretch(NamedTuple):
    """Whole buckets of one level: [start, end)."""

    level: int
    start: datetime
    end: datetime


def floor(moment: datetime, level: int) -> datetime:
    """Return the start of the bucket of `level` seconds that `moment` is in."""
    return moment - ((moment - _EPOCH) % timedelta(seconds=level))


def ceil(moment: datetime, level: int) -> datetime:
    """Return the first bucket edge that is not before `moment`."""
    return moment + ((_EPOCH - moment) % timedelta(seconds=level))


def seconds(start: datetime, end: datetime) -> float:
    """Return the length of [start, end), 0.0 when it is empty."""
    return max(0.0, (end - start).total_seconds())


def tile(start: datetime, end: datetime, *, fine: int, coarse: int) -> list[Stretch]:
    """Cover [start, end) with coarse buckets inside and fine ones at the edges.

    The edges are widened to whole fine buckets; the stretches are in order, disjoint and
    without gaps. `coarse` is a multiple of `fine`.
    """
    start, end = floor(start, fine), ceil(end, fine)
    inner_start, inner_end = ceil(start, coarse), floor(end, coarse)
    if inner_start >= inner_end:
        return [Stretch(fine, start, end)] if start < end else []
    stretches = [
        Stretch(fine, start, inner_start),
        Stretch(coarse, inner_start, inner_end),
        Stretch(fine, inner_end, end),
    ]
    return [stretch for stretch in stretches if stretch.start < stretch.end]


def split(
    start: datetime, end: datetime, pieces: int, *, level: int
) -> Iterator[tuple[datetime, datetime]]:
    """Cut [start, end) into at most `pieces` + 1 equal ranges of whole buckets.

    The width is rounded up to whole buckets and the ranges are aligned to the level; the
    first one holds `start`, the last one holds the moment before `end`.
    """
    edge, width = (
        floor(start, level),
        timedelta(seconds=width_s(start, end, pieces, level)),
    )
    while edge < end:
        yield edge, edge + width
        edge += width


def local_days(
    start: datetime, end: datetime, zone: tzinfo, *, width: int = 1
) -> Iterator[tuple[datetime, datetime]]:
    """Cut [start, end) into whole days of `zone`, `width` days each, in UTC.

    A day in which the clocks change has 23 or 25 hours. Edges are rounded down to whole
    hours of UTC, which is where the rows are cut: in India they come half an hour early.
    """

    def midnight(day: date) -> datetime:
        return floor(datetime.combine(day, time.min, zone).astimezone(UTC), HOUR_S)

    day, step = start.astimezone(zone).date(), timedelta(days=width)
    while midnight(day) < end:
        yield midnight(day), midnight(day + step)
        day += step


def width_s(start: datetime, end: datetime, pieces: int, level: int) -> int:
    """Return the width of `split`'s ranges in seconds: a multiple of `level`."""
    whole, rest = divmod(end - start, timedelta(seconds=level) * pieces)
    return max(1, whole + bool(rest)) * level
