"""Write rollups: fold new outcomes in; what is too old is pruned."""

from collections.abc import Collection, Iterable

from dashboard.probes.models import Probe
from dashboard.rollups import store
from dashboard.rollups.retention import prune
from dashboard.rollups.tally import Key, Sample, by_bucket, merged

__all__ = ["expectations", "fold", "periods_s", "prune"]


def fold(outcomes: Iterable[Sample]) -> None:
    """Count outcomes in their minute, hour and day, in the caller's transaction.

    The caller inserted exactly these outcomes in the same transaction: the unique key of
    an outcome is what keeps it from being counted twice.
    """
    tallies = by_bucket(outcomes)
    if not tallies:
        return
    store.lock()
    stored = store.rows_of(tallies)
    new = expectations(key for key in tallies if key not in stored)
    rows: store.Rows = {}
    for key, part in tallies.items():
        if key in stored:
            expected, before = stored[key]
            rows[key] = expected, merged((before, part))
        else:
            rows[key] = new[key], part
    store.write(rows)


def expectations(keys: Iterable[Key]) -> dict[Key, float]:
    """Return how many outcomes the probes' periods promise for whole buckets."""
    keys = list(keys)
    periods = periods_s({key.probe_id for key in keys})
    return {key: key.level / periods[key.probe_id] for key in keys}


def periods_s(probe_ids: Collection[int]) -> dict[int, int]:
    if not probe_ids:
        return {}
    found = Probe.objects.filter(pk__in=probe_ids)
    return dict(found.values_list("pk", "period_s"))
