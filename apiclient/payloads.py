"""What the gateway's answers hold: frozen structs, and readers that forgive.

Unknown fields are ignored and only named ones are kept, so that a team's `virtual_key`
never is. A wrong type raises `UnreadableError`, which names the field.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

import msgspec

from apiclient.repeated import finder
from apiclient.report import Streamed

S = TypeVar("S", bound=msgspec.Struct)

_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)


class UnreadableError(ValueError):
    """A body that is not what its operation promises; the message names the field."""


class JobStatus(StrEnum):
    """The gateway answers in upper case, the guide writes lower case: both are read."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> "JobStatus":
        word = str(value).lower()
        return cls(word) if word in cls._value2member_map_ else cls.UNKNOWN

    @property
    def is_final(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class Health(msgspec.Struct, frozen=True):
    status: str
    service: str = ""

    @property
    def healthy(self) -> bool:
        return self.status.lower() in ("healthy", "ok")


class CreditCheck(msgspec.Struct, frozen=True):
    """`error` says why not, in an answer that is nevertheless a success."""

    has_credits: bool
    team_id: str = ""
    credits_remaining: float | None = None
    credits_needed: float | None = None
    error: str | None = None


class Job(msgspec.Struct, frozen=True):
    """Times are aware, in UTC, whichever of the gateway's three formats they had."""

    job_id: str
    status: JobStatus
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    team_id: str = ""
    job_type: str = ""
    error_message: str | None = None
    credit_applied: bool | None = None
    model_groups_used: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _make_aware(self, "created_at", "started_at", "completed_at")


class _NamedJob(msgspec.Struct, frozen=True):
    job_id: str
    team_id: str = ""


class Costs(msgspec.Struct, frozen=True):
    """`credit_applied` is a hint only: it is false on a repeated completion, too."""

    total_calls: int = 0
    successful_calls: int = 0
    failed_calls: int = 0
    total_tokens: int = 0
    total_cost_usd: float = 0.0
    avg_latency_ms: float | None = None
    credit_applied: bool | None = None
    credits_remaining: float | None = None


class JobCall(msgspec.Struct, frozen=True):
    call_id: str
    purpose: str | None = None
    model_group: str | None = None
    tokens: int | None = None
    latency_ms: float | None = None
    error: str | None = None


class CompletedJob(msgspec.Struct, frozen=True):
    """`costs` is None when a lost answer was made up for by looking the job up."""

    job_id: str
    status: JobStatus
    completed_at: datetime | None = None
    costs: Costs | None = None
    calls: tuple[JobCall, ...] = ()

    def __post_init__(self) -> None:
        _make_aware(self, "completed_at")


class Reply(msgspec.Struct, frozen=True):
    """`content` is None for tool calls; `finish_reason` is the provider's own word."""

    content: str | None = None
    finish_reason: str | None = None


class CallMetadata(msgspec.Struct, frozen=True):
    """The guide calls the model `model_group`, the gateway `model`."""

    tokens_used: int | None = None
    latency_ms: float | None = None
    model: str | None = None
    model_group: str | None = None

    @property
    def model_name(self) -> str:
        return self.model or self.model_group or ""


class LLMCall(msgspec.Struct, frozen=True):
    call_id: str
    response: Reply
    metadata: CallMetadata = CallMetadata()


class SingleCall(msgspec.Struct, frozen=True):
    job_id: str
    status: JobStatus
    response: Reply
    metadata: CallMetadata = CallMetadata()
    costs: Costs | None = None
    completed_at: datetime | None = None

    def __post_init__(self) -> None:
        _make_aware(self, "completed_at")


def is_job_id(text: str) -> bool:
    """Return whether `text` can be a job's id: a UUID, with its dashes or without."""
    return _UUID.fullmatch(text) is not None


def read_created_job(body: bytes, *secrets: str) -> Job:
    """Read a new job; its id must be one that can be used in a URL, and so be logged.

    The id is enough, whatever is wrong with the rest: a job that is open must be ended.
    """
    try:
        job = read_job(body)
    except UnreadableError:
        named = _read_named_job(body)
        job = Job(named.job_id, JobStatus.UNKNOWN, team_id=named.team_id)
    finds = finder(*secrets, *map(_dashless, secrets))
    if not is_job_id(job.job_id) or finds(_dashless(job.job_id)):
        raise UnreadableError("Expected a UUID - at `$.job_id`")
    return job


def _dashless(text: str) -> str:
    return text.replace("-", "").lower()


def read_no_stream(body: bytes, *_secrets: str) -> Streamed:
    """Refuse a body where a stream was asked for: it comes as one answer."""
    raise UnreadableError("the answer is not an event stream")


def reader(kind: type[S]) -> Callable[..., S]:
    """Return a function that reads a JSON body as `kind`."""
    decoder = msgspec.json.Decoder(kind)

    def read(body: bytes, *_secrets: str) -> S:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise UnreadableError(str(error)) from None
        except (ValueError, RecursionError):
            raise UnreadableError("the answer is not valid JSON") from None

    return read


def _make_aware(struct: msgspec.Struct, *names: str) -> None:
    """Give each naive time in `struct` its zone: every time the gateway sends is UTC."""
    for name in names:
        moment = getattr(struct, name)
        if moment is not None:
            msgspec.structs.force_setattr(struct, name, _aware(moment, name))


def _aware(moment: datetime, name: str) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:  # a zone that moves it out of the years 1 to 9999
        raise ValueError(f"`{name}` is out of range") from None


read_health = reader(Health)
read_credit_check = reader(CreditCheck)
read_job = reader(Job)
_read_named_job = reader(_NamedJob)
read_completed_job = reader(CompletedJob)
read_llm_call = reader(LLMCall)
read_single_call = reader(SingleCall)
