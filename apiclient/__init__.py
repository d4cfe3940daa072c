"""A resilient client for the SaaS LiteLLM API, usable on its own."""

from apiclient import operations
from apiclient.addresses import AddressCheck, address_check
from apiclient.async_client import AsyncClient
from apiclient.base_url import BaseURL, parse_base_url
from apiclient.breaker import (
    Admit,
    BreakerPolicy,
    BreakerRow,
    BreakerState,
    BreakerStore,
    breaker_key,
    host_key,
    state,
)
from apiclient.chunks import Choice, Chunk
from apiclient.client import Client
from apiclient.completions import (
    Completion,
    CompletionStore,
    FileCompletions,
    MemoryCompletions,
)
from apiclient.errors import (
    AmbiguousOutcomeError,
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadGatewayError,
    BadRequestError,
    CallCancelledError,
    CircuitOpenError,
    ConfigError,
    ConflictError,
    DecodeError,
    InsufficientCreditsError,
    InternalError,
    ModelDeniedError,
    NotFoundError,
    PermissionDeniedError,
    PoolExhaustedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RedirectError,
    ResponseTooLargeError,
    ServerError,
    ServiceUnavailableError,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
    TeamPausedError,
    TeamSuspendedError,
    TLSError,
    ValidationError,
)
from apiclient.events import AttemptEvent, Hooks, RetryEvent
from apiclient.gate import Transition
from apiclient.jobs import AsyncJobBlock, JobBlock
from apiclient.later import LaterQueue
from apiclient.metrics import Metrics
from apiclient.operations import Operation
from apiclient.options import Options, default_ssl_context
from apiclient.payloads import (
    CompletedJob,
    Costs,
    CreditCheck,
    Health,
    Job,
    JobStatus,
    LLMCall,
    SingleCall,
)
from apiclient.reads import Reading
from apiclient.reception import StreamLimits
from apiclient.redact import Secret, check_virtual_key, redact
from apiclient.report import Attempt, CallReport, FieldError, Phases, Streamed
from apiclient.retry import Repeat, RetryPolicy
from apiclient.stores import MemoryBreakerStore, RetryBudget, shared_metrics
from apiclient.streams import AsyncChatStream, ChatStream
from apiclient.taxonomy import (
    TABLE,
    BreakerEffect,
    Category,
    ErrorClass,
    Fault,
    Meaning,
)
from apiclient.team_payloads import Balance, Credits, Team, TeamStatus
from apiclient.wire import VERSION

__version__ = VERSION

__all__ = [
    "TABLE",
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AddressCheck",
    "Admit",
    "AmbiguousOutcomeError",
    "AsyncChatStream",
    "AsyncClient",
    "AsyncJobBlock",
    "Attempt",
    "AttemptEvent",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "Balance",
    "BaseURL",
    "BreakerEffect",
    "BreakerPolicy",
    "BreakerRow",
    "BreakerState",
    "BreakerStore",
    "CallCancelledError",
    "CallReport",
    "Category",
    "ChatStream",
    "Choice",
    "Chunk",
    "CircuitOpenError",
    "Client",
    "CompletedJob",
    "Completion",
    "CompletionStore",
    "ConfigError",
    "ConflictError",
    "Costs",
    "CreditCheck",
    "Credits",
    "DecodeError",
    "ErrorClass",
    "Fault",
    "FieldError",
    "FileCompletions",
    "Health",
    "Hooks",
    "InsufficientCreditsError",
    "InternalError",
    "Job",
    "JobBlock",
    "JobStatus",
    "LLMCall",
    "LaterQueue",
    "Meaning",
    "MemoryBreakerStore",
    "MemoryCompletions",
    "Metrics",
    "ModelDeniedError",
    "NotFoundError",
    "Operation",
    "Options",
    "PermissionDeniedError",
    "Phases",
    "PoolExhaustedError",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "Reading",
    "RedirectError",
    "Repeat",
    "ResponseTooLargeError",
    "RetryBudget",
    "RetryEvent",
    "RetryPolicy",
    "Secret",
    "ServerError",
    "ServiceUnavailableError",
    "SingleCall",
    "StreamError",
    "StreamInterruptedError",
    "StreamLimits",
    "StreamTimeoutError",
    "Streamed",
    "TLSError",
    "Team",
    "TeamPausedError",
    "TeamStatus",
    "TeamSuspendedError",
    "Transition",
    "ValidationError",
    "address_check",
    "breaker_key",
    "check_virtual_key",
    "default_ssl_context",
    "host_key",
    "operations",
    "parse_base_url",
    "redact",
    "shared_metrics",
    "state",
]
