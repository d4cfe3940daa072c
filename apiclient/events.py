"""What hooks are told: immutable records, under OpenTelemetry's names, without secrets."""

from collections.abc import Callable
from dataclasses import dataclass

from apiclient.gate import Transition
from apiclient.report import Attempt, CallReport

Attributes = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """One attempt that has just ended; `host` is the one that was asked."""

    request_id: str
    operation: str
    method: str
    endpoint: str
    host: str
    team_id: str
    attempt: Attempt

    @property
    def attributes(self) -> Attributes:
        """Return the attributes of OpenTelemetry's HTTP client span for this attempt."""
        found: Attributes = {
            "http.request.method": self.method,
            "url.template": self.endpoint,
            "server.address": self.host,
        }
        if self.attempt.number > 1:
            found["http.request.resend_count"] = self.attempt.number - 1
        if self.attempt.status_code is not None:
            found["http.response.status_code"] = self.attempt.status_code
        if self.attempt.error is not None:
            found["error.type"] = self.attempt.error.value
        return found


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """An attempt failed, and after `wait_s` seconds there will be another."""

    failed: AttemptEvent
    wait_s: float


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions to call as things happen; one that raises is logged, and no more.

    They are called in the thread or task of the call, with no lock held, so they should
    be quick. `on_result` gets the whole report.
    """

    on_attempt: Callable[[AttemptEvent], object] | None = None
    on_retry: Callable[[RetryEvent], object] | None = None
    on_result: Callable[[CallReport[object]], object] | None = None
    on_breaker: Callable[[Transition], object] | None = None
