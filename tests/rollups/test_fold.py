"""Folding: however outcomes come in, the rows say the same."""

import random
from collections.abc import Iterable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dashboard.lib import histogram
from dashboard.probes.models import Outcome, Probe
from dashboard.rollups.models import Level, Rollup
from dashboard.rollups.services import fold
from tests.factories import NOW, make_outcome, make_probe

pytestmark = pytest.mark.django_db


def unsaved(probe: Probe, seconds: float, **fields: object) -> Outcome:
    defaults = {"latency_us": 50_000, "elapsed_us": 50_000, "attempts": 1}
    return Outcome(
        probe=probe,
        started_at=NOW + timedelta(seconds=seconds),
        **{**defaults, **fields},
    )


def rows() -> list[tuple[object, ...]]:
    columns = [field.attname for field in Rollup._meta.fields if field.name != "id"]
    stored = Rollup.objects.order_by("probe_id", "level", "start").values(*columns)
    return [
        tuple(
            bytes(value) if isinstance(value, memoryview) else value
            for value in row.values()
        )
        for row in stored
    ]


def test_a_success_counts_in_its_minute_hour_and_day() -> None:
    probe = make_probe(period_s=300)

    fold([make_outcome(probe, seconds=61)])

    found = {row.level: row for row in Rollup.objects.all()}
    assert {level: row.start.isoformat()[:16] for level, row in found.items()} == {
        Level.MINUTE: "2026-03-02T12:01",
        Level.HOUR: "2026-03-02T12:00",
        Level.DAY: "2026-03-02T00:00",
    }
    assert {row.expected for row in found.values()} == {0.2, 12.0, 288.0}
    for row in found.values():
        assert (row.samples, row.bad, row.excluded, row.first_try_ok) == (1, 0, 0, 1)
        assert (row.ok_sum_us, row.ok_min_us, row.ok_max_us) == (50_000,) * 3
        assert histogram.count(bytes(row.ok_histogram)) == 1


def test_a_timeout_counts_as_bad_and_its_time_is_kept_apart() -> None:
    probe = make_probe()

    fold([make_outcome(probe, latency_us=30_000_000, error_class="timeout")])

    row = Rollup.objects.get(level=Level.HOUR)
    assert (row.samples, row.bad, row.first_try_ok) == (1, 1, 0)
    assert row.classes == {"timeout": 1}
    assert row.ok_max_us is None
    assert bytes(row.ok_histogram) == b""
    assert row.bad_sum_us == 30_000_000
    assert histogram.count(bytes(row.bad_histogram)) == 1


@pytest.mark.parametrize("error_class", ["breaker_held", "internal_error"])
def test_what_never_tested_the_gateway_is_only_excluded(error_class: str) -> None:
    probe = make_probe()

    fold([make_outcome(probe, error_class=error_class, attempts=0)])

    row = Rollup.objects.get(level=Level.HOUR)
    assert (row.samples, row.bad, row.excluded, row.attempts) == (0, 0, 1, 0)
    assert row.classes == {error_class: 1}
    assert bytes(row.bad_histogram) == b""


def test_a_success_after_a_retry_is_no_first_try() -> None:
    probe = make_probe()

    fold([make_outcome(probe, attempts=2), make_outcome(probe, seconds=1)])

    row = Rollup.objects.get(level=Level.HOUR)
    assert (row.samples, row.first_try_ok, row.attempts) == (2, 1, 3)


def test_folding_nothing_asks_nothing() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        fold([])

    assert len(queries) == 0


@pytest.mark.parametrize("seed", range(5))
def test_any_split_into_folds_gives_the_same_rows(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 (not a secret)
    probes = [make_probe() for _ in range(3)]
    classes = ["", "", "", "timeout", "server_error", "breaker_held"]
    outcomes = [
        unsaved(
            draw.choice(probes),
            number * 97.3,
            latency_us=int(draw.lognormvariate(11, 1)),
            error_class=draw.choice(classes),
            attempts=draw.randint(1, 2),
        )
        for number in range(200)
    ]
    fold(outcomes)
    at_once = rows()
    Rollup.objects.all().delete()

    draw.shuffle(outcomes)
    for part in split(outcomes, draw):
        fold(part)

    assert rows() == at_once


def split(outcomes: list[Outcome], draw: random.Random) -> Iterable[list[Outcome]]:
    while outcomes:
        size = draw.randint(1, 30)
        yield outcomes[:size]
        outcomes = outcomes[size:]


def test_a_flush_asks_the_same_few_queries_for_3_outcomes_and_90() -> None:
    probes = [make_probe() for _ in range(90)]

    with CaptureQueriesContext(connection) as for_three:
        fold([unsaved(probe, 0) for probe in probes[:3]])
    with CaptureQueriesContext(connection) as for_ninety:
        fold([unsaved(probe, 1) for probe in probes])

    assert len(for_ninety) == len(for_three) <= 4


def test_what_is_rolled_back_was_never_counted() -> None:
    probe = make_probe()

    with transaction.atomic():
        fold([make_outcome(probe)])
        transaction.set_rollback(True)

    assert not Rollup.objects.exists()
