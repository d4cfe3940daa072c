"""What rules count over windows that end now, widened to whole buckets."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q, QuerySet, Sum

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S, MINUTE_S, Stretch
from dashboard.rollups import store
from dashboard.rollups.models import Rollup
from dashboard.rollups.tally import Tally, merged

# Up to here a window is made of minutes, beyond of hours.
_LONGEST_OF_MINUTES_S = 2 * HOUR_S


class Counts(NamedTuple):
    """The outcomes in the error rate, and the failed ones among them."""

    samples: int
    bad: int


class Hour(NamedTuple):
    """One probe's counts of one hour."""

    start: datetime
    samples: int
    bad: int


def tallies(windows_s: Mapping[int, int], now: datetime) -> dict[int, Tally]:
    """Return what each probe saw in its own window; one query for each length."""
    found = minutes(windows_s, now)
    return {probe_id: merged(parts.values()) for probe_id, parts in found.items()}


def minutes(
    windows_s: Mapping[int, int], now: datetime
) -> dict[int, dict[datetime, Tally]]:
    """Return the same by the minutes that it is made of."""
    by_length: dict[int, list[int]] = {}
    for probe_id, window_s in windows_s.items():
        by_length.setdefault(window_s, []).append(probe_id)
    found: dict[int, dict[datetime, Tally]] = {probe_id: {} for probe_id in windows_s}
    for window_s, probe_ids in by_length.items():
        start = buckets.floor(now - timedelta(seconds=window_s), MINUTE_S)
        end = buckets.ceil(now, MINUTE_S)
        rows = store.rows_in(probe_ids, [Stretch(MINUTE_S, start, end)])
        for key, (_, part) in rows.items():
            found[key.probe_id][key.start] = part
    return found


def counts(
    probe_ids: Collection[int], windows_s: Iterable[int], now: datetime
) -> dict[int, dict[int, Counts]]:
    """Return each probe's counts by the length of the window; two queries at most."""
    found: dict[int, dict[int, Counts]] = {probe_id: {} for probe_id in probe_ids}
    windows_s = set(windows_s)
    short = {length for length in windows_s if length <= _LONGEST_OF_MINUTES_S}
    for level, lengths in ((MINUTE_S, short), (HOUR_S, windows_s - short)):
        if lengths and probe_ids:
            _count(found, level, lengths, now)
    return found


def _count(
    found: dict[int, dict[int, Counts]], level: int, lengths: set[int], now: datetime
) -> None:
    starts = {s: buckets.floor(now - timedelta(seconds=s), level) for s in lengths}
    sums = {}
    for length, start in starts.items():
        inside = Q(start__gte=start)
        sums[f"samples_{length}"] = Sum("samples", filter=inside, default=0)
        sums[f"bad_{length}"] = Sum("bad", filter=inside, default=0)
    rows = Rollup.objects.filter(
        level=level,
        probe__in=found,
        start__gte=min(starts.values()),
        start__lt=buckets.ceil(now, level),
    )
    for row in rows.order_by().values("probe").annotate(**sums):
        for length in lengths:
            told = Counts(row[f"samples_{length}"], row[f"bad_{length}"])
            found[row["probe"]][length] = told


def hours(
    probe_ids: Collection[int], start: datetime, end: datetime
) -> dict[int, list[Hour]]:
    """Return the whole hours of each probe inside [start, end); one query."""
    found: dict[int, list[Hour]] = {probe_id: [] for probe_id in probe_ids}
    rows = _whole_hours(probe_ids, start, end)
    columns = rows.values_list("probe", "start", "samples", "bad")
    for probe_id, hour, samples, bad in columns:
        found[probe_id].append(Hour(hour, samples, bad))
    return found


def in_whole_hours(
    probe_ids: Collection[int], start: datetime, end: datetime
) -> Counts:
    """Return the counts of the probes together, of the whole hours inside [start, end)."""
    sums = _whole_hours(probe_ids, start, end).aggregate(
        samples=Sum("samples", default=0), bad=Sum("bad", default=0)
    )
    return Counts(**sums)


def _whole_hours(
    probe_ids: Collection[int], start: datetime, end: datetime
) -> QuerySet[Rollup]:
    return Rollup.objects.filter(
        level=HOUR_S,
        probe__in=probe_ids,
        start__gte=buckets.ceil(start, HOUR_S),
        start__lt=buckets.floor(end, HOUR_S),
    )
