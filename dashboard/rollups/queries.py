"""Every number that pages, rules and metrics read, at a cost that does not grow with age.

Windows are half-open, by the start of an outcome. All of these ask a constant number of
queries, whatever the number of probes.

    total       all of some probes together
    grouped     together by whatever the caller says: by_kind, by_team
    series      about so many pieces of time, also whole days of a time zone
    course      a window as a whole and in pieces, also with the one before it
"""

from bisect import bisect_right
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from operator import attrgetter
from typing import TypeVar

from django.db.models import TextField
from django.db.models.functions import Cast, Coalesce

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, HOUR_S, MINUTE_S, Stretch
from dashboard.probes.kinds import NEED_KEY
from dashboard.probes.models import Probe
from dashboard.probes.paces import periods_from
from dashboard.probes.rests import rests_of
from dashboard.rollups import store
from dashboard.rollups.numbers import Part, Summary, part_of, summary, together
from dashboard.rollups.promises import Promises, promises
from dashboard.rollups.retention import is_kept
from dashboard.rollups.tally import Tally

G = TypeVar("G", bound=Hashable)

_SHORT = timedelta(hours=6)
_MEDIUM = timedelta(hours=48)
# A row is read and merged in some 10 µs. Beyond so many a series takes coarser rows,
# unless too few pieces were left of it.
_MOST_ROWS = 5_000
_LEAST_PIECES = 6


@dataclass(frozen=True, slots=True)
class _Seen:
    """One probe's rows in a window, and what was to be expected of it.

    `begins` is the moment before which there was no such probe or key. What it promises
    is known from all that was read of it, however that is cut.
    """

    rows: store.Rows
    promises: Promises
    begins: datetime
    last_at: datetime | None

    def expected(self, start: datetime, end: datetime) -> float:
        """Return how many outcomes [start, end) should have."""
        return self.promises.expected(max(start, self.begins), end)

    def watched_s(self, start: datetime, end: datetime) -> float:
        """Return how many seconds of [start, end) there was such a probe."""
        return buckets.seconds(max(start, self.begins), end)


def total(
    probe_ids: Collection[int], start: datetime, end: datetime, now: datetime
) -> Summary:
    """Return the numbers of all these probes together."""
    return grouped({"": probe_ids}, start, end, now)[""]


def grouped(
    members: Mapping[G, Collection[int]], start: datetime, end: datetime, now: datetime
) -> dict[G, Summary]:
    """Return the numbers of each group of probes together; a probe may be in several."""
    stretches, end = _stretches(start, end, now)
    seen = _seen({pk for probe_ids in members.values() for pk in probe_ids}, stretches)
    start = stretches[0].start if stretches else start
    return {
        group: _summary([seen[pk] for pk in probe_ids if pk in seen], start, end, now)
        for group, probe_ids in members.items()
    }


def by_kind(probes: Iterable[Probe]) -> dict[str, list[int]]:
    """Return the groups of probes that ask the same operation."""
    return _members((probe.kind, probe.pk) for probe in probes)


def by_team(probes: Iterable[Probe]) -> dict[int, list[int]]:
    """Return the groups of each team's probes; the gateways' own are left out."""
    return _members((p.team_id, p.pk) for p in probes if p.team_id is not None)


def _members(pairs: Iterable[tuple[G, int]]) -> dict[G, list[int]]:
    members: dict[G, list[int]] = {}
    for group, probe_id in pairs:
        members.setdefault(group, []).append(probe_id)
    return members


def series(
    probe_ids: Collection[int],
    start: datetime,
    end: datetime,
    pieces: int,
    now: datetime,
    *,
    zone: tzinfo = UTC,
) -> list[Summary]:
    """Return the probes' numbers together, in about `pieces` equal pieces of time.

    Pieces are whole buckets of the coarsest level that is fine enough and still kept, so
    there are fewer of them where only coarse rows are left, or where finer ones would be
    very many; the last one may reach beyond `end`. A piece without outcomes is a hole.

    Pieces of a day or more are days of `zone`, of 23 and 25 hours where its clocks
    change, as long as hours are kept of all of them and not too many: else days of UTC.
    """
    return course(probe_ids, start, end, pieces, now, zone=zone).pieces


