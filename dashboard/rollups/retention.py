"""What is kept for how long: whole days of UTC, as settings.RETENTION_DAYS says."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S
from dashboard.probes.models import Outcome, Probe
from dashboard.rollups.models import Level, Rollup
from dashboard.teams.models import CreditHour, CreditReading, Team

# A day of outcomes in one go would hold SQLite's write lock for some 400 ms. A batch is
# made smaller once it took longer than this, and larger when it took a quarter of it;
# the prober has its turn after each.
_HOLD_S = 0.02
_FIRST_BATCH, _LEAST_BATCH, _MOST_BATCH = 250, 10, 2000


def kept_from(name: str, now: datetime) -> datetime:
    """Return the first day of which a key of RETENTION_DAYS, as "raw", is kept."""
    days = settings.RETENTION_DAYS[name]
    return buckets.floor(now - timedelta(days=days), DAY_S)


def is_kept(level: int, moment: datetime, now: datetime) -> bool:
    return moment >= kept_from(Level(level).name.lower(), now)


def prune(now: datetime) -> dict[str, int]:
    """Delete what is older than its retention; return how many rows by their level.

    Oldest first and in small batches, each a transaction of its own, so that a prober
    never waits for the write lock longer than 50 ms. Credit readings go with the raw outcomes,
    their hours with the other hours.
    """
    raw_from, hours_from = kept_from("raw", now), kept_from("hour", now)
    deleted = {"raw": 0, "readings": 0}
    for probe_id in Probe.objects.values_list("pk", flat=True):
        old = Outcome.objects.filter(probe_id=probe_id, started_at__lt=raw_from)
        deleted["raw"] += delete_in_batches(old.order_by("started_at"))
    for team_id in Team.objects.values_list("pk", flat=True):
        readings = CreditReading.objects.filter(team_id=team_id, read_at__lt=raw_from)
        deleted["readings"] += delete_in_batches(readings.order_by("read_at"))
        hours = CreditHour.objects.filter(team_id=team_id, hour__lt=hours_from)
        deleted["readings"] += delete_in_batches(hours.order_by("hour"))
    for level in Level:
        name = level.name.lower()
        rows = Rollup.objects.filter(level=level, start__lt=kept_from(name, now))
        deleted[name] = delete_in_batches(rows.order_by("start"))
    return deleted


def delete_in_batches(rows: QuerySet[Any], first: int = _FIRST_BATCH) -> int:
    """Delete these, in their order, and what hangs on them; return how many of these.

    Each batch is a transaction of its own, as small as it takes to hold no lock for long;
    `first` is the size of the first one.
    """
    total, size = 0, first
    while batch := list(rows.values_list("pk", flat=True)[:size]):
        began_s = time.monotonic()
        rows.model._default_manager.filter(pk__in=batch).delete()  # noqa: SLF001 (Django's documented Model._default_manager)
        held_s = time.monotonic() - began_s
        total += len(batch)
        if len(batch) < size:
            break
        size = _next_size(size, held_s)
        time.sleep(min(held_s, _HOLD_S))
    return total


def _next_size(size: int, held_s: float) -> int:
    """Return how many rows to delete next, after `size` took `held_s`."""
    if held_s > _HOLD_S:
        return max(_LEAST_BATCH, size // 2)
    return min(_MOST_BATCH, size * 2) if held_s < _HOLD_S / 4 else size
