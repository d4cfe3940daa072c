"""Numbers do not depend on who counted what, when, and in how many pieces; pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.lib.buckets import DAY_S, HOUR_S
from dashboard.management.past import Run
from dashboard.rollups.tally import Key, Tally, by_bucket, coarsened, merged, tally

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
phases = st.none() | st.integers(0, 1_000_000)
runs = st.builds(
    Run,
    probe_id=st.integers(1, 3),
    # Also the first and the last moment of minutes, hours and days.
    started_at=st.one_of(
        st.timedeltas(timedelta(days=-2), timedelta(days=2)),
        st.integers(-48, 48).map(lambda hour: timedelta(hours=hour)),
        st.integers(-48, 48).map(lambda hour: timedelta(hours=hour, microseconds=-1)),
    ).map(NOON.__add__),
    latency_us=st.integers(0, 400_000_000),
    error_class=st.sampled_from(["", "", "timeout", "server_error", "breaker_held"]),
    attempts=st.integers(0, 4),
    connect_us=phases,
    tls_us=phases,
    first_byte_us=phases,
)
# Each outcome with the worker that saw it and the flush that it went with.
shared = st.lists(st.tuples(runs, st.integers(0, 3), st.integers(0, 5)), max_size=60)


def folded(parts: list[list[Run]]) -> dict[Key, Tally]:
    """Fold the parts one after the other, as rows in a database are."""
    rows: dict[Key, Tally] = {}
    for part in parts:
        for key, new in by_bucket(part).items():
            rows[key] = merged((rows[key], new)) if key in rows else new
    return rows


@given(shared, st.randoms(use_true_random=False))
def test_any_split_into_workers_and_folds_makes_the_same_rows(
    seen: list[tuple[Run, int, int]], draw: object
) -> None:
    flushes: dict[tuple[int, int], list[Run]] = {}
    for run, worker, flush in seen:
        flushes.setdefault((worker, flush), []).append(run)
    parts = list(flushes.values())
    draw.shuffle(parts)  # type: ignore[attr-defined]

    assert folded(parts) == by_bucket([run for run, _, _ in seen])


@given(st.lists(runs, max_size=60))
def test_any_level_put_together_is_the_count_of_all(seen: list[Run]) -> None:
    rows = by_bucket(seen)

    for level in (60, HOUR_S, DAY_S):
        of_level = [part for key, part in rows.items() if key.level == level]
        assert merged(of_level) == tally(seen)


@given(st.lists(runs, max_size=60))
def test_hours_made_of_minutes_are_hours_made_of_outcomes(seen: list[Run]) -> None:
    rows = by_bucket(seen)
    minutes = {key: part for key, part in rows.items() if key.level == 60}
    hours = {key: part for key, part in rows.items() if key.level == HOUR_S}

    assert coarsened(minutes, HOUR_S) == hours
