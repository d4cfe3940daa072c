"""Prove that rollups equal their outcomes, and make them so.

Outcomes are kept in whole days of UTC, so a day that has any is complete: only those days
are looked at. Older rollups are all that is left of their time and are never touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, Stretch
from dashboard.probes.models import Outcome, Probe
from dashboard.rollups import store
from dashboard.rollups.models import Rollup
from dashboard.rollups.retention import is_kept, kept_from
from dashboard.rollups.services import by_period, periods_of, standing
from dashboard.rollups.tally import LEVELS, Key, Tally

_DAY = timedelta(seconds=DAY_S)
_COLUMNS = (
    "probe_id",
    "started_at",
    "latency_us",
    "connect_us",
    "tls_us",
    "first_byte_us",
    "error_class",
    "attempts",
    "maintenance",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A bucket whose row is not what its outcomes make; None where there is none."""

    key: Key
    expected: float
    stored: Tally | None
    true: Tally | None


def check(since: datetime, now: datetime) -> Iterator[Difference]:
    """Yield each bucket whose row differs from its outcomes."""
    for probe_id, day in _complete_days(since, now):
        with transaction.atomic():
            store.lock()
            found = _differences(probe_id, day, now)
        yield from found


def rebuild(since: datetime, now: datetime) -> Iterator[Difference]:
    """Mend each bucket whose row differs, a probe's day in a transaction; yield them."""
    for probe_id, day in _complete_days(since, now):
        with transaction.atomic():
            store.lock()
            found = _differences(probe_id, day, now)
            _mend(found)
        yield from found


def _complete_days(since: datetime, now: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield each probe and day whose outcomes are all there, from `since` until now."""
    first_kept = max(kept_from("raw", now), buckets.floor(since, DAY_S))
    probes = Probe.objects.order_by("pk").annotate(first=Min("outcomes__started_at"))
    for probe_id, first in probes.values_list("pk", "first"):
        day = max(first_kept, buckets.floor(first, DAY_S)) if first else now
        while day < now:
            yield probe_id, day
            day += _DAY


def _differences(probe_id: int, day: datetime, now: datetime) -> list[Difference]:
    levels = [level for level in LEVELS if is_kept(level, day, now)]
    outcomes = Outcome.objects.filter(
        probe_id=probe_id,
        started_at__gte=day,
        started_at__lt=day + _DAY,
        misdated=False,
    ).only(*_COLUMNS)
    rows = store.rows_in([probe_id], [Stretch(lvl, day, day + _DAY) for lvl in levels])
    periods = periods_of([probe_id])
    made = standing(by_period(outcomes, periods), rows, periods)
    stored = {key: part for key, (_, part) in rows.items()}
    true = {key: part for key, (_, part) in made.items() if key.level in levels}
    return [
        Difference(key, (made.get(key) or rows[key])[0], stored.get(key), true.get(key))
        for key in sorted(stored.keys() | true.keys())
        if stored.get(key) != true.get(key)
    ]


def _mend(differences: list[Difference]) -> None:
    store.write(
        {each.key: (each.expected, each.true) for each in differences if each.true}
    )
    for each in differences:
        if each.true is None:
            Rollup.objects.filter(**each.key._asdict()).delete()
