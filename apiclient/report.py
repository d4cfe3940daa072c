"""The frozen values that report a call: its attempts, their phases, and how it ended."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from apiclient.taxonomy import ErrorClass

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One item of a 422 answer: the field's dotted path, the message and the type."""

    path: str
    message: str
    type: str


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds spent in each phase of one exchange, None where it was not reached."""

    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    body_s: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP exchange.

    `wait_s` is how long we waited before it (backoff or Retry-After), `latency_s` the
    time on the wire, from the first connect to the last byte: never our own queue.
    """

    number: int
    started_at: datetime
    wait_s: float
    latency_s: float
    error: ErrorClass | None
    status_code: int | None = None
    detail: str = ""
    phases: Phases = field(default_factory=Phases)


@dataclass(frozen=True, slots=True)
class Streamed:
    """What came of a streamed reply, whole or not.

    `ttft_s` is the time from the request to the first text; None when none came.
    `longest_gap_s` is the longest time between two chunks; None for less than two.
    `skipped` counts unreadable events. The text is people's own: no repr shows it.
    """

    text: str = field(default="", repr=False)
    chunk_count: int = 0
    ttft_s: float | None = None
    finish_reason: str | None = None
    model: str = ""
    skipped: int = 0
    longest_gap_s: float | None = None


@dataclass(frozen=True, slots=True)
class CallReport(Generic[T_co]):
    """Everything that is known about one call: all its attempts and how it ended.

    `error` is None when the call succeeded, and then `value` is its payload. All texts are
    redacted. `elapsed_s` is the whole call with its waits; `started_at` is aware, UTC.
    `ambiguous` says that the request may have been applied though no answer told so.
    `host` is the one that was asked last. `certificate_expires_at` is that of its TLS
    certificate, in UTC; None for plain http, and when no connection came about.
    `streamed` is what a streaming call received, also when it failed half-way.
    `server_request_id` is what the server called a request that failed, if it said so.
    """

    operation: str
    method: str
    endpoint: str
    request_id: str
    started_at: datetime
    elapsed_s: float
    attempts: tuple[Attempt, ...]
    error: ErrorClass | None
    value: T_co | None = None
    status_code: int | None = None
    detail: str = ""
    field_errors: tuple[FieldError, ...] = ()
    retry_after_s: float | None = None
    ambiguous: bool = False
    retries_suppressed: bool = False
    host: str = ""
    team_id: str = ""
    job_id: str = ""
    breaker_state: str = ""
    streamed: Streamed | None = None
    certificate_expires_at: datetime | None = None
    server_request_id: str = ""

    @property
    def ok(self) -> bool:
        return self.error is None

    @property
    def latency_s(self) -> float:
        """Seconds on the wire of the last attempt; 0.0 when nothing was sent."""
        return self.attempts[-1].latency_s if self.attempts else 0.0
