"""Count calls, errors and latencies per endpoint, in bounded memory."""

from collections import Counter, deque
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypedDict

from apiclient.report import CallReport
from apiclient.taxonomy import TABLE

_WINDOW = 1000  # latencies kept per endpoint: p95 of the recent past, not of all time
_ENDPOINTS = 200  # routes are templates, so a bound that is met only by a mistake


class EndpointStats(TypedDict):
    """Rates are 0..1, latencies milliseconds. Held calls are none of the requests."""

    total_requests: int
    total_errors: int
    error_rate: float
    avg_latency_ms: float
    p95_latency_ms: float
    total_attempts: int
    total_held: int
    errors_by_class: dict[str, int]


class Stats(EndpointStats):
    endpoints: dict[str, EndpointStats]


def nearest_rank(latencies: Iterable[float], percent: int) -> float:
    """Return the smallest value with `percent` % of the sample at or below it; 0 if none."""
    ordered = sorted(latencies)
    if not ordered:
        return 0.0
    return ordered[(percent * len(ordered) + 99) // 100 - 1]


@dataclass(slots=True)
class _Endpoint:
    requests: int = 0
    errors: int = 0
    attempts: int = 0
    held: int = 0
    by_class: Counter[str] = field(default_factory=Counter)
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))


class Metrics:
    """What a client did so far; one can be shared by several clients.

    `lock` guards it where several threads record. A call that was never sent because of
    ourselves (breaker, settings) is counted as held, not as a request or an error.
    """

    def __init__(self, lock: AbstractContextManager[object] | None = None) -> None:
        self._lock = nullcontext() if lock is None else lock
        self._endpoints: dict[str, _Endpoint] = {}

    def record(self, report: CallReport[object]) -> None:
        key = f"{report.method} {report.endpoint}"
        with self._lock:
            endpoint = self._endpoints.get(key)
            if endpoint is None:
                endpoint = self._new(key)
            error = report.error
            if error is not None:
                endpoint.by_class[error.value] += 1
                if not TABLE[error].counts:
                    endpoint.held += 1
                    return
                endpoint.errors += 1
            endpoint.requests += 1
            endpoint.attempts += len(report.attempts)
            endpoint.latencies_ms.append(report.latency_s * 1000)

    def _new(self, key: str) -> _Endpoint:
        if len(self._endpoints) >= _ENDPOINTS:
            key = "other"
        return self._endpoints.setdefault(key, _Endpoint())

    def get_stats(self) -> Stats:
        """Return the guide's five numbers, over all endpoints and for each.

        Rates are 0..1, latencies milliseconds. p95 is the nearest rank of the last 1,000
        calls per endpoint; below 20 it is the maximum.
        """
        with self._lock:
            endpoints = {key: _copy(each) for key, each in self._endpoints.items()}
        return {
            **_stats(endpoints.values()),
            "endpoints": {key: _stats([each]) for key, each in endpoints.items()},
        }


def _copy(endpoint: _Endpoint) -> _Endpoint:
    return _Endpoint(
        requests=endpoint.requests,
        errors=endpoint.errors,
        attempts=endpoint.attempts,
        held=endpoint.held,
        by_class=Counter(endpoint.by_class),
        latencies_ms=deque(endpoint.latencies_ms),
    )


def _stats(endpoints: Iterable[_Endpoint]) -> EndpointStats:
    chosen = list(endpoints)
    requests = sum(each.requests for each in chosen)
    errors = sum(each.errors for each in chosen)
    latencies = [latency for each in chosen for latency in each.latencies_ms]
    return {
        "total_requests": requests,
        "total_errors": errors,
        "error_rate": errors / requests if requests else 0.0,
        "avg_latency_ms": sum(latencies) / len(latencies) if latencies else 0.0,
        "p95_latency_ms": nearest_rank(latencies, 95),
        "total_attempts": sum(each.attempts for each in chosen),
        "total_held": sum(each.held for each in chosen),
        "errors_by_class": dict(sum((each.by_class for each in chosen), Counter())),
    }
