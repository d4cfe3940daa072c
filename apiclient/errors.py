"""The exceptions, one family per way to react; `error_for` picks the one for a report.

APIError
├── AuthenticationError            check or renew the key
├── PermissionDeniedError          wrong team, wrong job, or no reason given
│   ├── TeamSuspendedError
│   ├── TeamPausedError
│   └── ModelDeniedError
├── InsufficientCreditsError       add credits
├── BadRequestError
│   └── ValidationError            see `errors` for the fields
├── NotFoundError
├── ConflictError
├── RedirectError
├── RateLimitError                 later: see `retry_after`
├── ServerError
│   ├── ServiceUnavailableError
│   ├── BadGatewayError
│   └── ProviderError              the provider behind the gateway
├── DecodeError
├── ResponseTooLargeError
├── APIConnectionError
│   ├── APITimeoutError
│   ├── TLSError
│   └── ProtocolError
├── StreamError
│   ├── StreamInterruptedError
│   └── StreamTimeoutError
├── AmbiguousOutcomeError          it may have been applied and charged
├── CircuitOpenError               nothing was sent
├── PoolExhaustedError             nothing was sent
├── ConfigError                    nothing was sent
├── CallCancelledError
└── InternalError
"""

from collections.abc import Mapping
from types import MappingProxyType

from apiclient.report import CallReport, FieldError
from apiclient.retry import Repeat
from apiclient.taxonomy import TABLE, ErrorClass


class APIError(Exception):
    """A call that failed; `report` has every attempt, the rest are shortcuts to it."""

    def __init__(self, message: str, report: CallReport[object]) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[object, ...]:
        # Exception would make it anew of its message alone: no process pool could pass it
        # on, and no copy be made of it.
        return type(self), (str(self), self.report), self.__dict__

    @property
    def kind(self) -> ErrorClass:
        return self.report.error or ErrorClass.INTERNAL

    @property
    def status_code(self) -> int | None:
        return self.report.status_code

    @property
    def detail(self) -> str:
        return self.report.detail

    @property
    def errors(self) -> tuple[FieldError, ...]:
        return self.report.field_errors

    @property
    def request_id(self) -> str:
        return self.report.request_id

    @property
    def endpoint(self) -> str:
        return self.report.endpoint

    @property
    def method(self) -> str:
        return self.report.method

    @property
    def attempts(self) -> int:
        return len(self.report.attempts)

    @property
    def elapsed(self) -> float:
        return self.report.elapsed_s

    @property
    def retry_after(self) -> float | None:
        return self.report.retry_after_s

    @property
    def partial_text(self) -> str:
        """The text that a stream brought before it failed; "" for other calls."""
        return self.report.streamed.text if self.report.streamed else ""

    @property
    def chunk_count(self) -> int:
        """How many chunks a stream brought before it failed."""
        return self.report.streamed.chunk_count if self.report.streamed else 0

    @property
    def retryable(self) -> bool:
        """Whether the same call may work later without anybody mending anything."""
        return TABLE[self.kind].retried or self.kind is ErrorClass.BREAKER_HELD

    @property
    def advice(self) -> str:
        return TABLE[self.kind].advice


class AuthenticationError(APIError):
    """The key is missing, wrong, expired or revoked."""


class PermissionDeniedError(APIError):
    """The key is right and the request is refused all the same."""


class TeamSuspendedError(PermissionDeniedError):
    """An administrator suspended the team."""


class TeamPausedError(PermissionDeniedError):
    """An administrator paused the team."""


class ModelDeniedError(PermissionDeniedError):
    """The team may not call this model."""


class InsufficientCreditsError(APIError):
    """The team is out of credits."""


class BadRequestError(APIError):
    """The request is malformed; sending it again cannot help."""


class ValidationError(BadRequestError):
    """Fields of the request are wrong; `errors` names them."""


class NotFoundError(APIError):
    """The job, team or route does not exist."""


class ConflictError(APIError):
    """The resource is not in the state that the request expects."""


class RedirectError(APIError):
    """The base URL points to a place that redirects; it is not followed."""


class RateLimitError(APIError):
    """Too many requests; `retry_after` says when to come back, if the server did."""


class ServerError(APIError):
    """The gateway failed."""


class ServiceUnavailableError(ServerError):
    """The gateway is overloaded or in maintenance."""


class BadGatewayError(ServerError):
    """A proxy in front cannot reach the gateway."""


class ProviderError(ServerError):
    """The LLM provider behind the gateway failed; `kind` says how."""


class DecodeError(APIError):
    """The answer is a success, but not what the API promises."""


class ResponseTooLargeError(APIError):
    """The answer is longer than the client's cap."""


class APIConnectionError(APIError):
    """No answer came: the gateway could not be reached, or the connection broke."""


class APITimeoutError(APIConnectionError):
    """No answer came in time. A long LLM reply may need more time, or streaming."""