@dataclass(frozen=True, slots=True)
class Course:
    """A window as a whole, and in the pieces that `series` cuts it into.

    `before` is the equally long one before it, in as many pieces, where it was asked for.
    """

    whole: Summary
    pieces: list[Summary]
    before: "Course | None" = None


def course(
    probe_ids: Collection[int],
    start: datetime,
    end: datetime,
    pieces: int,
    now: datetime,
    *,
    zone: tzinfo = UTC,
    with_before: bool = False,
) -> Course:
    """Return a window's numbers and its pieces, of the same rows: two queries."""
    first = start - (end - start) if with_before else start
    level = _series_level(len(probe_ids), first, end, pieces, now)
    ranges = list(buckets.split(start, end, pieces, level=level))
    if not ranges:
        return Course(_summary([], start, end, now), [])
    if level == DAY_S and zone is not UTC:
        hours = len(probe_ids) * (end - first) // timedelta(hours=1)
        if is_kept(HOUR_S, first - timedelta(days=1), now) and hours <= _MOST_ROWS:
            days = buckets.width_s(start, end, pieces, level) // DAY_S
            ranges = list(buckets.local_days(start, end, zone, width=days))
            level = HOUR_S
    length = ranges[-1][1] - ranges[0][0]
    earlier = [(one - length, other - length) for one, other in ranges]
    read_from = earlier[0][0] if with_before else ranges[0][0]
    seen = _seen(probe_ids, [Stretch(level, read_from, ranges[-1][1])])
    # Found once and of all rows: a probe does not begin anew in the middle of them.
    parts = [
        _cut(found, [(read_from, ranges[0][0]), *ranges]) for found in seen.values()
    ]
    told = _course([part[1:] for part in parts], ranges, now)
    if not with_before:
        return told
    old = [_cut(part[0], earlier) for part in parts]
    return replace(told, before=_course(old, earlier, now))


def _course(
    cut: Sequence[Sequence[_Seen]],
    ranges: Sequence[tuple[datetime, datetime]],
    now: datetime,
) -> Course:
    """Return the numbers of some probes, whose rows are cut into these ranges."""
    together = [
        replace(found[0], rows={k: r for part in found for k, r in part.rows.items()})
        for found in cut
    ]
    return Course(
        whole=_summary(together, ranges[0][0], ranges[-1][1], now),
        pieces=[
            _summary([found[number] for found in cut], *piece, now)
            for number, piece in enumerate(ranges)
        ],
    )


def _stretches(
    start: datetime, end: datetime, now: datetime
) -> tuple[list[Stretch], datetime]:
    """Choose the rows that cover a window, and say where it ends.

    A window up to now may use the open bucket of a coarse level, which holds nothing
    later; one that ended before is closed with fine buckets.
    """
    length = end - start
    if length <= _SHORT and is_kept(MINUTE_S, start, now):
        fine, coarse = MINUTE_S, HOUR_S
    elif is_kept(HOUR_S, start, now):
        fine, coarse = HOUR_S, HOUR_S if length <= _MEDIUM else DAY_S
    else:
        fine, coarse = DAY_S, DAY_S
    if end >= now:
        return buckets.tile(
            start, buckets.ceil(end, coarse), fine=fine, coarse=coarse
        ), end
    return buckets.tile(start, end, fine=fine, coarse=coarse), buckets.ceil(end, fine)


def _series_level(
    probes: int, start: datetime, end: datetime, pieces: int, now: datetime
) -> int:
    length_s = (end - start).total_seconds()
    kept = [level for level in (DAY_S, HOUR_S, MINUTE_S) if is_kept(level, start, now)]
    fine_enough = [level for level in kept if level * pieces <= length_s]
    level = (fine_enough or kept[-1:] or [DAY_S])[0]
    if probes * length_s / level <= _MOST_ROWS:
        return level
    coarser = [
        each
        for each in kept
        if each > level and each * min(pieces, _LEAST_PIECES) <= length_s
    ]
    return (coarser or [level])[-1]


