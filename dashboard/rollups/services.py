"""Write rollups: fold new outcomes in; what is too old is pruned."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from dashboard.probes.models import Probe
from dashboard.probes.paces import Periods, periods_from
from dashboard.rollups import store
from dashboard.rollups.retention import prune
from dashboard.rollups.tally import Key, Sample, Tally, by_bucket, merged, standing_for

__all__ = ["by_period", "fold", "periods_of", "prune", "standing"]

# Counts by the period that their outcomes stand for; None: for what their row promised.
Groups: TypeAlias = Mapping[int | None, Mapping[Key, Tally]]


def fold(outcomes: Iterable[Sample]) -> None:
    """Count outcomes in their minute, hour and day, in the caller's transaction.

    The caller inserted exactly these outcomes in the same transaction: the unique key of
    an outcome is what keeps it from being counted twice.
    """
    outcomes = list(outcomes)
    if not outcomes:
        return
    store.lock()
    periods = periods_of({outcome.probe_id for outcome in outcomes})
    groups = by_period(outcomes, periods)
    stored = store.rows_of({key for group in groups.values() for key in group})
    rows = standing(groups, stored, periods)
    for key, (expected, before) in stored.items():
        rows[key] = expected, merged((before, rows[key][1]))
    store.write(rows)


def periods_of(probe_ids: Collection[int]) -> dict[int, Periods]:
    found = Probe.objects.filter(pk__in=probe_ids)
    return {
        pk: periods_from(period_s, paces)
        for pk, period_s, paces in found.values_list("pk", "period_s", "paces")
    }


def by_period(outcomes: Iterable[Sample], periods: Mapping[int, Periods]) -> Groups:
    """Count outcomes into buckets, those of each known period of their probe apart."""
    groups: dict[int | None, list[Sample]] = defaultdict(list)
    for outcome in outcomes:
        own, at = periods[outcome.probe_id], outcome.started_at
        groups[own.at(at) if own.is_known(at) else None].append(outcome)
    return {period_s: by_bucket(group) for period_s, group in groups.items()}


def standing(
    groups: Groups, stored: store.Rows, periods: Mapping[int, Periods]
) -> store.Rows:
    """Return the rows of these counts, with the time that they stand for.

    A stored row keeps what was expected of it; of a new one it is what the probe's period
    at its start promises.
    """
    rows: store.Rows = {}
    for period_s, tallies in groups.items():
        for key, part in tallies.items():
            expected = (
                stored[key][0]
                if key in stored
                else key.level / periods[key.probe_id].at(key.start)
            )
            told = standing_for(part, period_s or round(key.level / expected))
            if key in rows:
                told = merged((rows[key][1], told))
            rows[key] = expected, told
    return rows
