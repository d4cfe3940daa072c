"""When a call is tried again, and how long it waits first: pure arithmetic."""

from dataclasses import dataclass
from enum import StrEnum

from apiclient.taxonomy import TABLE, ErrorClass

_GREATEST_EXPONENT = 64  # 2.0 ** 64 s is past every cap; more would overflow a float

_NEVER_LEFT = frozenset(
    {
        ErrorClass.CONNECT_FAILED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.POOL_EXHAUSTED,
        ErrorClass.TLS_FAILED,
    }
)
_REFUSED_FOR_NOW = frozenset({429, 503})
# A proxy gave up waiting: what stood behind it may still have done the work.
_UNSURE_STATUSES = frozenset({408, 502, 504, 520, 521, 522, 523, 524})
_UNSURE = frozenset(
    {ErrorClass.TIMEOUT, ErrorClass.CONNECTION_LOST, ErrorClass.PROTOCOL}
)
_UNSURE_STREAMS = frozenset(
    {
        ErrorClass.STREAM_INTERRUPTED,
        ErrorClass.STREAM_STALLED,
        ErrorClass.STREAM_TIMEOUT,
    }
)


class Repeat(StrEnum):
    """What sending a request twice would do."""

    SAFE = "safe"  # nothing, or an uncharged duplicate: GETs, create, check
    LLM_CALL = "llm_call"  # costs provider tokens, but no credit
    COMPLETE = "complete"  # a third send charges again: look at the job first
    CHARGED = "charged"  # create-and-call: each send charges a credit


def never_left(error: ErrorClass) -> bool:
    """Return whether `error` means that no byte of the request was sent."""
    return error in _NEVER_LEFT


def is_ambiguous(error: ErrorClass, status_code: int | None) -> bool:
    """Return whether the request may have been applied though no answer says so."""
    if error in _UNSURE_STREAMS:
        return True
    if status_code is None:
        return error in _UNSURE
    return status_code in _UNSURE_STATUSES


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is repeated; the defaults are the guide's.

    `max_retries` counts retries, so 3 means up to 4 attempts. The wait before retry k
    (k = 0, 1, …) is base_s * 2 ** k, varied by ± `jitter` (a fraction), then capped at
    `max_s`. A Retry-After beyond `retry_after_cap_s` ends the call instead of being cut
    short. `deadline_s` bounds the whole call: attempts and waits.
    """

    max_retries: int = 3
    base_s: float = 1.0
    max_s: float = 32.0
    jitter: float = 0.25
    unavailable_factor: float = 2.0
    retry_after_cap_s: float = 120.0
    deadline_s: float = 300.0
    timeout_growth: float = 1.5
    timeout_growth_cap: float = 2.0
    retry_ambiguous: bool = True

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ValueError(f"max_retries={self.max_retries} is negative")
        if not (self.base_s >= 0 and self.max_s >= 0 and self.deadline_s > 0):
            raise ValueError("base_s and max_s must be >= 0 and deadline_s > 0")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter={self.jitter} is not a fraction below 1")

    def backoff(self, retry: int, draw: float, *, unavailable: bool = False) -> float:
        """Return the seconds to wait before retry number `retry` (0, 1, …).

        `draw` is uniform on [0, 1); 0.5 gives the delay without jitter. After a 503
        (`unavailable`) the delay is doubled. The cap comes last: no wait exceeds `max_s`.
        Source: the guide, "Exponential Backoff Strategy".
        """
        delay_s = self.base_s * 2.0 ** min(retry, _GREATEST_EXPONENT)
        if unavailable:
            delay_s *= self.unavailable_factor
        delay_s += delay_s * self.jitter * (2 * draw - 1)
        return min(delay_s, self.max_s)

    def wait(
        self,
        retry: int,
        draw: float,
        *,
        unavailable: bool = False,
        retry_after_s: float | None = None,
    ) -> float:
        """Return the seconds to wait before retry `retry`, never earlier than told.

        On top of a Retry-After comes a spread of up to a tenth of it, at most one
        second, so that many clients do not return at the same moment.
        """
        delay_s = self.backoff(retry, draw, unavailable=unavailable)
        if retry_after_s is None:
            return delay_s
        return max(delay_s, retry_after_s) + draw * min(1.0, 0.1 * retry_after_s)

    def too_long(self, retry_after_s: float | None) -> bool:
        """Return whether the server asks for more patience than we have."""
        return retry_after_s is not None and retry_after_s > self.retry_after_cap_s

    def attempt_timeout(self, timeout_s: float, attempt: int) -> float:
        """Return the seconds for attempt number `attempt` (0, 1, …), growing.

        Source: the guide, "Network timeouts - Retry with increased timeout".
        """
        grown = self.timeout_growth ** min(attempt, _GREATEST_EXPONENT)
        return timeout_s * min(grown, self.timeout_growth_cap)

    def allows(
        self, repeat: Repeat, error: ErrorClass, status_code: int | None
    ) -> bool:
        """Return whether a request of kind `repeat` may be sent again after `error`."""
        if not TABLE[error].retried:
            return False
        if never_left(error) or status_code in _REFUSED_FOR_NOW:
            return True
        if repeat is Repeat.CHARGED:
            return status_code == 500
        if repeat is Repeat.LLM_CALL and is_ambiguous(error, status_code):
            return self.retry_ambiguous
        return True