def _seen(probe_ids: Collection[int], stretches: Sequence[Stretch]) -> dict[int, _Seen]:
    """Read the probes' rows: one query a stretch, and one for the probes."""
    rows: dict[int, store.Rows] = {probe_id: {} for probe_id in probe_ids}
    for key, row in store.each_in(probe_ids, stretches):
        rows[key.probe_id][key] = row
    probes = Probe.objects.filter(pk__in=probe_ids).order_by("pk")
    # As text: Django's way from PostgreSQL's to a time takes twenty times as long.
    created_at = Cast(Coalesce("team__created_at", "gateway__created_at"), TextField())
    last_at = Cast("last_at", TextField())
    # A key that was only replaced is no beginning.
    key_at = Cast(Coalesce("team__keyed_since", "team__key_set_at"), TextField())
    return {
        probe_id: _Seen(
            rows=rows[probe_id],
            promises=promises(
                rows[probe_id],
                periods_from(period_s, paces),
                rests_of(rests),
                is_on=bool(enabled and (key or kind not in NEED_KEY)),
            ),
            begins=_beginning(
                rows[probe_id],
                _moment(max(created, key) if key and kind in NEED_KEY else created),
            ),
            last_at=_moment(last) if last else None,
        )
        for probe_id, kind, period_s, paces, enabled, rests, last, key, created in (
            probes.values_list(
                *("pk", "kind", "period_s", "paces", "enabled", "rests"),
                *(last_at, key_at, created_at),
            )
        )
    }


def _moment(text: str) -> datetime:
    """Return a time of UTC; SQLite keeps no zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _beginning(rows: store.Rows, created_at: datetime) -> datetime:
    """Return when the probe was made, or its first row if that is clearly earlier."""
    if not rows:
        return created_at
    first = min(rows, key=attrgetter("start"))
    row_ends = first.start + timedelta(seconds=first.level)
    return created_at if created_at < row_ends else first.start


def _cut(found: _Seen, ranges: Sequence[tuple[datetime, datetime]]) -> list[_Seen]:
    """Share the rows out among ranges that follow each other without gaps."""
    starts = [start for start, _ in ranges]
    rows: list[store.Rows] = [{} for _ in ranges]
    for key, row in found.rows.items():
        rows[bisect_right(starts, key.start) - 1][key] = row
    return [replace(found, rows=part) for part in rows]


def _summary(
    found: Sequence[_Seen], start: datetime, end: datetime, now: datetime
) -> Summary:
    until = min(end, now)
    part = _part(found, start, until)
    expected = sum(seen.expected(start, until) for seen in found)
    latest = [_latest_at(seen, start, end) for seen in found]
    return summary(
        part,
        start=start,
        end=end,
        now=now,
        expected=max(expected, part.tally.samples + part.tally.excluded),
        latest_at=max(filter(None, latest), default=None),
        watched_s=max((seen.watched_s(start, until) for seen in found), default=None),
    )


def _part(found: Iterable[_Seen], start: datetime, end: datetime) -> Part:
    """Put the rows of some probes together.

    The first result of one that is younger stands for more time than there was; of an
    older one it does not, whatever is made beside it.
    """
    old: list[Tally] = []
    young: list[Part] = []
    for seen in found:
        tallies = [tally for _, tally in seen.rows.values()]
        if seen.begins <= start:
            old += tallies
        elif tallies:
            young.append(part_of(tallies).within(seen.watched_s(start, end)))
    return together([part_of(old), *young] if old else young)


def _latest_at(seen: _Seen, start: datetime, end: datetime) -> datetime | None:
    if seen.last_at and start <= seen.last_at < end:
        return seen.last_at
    return max((key.start for key in seen.rows), default=None)
