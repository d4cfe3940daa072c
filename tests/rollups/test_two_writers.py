"""Several workers fold into the same buckets at once, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from dashboard.probes.models import Probe
from dashboard.rollups.models import Rollup
from dashboard.rollups.services import fold
from tests.factories import make_outcome, make_probe

WORKERS, FLUSHES, PER_FLUSH = 4, 6, 5


def flush_often(probes: list[Probe], worker: int) -> None:
    try:
        for number in range(FLUSHES):
            first = (number * WORKERS + worker) * PER_FLUSH
            with transaction.atomic():
                fold(
                    make_outcome(probe, seconds=first + second)
                    for second in range(PER_FLUSH)
                    for probe in probes
                )
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_concurrent_folds_lose_nothing() -> None:
    probes = [make_probe(), make_probe()]

    with ThreadPoolExecutor(WORKERS) as pool:
        # Half of them meet the buckets from the other end.
        orders = [probes[:: 1 if worker % 2 else -1] for worker in range(WORKERS)]
        list(pool.map(flush_often, orders, range(WORKERS)))

    total = WORKERS * FLUSHES * PER_FLUSH
    for probe in probes:
        rows = Rollup.objects.filter(probe=probe)
        for level in (60, 3600, 86400):
            assert sum(row.samples for row in rows.filter(level=level)) == total
