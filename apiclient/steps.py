"""What the policy of a call asks its driver to do, and what it is told in return."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from apiclient.breaker import Admit, Result
from apiclient.classify import Answer, Verdict
from apiclient.gate import Admission, Aftermath
from apiclient.operations import Operation
from apiclient.payloads import Job
from apiclient.report import Attempt, Phases, Streamed
from apiclient.retry import RetryPolicy
from apiclient.team_payloads import Team

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask whether an attempt may be sent to the gateway's base URL number `base`."""

    mode: Admit
    base: int = 0


@dataclass(frozen=True, slots=True)
class Send:
    """Send the call's own request. `timeout_s` bounds the whole exchange."""

    number: int
    timeout_s: float
    admission: Admission
    base: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """Send a side request once, outside breaker and metrics.

    The answer may be up to `fresh_for_s` seconds old.
    """

    operation: Operation[Team] | Operation[Job]
    timeout_s: float
    fresh_for_s: float = 0.0
    base: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for `seconds` after the attempt `after` at base URL `base` failed."""

    seconds: float
    after: Attempt
    base: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """Tell the breakers how an admitted attempt ended: the route's, then the host's."""

    admission: Admission
    results: tuple[Result, Result]
    attempt: Attempt
    base: int = 0


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask the caller for its key once more: the one it gave was refused."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What must be hidden from now on, or None when the key did not change."""

    secrets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a request: an answer, or the fault that came instead.

    A stream has both an answer, its head, and `streamed`, what came after it; its fault
    may have come later. `begun` says that part of it was handed to the caller. `secrets`
    are all keys that the client had until then: another call may have brought a new one.
    """

    started_at: datetime
    latency_s: float
    answer: Answer | None = None
    fault: Verdict | None = None
    phases: Phases = field(default_factory=Phases)
    streamed: Streamed | None = None
    begun: bool = False
    certificate_expires_at: datetime | None = None
    secrets: tuple[str, ...] = ()


Step = Ask | Send | Look | Wait | Settle | Refresh
Reply = Admission | Sent | Aftermath | Refreshed | None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call as its caller wants it.

    `hosts` are those of the base URLs, in their order. `secrets` are hidden in every
    text. `can_refresh` says that there is somebody to ask for another key.
    """

    operation: Operation[T]
    request_id: str
    retry: RetryPolicy
    max_retries: int
    deadline_s: float
    admit: Admit = Admit.NORMAL
    hosts: tuple[str, ...] = ("",)
    team_id: str = ""
    has_key: bool = True
    secrets: tuple[str, ...] = ()
    can_refresh: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """Time and chance: monotonic seconds, the aware UTC time, and draws on [0, 1)."""

    clock: Callable[[], float]
    now: Callable[[], datetime]
    draw: Callable[[], float]