class TLSError(APIConnectionError):
    """The gateway's certificate or its TLS is wrong."""


class ProtocolError(APIConnectionError):
    """The answer is not valid HTTP."""


class StreamError(APIError):
    """A stream failed after it began."""


class StreamInterruptedError(StreamError):
    """A stream ended without its end marker."""


class StreamTimeoutError(StreamError):
    """A stream stalled or took too long."""


class AmbiguousOutcomeError(APIError):
    """A charged request got no answer: it may have been applied, so it was not repeated."""


class CircuitOpenError(APIError):
    """The circuit breaker is open: nothing was sent; `retry_after` says until when."""


class PoolExhaustedError(APIError):
    """No connection was free: our own congestion, nothing was sent."""


class ConfigError(APIError):
    """The client's own settings do not allow this call; nothing was sent."""


class CallCancelledError(APIError):
    """The caller ended the call before its answer came."""


class InternalError(APIError):
    """A fault of our own."""


EXCEPTIONS: Mapping[ErrorClass, type[APIError]] = MappingProxyType(
    {
        ErrorClass.AUTH_FAILED: AuthenticationError,
        ErrorClass.TEAM_SUSPENDED: TeamSuspendedError,
        ErrorClass.TEAM_PAUSED: TeamPausedError,
        ErrorClass.CREDITS_EXHAUSTED: InsufficientCreditsError,
        ErrorClass.MODEL_DENIED: ModelDeniedError,
        ErrorClass.WRONG_TEAM: PermissionDeniedError,
        ErrorClass.WRONG_JOB: PermissionDeniedError,
        ErrorClass.FORBIDDEN: PermissionDeniedError,
        ErrorClass.BAD_REQUEST: BadRequestError,
        ErrorClass.NOT_FOUND: NotFoundError,
        ErrorClass.CONFLICT: ConflictError,
        ErrorClass.VALIDATION: ValidationError,
        ErrorClass.CLIENT_ERROR: BadRequestError,
        ErrorClass.REDIRECT: RedirectError,
        ErrorClass.RATE_LIMITED: RateLimitError,
        ErrorClass.SERVER_ERROR: ServerError,
        ErrorClass.UNAVAILABLE: ServiceUnavailableError,
        ErrorClass.BAD_GATEWAY: BadGatewayError,
        ErrorClass.NOT_SUPPORTED: ServerError,
        ErrorClass.PROVIDER_AUTH: ProviderError,
        ErrorClass.PROVIDER_CONFIG: ProviderError,
        ErrorClass.PROVIDER_RATE_LIMITED: ProviderError,
        ErrorClass.PROVIDER_TIMEOUT: ProviderError,
        ErrorClass.PROVIDER_UNREACHABLE: ProviderError,
        ErrorClass.PROVIDER_ERROR: ProviderError,
        ErrorClass.DECODE: DecodeError,
        ErrorClass.TOO_LARGE: ResponseTooLargeError,
        ErrorClass.CONNECT_FAILED: APIConnectionError,
        ErrorClass.CONNECT_TIMEOUT: APITimeoutError,
        ErrorClass.TLS_FAILED: TLSError,
        ErrorClass.TIMEOUT: APITimeoutError,
        ErrorClass.CONNECTION_LOST: APIConnectionError,
        ErrorClass.PROTOCOL: ProtocolError,
        ErrorClass.STREAM_ERROR: StreamError,
        ErrorClass.STREAM_INTERRUPTED: StreamInterruptedError,
        ErrorClass.STREAM_STALLED: StreamTimeoutError,
        ErrorClass.STREAM_TIMEOUT: StreamTimeoutError,
        ErrorClass.BREAKER_HELD: CircuitOpenError,
        ErrorClass.POOL_EXHAUSTED: PoolExhaustedError,
        ErrorClass.CANCELLED: CallCancelledError,
        ErrorClass.CONFIG: ConfigError,
        ErrorClass.INTERNAL: InternalError,
    }
)


def error_for(report: CallReport[object], repeat: Repeat = Repeat.SAFE) -> APIError:
    """Return the exception, not yet raised, for a report that failed.

    `repeat` is the operation's: a charged one whose fate is unknown has its own error.
    """
    kind = report.error or ErrorClass.INTERNAL
    exception = EXCEPTIONS[kind]
    known = issubclass(exception, StreamError)  # part of the reply says that it ran
    if report.ambiguous and repeat is Repeat.CHARGED and not known:
        exception = AmbiguousOutcomeError
    return exception(_message(report, kind), report)


def _message(report: CallReport[object], kind: ErrorClass) -> str:
    status = f" ({report.status_code})" if report.status_code else ""
    tries = len(report.attempts)
    after = f" after {tries} attempts" if tries > 1 else ""
    detail = f": {report.detail}" if report.detail else ""
    return (
        f"{report.method} {report.endpoint}: {TABLE[kind].title}{status}{after}{detail}"
    )
