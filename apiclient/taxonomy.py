"""What a call can end as: the error table.

This module comes first: the client, the dashboard's pages, mails, metrics and tests all
read `ErrorClass` and `TABLE`, so that a fact about an error is written once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Fault(StrEnum):
    """Whose fault an error is, and so who can mend it."""

    GATEWAY = "gateway"
    PROVIDER = "provider"
    TEAM = "team"
    CALLER = "caller"
    US = "us"


class BreakerEffect(StrEnum):
    """What an answer says to the circuit breaker.

    A refusal (4xx) is a success: the gateway is alive. What never reached it, or was our
    own doing, changes no count.
    """

    FAILURE = "failure"
    SUCCESS = "success"
    IGNORED = "ignored"


class Category(StrEnum):
    """The guide's six error categories, and ours for what never involved the gateway."""

    AUTH = "authentication"
    CLIENT = "client"
    RATE_LIMIT = "rate limiting"
    SERVER = "server"
    NETWORK = "network"
    STREAMING = "streaming"
    OWN = "own"


class ErrorClass(StrEnum):
    """Every way in which a call can fail; a call that succeeded has none."""

    AUTH_FAILED = "auth_failed"
    TEAM_SUSPENDED = "team_suspended"
    TEAM_PAUSED = "team_paused"
    CREDITS_EXHAUSTED = "credits_exhausted"
    MODEL_DENIED = "model_denied"
    WRONG_TEAM = "wrong_team"
    WRONG_JOB = "wrong_job"
    FORBIDDEN = "forbidden"

    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    VALIDATION = "validation"
    CLIENT_ERROR = "client_error"
    REDIRECT = "redirect"

    RATE_LIMITED = "rate_limited"

    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    BAD_GATEWAY = "bad_gateway"
    NOT_SUPPORTED = "not_supported"
    PROVIDER_AUTH = "provider_auth"
    PROVIDER_CONFIG = "provider_config"
    PROVIDER_RATE_LIMITED = "provider_rate_limited"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_ERROR = "provider_error"
    DECODE = "decode"
    TOO_LARGE = "too_large"

    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    PROTOCOL = "protocol"

    STREAM_ERROR = "stream_error"
    STREAM_INTERRUPTED = "stream_interrupted"
    STREAM_STALLED = "stream_stalled"
    STREAM_TIMEOUT = "stream_timeout"

    BREAKER_HELD = "breaker_held"
    POOL_EXHAUSTED = "pool_exhausted"
    CANCELLED = "cancelled"
    CONFIG = "config_error"
    INTERNAL = "internal_error"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the error table.

    `retried` says whether the class may be retried at all; which operations may be sent
    again after it is the retry policy's business. `counts` says whether a sample of this
    class is part of the error rate: what never tested the gateway is left out.
    """

    title: str
    category: Category
    fault: Fault
    retried: bool
    breaker: BreakerEffect
    counts: bool
    advice: str


def _row(
    title: str,
    category: Category,
    fault: Fault,
    advice: str,
    *,
    retried: bool = False,
    breaker: BreakerEffect = BreakerEffect.SUCCESS,
    counts: bool = True,
) -> Meaning:
    return Meaning(title, category, fault, retried, breaker, counts, advice)


_FAILURE = BreakerEffect.FAILURE
_IGNORED = BreakerEffect.IGNORED

TABLE: Mapping[ErrorClass, Meaning] = MappingProxyType(
    {
        ErrorClass.AUTH_FAILED: _row(
            "Key refused",
            Category.AUTH,
            Fault.TEAM,
            "Check the team's virtual key: it is missing, wrong, expired or revoked.",
        ),
        ErrorClass.TEAM_SUSPENDED: _row(
            "Team suspended",
            Category.AUTH,
            Fault.TEAM,
            "Ask the gateway's administrator why the team is suspended.",
        ),
        ErrorClass.TEAM_PAUSED: _row(
            "Team paused",
            Category.AUTH,
            Fault.TEAM,
            "Ask the gateway's administrator to resume the team.",
        ),
        ErrorClass.CREDITS_EXHAUSTED: _row(
            "Out of credits",
            Category.AUTH,
            Fault.TEAM,
            "Add credits to the team.",
        ),
        ErrorClass.MODEL_DENIED: _row(
            "Model denied",
            Category.AUTH,
            Fault.TEAM,
            "Check the team's access groups, or use a model it may call.",
        ),
        ErrorClass.WRONG_TEAM: _row(
            "Key of another team",
            Category.AUTH,
            Fault.CALLER,
            "Use the virtual key that belongs to this team id.",
        ),
        ErrorClass.WRONG_JOB: _row(
            "Job of another team",
            Category.AUTH,
            Fault.CALLER,
            "Use a job that this team created.",
        ),
        ErrorClass.FORBIDDEN: _row(
            "Access denied",
            Category.AUTH,
            Fault.TEAM,
            "Check the team's status, its credits and its access groups.",
        ),
        ErrorClass.BAD_REQUEST: _row(
            "Bad request",
            Category.CLIENT,
            Fault.CALLER,
            "Fix the request: its format or parameters are invalid.",
        ),
        ErrorClass.NOT_FOUND: _row(
            "Not found",
            Category.CLIENT,
            Fault.CALLER,
            "Check the id and the base URL; the job, team or route does not exist.",
        ),
        ErrorClass.CONFLICT: _row(
            "Conflict",
            Category.CLIENT,
            Fault.CALLER,
            "Look the resource up: it is not in the state that the request expects.",
        ),
        ErrorClass.VALIDATION: _row(
            "Validation failed",
            Category.CLIENT,
            Fault.CALLER,
            "Fix the fields that the answer names.",
        ),
        ErrorClass.CLIENT_ERROR: _row(
            "Request refused",
            Category.CLIENT,
            Fault.CALLER,
            "Read the detail: the gateway refuses this request as it is.",
        ),
        ErrorClass.REDIRECT: _row(
            "Redirected",
            Category.CLIENT,
            Fault.CALLER,
            "Set the base URL to the address that the gateway redirects to.",
        ),
        ErrorClass.RATE_LIMITED: _row(
            "Rate limited",
            Category.RATE_LIMIT,
            Fault.TEAM,
            "Send less, or later: the answer's Retry-After says when.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.SERVER_ERROR: _row(
            "Server error",
            Category.SERVER,
            Fault.GATEWAY,
            "Look at the gateway's own log; its database or its proxy may be down.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.UNAVAILABLE: _row(
            "Unavailable",
            Category.SERVER,
            Fault.GATEWAY,
            "Wait: the gateway is overloaded or in maintenance.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.BAD_GATEWAY: _row(
            "Bad gateway",
            Category.SERVER,
            Fault.GATEWAY,
            "Look at the proxy in front of the gateway: it cannot reach it.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.NOT_SUPPORTED: _row(
            "Not supported",
            Category.SERVER,
            Fault.GATEWAY,
            "Check the gateway's version: it does not support this request.",
            breaker=_FAILURE,
        ),
        ErrorClass.PROVIDER_AUTH: _row(
            "Provider refused the gateway",
            Category.SERVER,
            Fault.PROVIDER,
            "Renew the gateway's own key at the LLM provider.",
            breaker=_FAILURE,
        ),
        ErrorClass.PROVIDER_CONFIG: _row(
            "Provider not set up",
            Category.SERVER,
            Fault.PROVIDER,
            "Set up the LLM provider's credentials in the gateway.",
            breaker=_FAILURE,
        ),
        ErrorClass.PROVIDER_RATE_LIMITED: _row(
            "Provider rate limited",
            Category.SERVER,
            Fault.PROVIDER,
            "Send less: the LLM provider limits the gateway's account.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.PROVIDER_TIMEOUT: _row(
            "Provider timed out",
            Category.SERVER,
            Fault.PROVIDER,
            "Check the LLM provider's status page; it does not answer in time.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.PROVIDER_UNREACHABLE: _row(
            "Provider unreachable",
            Category.SERVER,
            Fault.PROVIDER,
            "Check the gateway's way out to the LLM provider.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.PROVIDER_ERROR: _row(
            "Provider error",
            Category.SERVER,
            Fault.PROVIDER,
            "Check the LLM provider's status page and the request's model.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.DECODE: _row(
            "Unreadable answer",
            Category.SERVER,
            Fault.GATEWAY,
            "Check the base URL and the gateway's version: the answer is not what the "
            "API promises.",
            breaker=_FAILURE,
        ),
        ErrorClass.TOO_LARGE: _row(
            "Answer too large",
            Category.SERVER,
            Fault.GATEWAY,
            "Ask for less, or raise the size limit of the client.",
            breaker=_IGNORED,
        ),
        ErrorClass.CONNECT_FAILED: _row(
            "Cannot connect",
            Category.NETWORK,
            Fault.GATEWAY,
            "Check that the gateway runs and that its name and port are right.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.CONNECT_TIMEOUT: _row(
            "Connect timed out",
            Category.NETWORK,
            Fault.GATEWAY,
            "Check the network and the firewall between here and the gateway.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.TLS_FAILED: _row(
            "TLS failed",
            Category.NETWORK,
            Fault.GATEWAY,
            "Check the gateway's certificate: its name, its chain and its expiry.",
            breaker=_FAILURE,
        ),
        ErrorClass.TIMEOUT: _row(
            "Timed out",
            Category.NETWORK,
            Fault.GATEWAY,
            "The gateway did not answer in time; it may be overloaded. For long LLM "
            "replies raise the timeout or stream.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.CONNECTION_LOST: _row(
            "Connection lost",
            Category.NETWORK,
            Fault.GATEWAY,
            "The connection broke before the answer was whole; look for restarts.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.PROTOCOL: _row(
            "Broken HTTP",
            Category.NETWORK,
            Fault.GATEWAY,
            "Check what listens at the base URL: the answer is not valid HTTP.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.STREAM_ERROR: _row(
            "Error inside a stream",
            Category.STREAMING,
            Fault.PROVIDER,
            "Read the detail: the gateway or the provider failed after the stream "
            "began.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.STREAM_INTERRUPTED: _row(
            "Stream cut",
            Category.STREAMING,
            Fault.GATEWAY,
            "The stream ended without its end marker; what arrived is not whole.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.STREAM_STALLED: _row(
            "Stream stalled",
            Category.STREAMING,
            Fault.GATEWAY,
            "No event came for too long; check the provider.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.STREAM_TIMEOUT: _row(
            "Stream timed out",
            Category.STREAMING,
            Fault.GATEWAY,
            "The stream took longer than its limit; ask for less or raise it.",
            retried=True,
            breaker=_FAILURE,
        ),
        ErrorClass.BREAKER_HELD: _row(
            "Held by the breaker",
            Category.OWN,
            Fault.US,
            "Nothing was sent: the circuit breaker is open and tries again by itself.",
            breaker=_IGNORED,
            counts=False,
        ),
        ErrorClass.POOL_EXHAUSTED: _row(
            "No free connection",
            Category.OWN,
            Fault.US,
            "Raise the client's connection limit, or send less at once.",
            retried=True,
            breaker=_IGNORED,
            counts=False,
        ),
        ErrorClass.CANCELLED: _row(
            "Cancelled",
            Category.OWN,
            Fault.US,
            "The caller ended the call before its answer came.",
            breaker=_IGNORED,
            counts=False,
        ),
        ErrorClass.CONFIG: _row(
            "Not configured",
            Category.OWN,
            Fault.US,
            "Mend the probe's own settings: the detail says which.",
            breaker=_IGNORED,
            counts=False,
        ),
        ErrorClass.INTERNAL: _row(
            "Internal error",
            Category.OWN,
            Fault.US,
            "This is our own fault, not the gateway's: see the log.",
            breaker=_IGNORED,
            counts=False,
        ),
    }
)
