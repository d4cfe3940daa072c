from dataclasses import replace
from datetime import UTC, datetime

import pytest

from apiclient import Attempt, CallReport, ErrorClass, Metrics
from apiclient.metrics import nearest_rank

AT = datetime(2026, 11, 22, tzinfo=UTC)


def report(
    latency_ms: float = 10.0, error: ErrorClass | None = None, endpoint: str = "/health"
) -> CallReport[object]:
    return CallReport(
        operation="health",
        method="GET",
        endpoint=endpoint,
        request_id="",
        started_at=AT,
        elapsed_s=1.0,
        attempts=(Attempt(1, AT, 0.0, latency_ms / 1000, error),),
        error=error,
    )


@pytest.mark.parametrize(
    ("count", "rank"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)]
)
def test_p95_is_the_nearest_rank(count: int, rank: int) -> None:
    """S-131, X-30."""
    assert nearest_rank(range(1, count + 1), 95) == rank


def test_nothing_recorded_is_all_zero() -> None:
    """S-130."""
    stats = Metrics().get_stats()

    assert not any(stats.values())
    assert stats["error_rate"] == 0


def test_requests_errors_and_latencies_are_counted() -> None:
    """S-130, S-132."""
    metrics = Metrics()
    for latency_ms in (10.0, 20.0, 30.0):
        metrics.record(report(latency_ms))
    metrics.record(report(40.0, ErrorClass.DECODE))
    stats = metrics.get_stats()

    assert stats["total_requests"] == 4
    assert stats["total_errors"] == 1
    assert stats["error_rate"] == 0.25
    assert stats["avg_latency_ms"] == pytest.approx(25.0)
    assert stats["p95_latency_ms"] == pytest.approx(40.0)
    assert stats["errors_by_class"] == {"decode": 1}


def test_what_was_never_sent_is_no_request() -> None:
    metrics = Metrics()
    metrics.record(replace(report(error=ErrorClass.BREAKER_HELD), attempts=()))
    stats = metrics.get_stats()

    assert stats["total_requests"] == 0
    assert stats["total_held"] == 1
    assert stats["error_rate"] == 0


def test_memory_is_bounded_by_window_and_by_endpoint() -> None:
    """X-31, X-32."""
    metrics = Metrics()
    for number in range(1500):
        metrics.record(report(float(number), endpoint=f"/{number % 300}"))
    for _ in range(1500):
        metrics.record(report(1.0))
    endpoints = metrics.get_stats()["endpoints"]

    assert len(endpoints) == 201
    assert metrics.get_stats()["total_requests"] == 3000
