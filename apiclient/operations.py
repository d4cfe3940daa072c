"""Every endpoint as a value: what to send, how long it may take, how to read the answer.

Timeouts are the guide's "Recommended Timeouts by Endpoint"; what it does not name gets
its default of 30 s.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from apiclient import payloads, team_payloads
from apiclient.redact import redact
from apiclient.report import Streamed
from apiclient.retry import Repeat

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Message = Mapping[str, object]

DEFAULT_TIMEOUT_S = 30.0
TIMEOUTS_S: Mapping[tuple[str, str], float] = {
    ("POST", "/api/jobs/create"): 10.0,
    ("GET", "/api/jobs/{job_id}"): 10.0,
    ("POST", "/api/jobs/{job_id}/llm-call"): 60.0,
    ("POST", "/api/jobs/{job_id}/complete"): 30.0,
    ("POST", "/api/jobs/create-and-call"): 60.0,
    ("POST", "/api/jobs/{job_id}/llm-call-stream"): 120.0,
    ("POST", "/api/jobs/create-and-call-stream"): 120.0,
}
NAMES = frozenset(
    {
        "health",
        "get_team",
        "list_teams",
        "balance",
        "team_transactions",
        "team_usage",
        "credit_check",
        "create_job",
        "get_job",
        "complete_job",
        "llm_call",
        "llm_call_stream",
        "create_and_call",
        "create_and_call_stream",
    }
)
ERROR_MESSAGE_LIMIT = 1000  # the gateway's column; a longer text fails the completion

_TEAM_ID_LIMIT = 255
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One request to one endpoint, not yet sent.

    `route` is the template that logs, metrics and breakers are keyed by; `path` is the
    real one, quoted, with its query. `sends_key` and `needs_key` say whether the virtual
    key goes along and whether the call makes sense without one.
    """

    name: str
    method: str
    route: str
    path: str
    read: Callable[..., T_co]
    timeout_s: float = DEFAULT_TIMEOUT_S
    repeat: Repeat = Repeat.SAFE
    body: bytes | None = None
    team_id: str = ""
    job_id: str = ""
    wanted_status: str = ""
    names_model: bool = False
    sends_key: bool = True
    needs_key: bool = True
    streams: bool = False

    def value_of(self, body: bytes, *secrets: str) -> T_co:
        """Read an answer, and raise UnreadableError where it answers another question.

        A cache in between, or a gateway that mixes up its rows, must not show a team
        another's credits, nor a job as ended that is not. The secrets are hidden in what
        the gateway tells of teams.
        """
        value = self.read(body, *secrets)
        if _tells_another(value, "team_id", self.team_id, secrets):
            raise payloads.UnreadableError("the answer is about another team")
        if _tells_another(value, "job_id", self.job_id, secrets):
            raise payloads.UnreadableError("the answer is about another job")
        status = getattr(value, "status", "")
        if self.wanted_status and status != self.wanted_status:
            raise payloads.UnreadableError(f"the answer says that the job is {status}")
        return value

    def with_timeout(self, timeout_s: float) -> "Operation[T_co]":
        """Return the same operation with another timeout of one attempt, in seconds."""
        if not timeout_s > 0:
            raise ValueError(f"timeout_s={timeout_s} is not a positive number")
        return replace(self, timeout_s=timeout_s)


def _tells_another(
    value: object, name: str, asked: str, secrets: tuple[str, ...]
) -> bool:
    """Return whether an answer, or a part of it, names another than was asked for.

    An id that it leaves out says nothing. Ids are compared as they are kept: redacted,
    and whichever of its spellings a UUID has.
    """
    if not asked:
        return False
    parts = value if isinstance(value, tuple) else (value, getattr(value, "credits", 0))
    told = {getattr(part, name, "") for part in parts} - {"", asked}
    return any(_kept(each, secrets) != _kept(asked, secrets) for each in told)


def _kept(text: str, secrets: tuple[str, ...]) -> str:
    text = redact(text, *secrets, limit=_TEAM_ID_LIMIT).casefold()
    return text.replace("-", "") if payloads.is_job_id(text) else text


def timeout_for(method: str, route: str) -> float:
    """Return the guide's timeout in seconds of one attempt at a route template."""
    return TIMEOUTS_S.get((method, route), DEFAULT_TIMEOUT_S)


def health() -> Operation[payloads.Health]:
    """Ask whether the gateway's process answers; it looks at no database."""
    return Operation(
        name="health",
        method="GET",
        route="/health",
        path="/health",
        read=payloads.read_health,
        sends_key=False,
        needs_key=False,
    )


def get_team(team_id: str) -> Operation[team_payloads.Team]:
    """Read a team's status and credits; works without a key, also when suspended."""
    return Operation(
        name="get_team",
        method="GET",
        route="/api/teams/{team_id}",
        path=f"/api/teams/{_quoted_team(team_id)}",
        read=team_payloads.read_team,
        team_id=team_id,
        needs_key=False,
    )


def list_teams() -> Operation[tuple[team_payloads.Team, ...]]:
    return Operation(
        name="list_teams",
        method="GET",
        route="/api/teams",
        path="/api/teams",
        read=team_payloads.read_teams,
        needs_key=False,
    )


def balance(team_id: str) -> Operation[team_payloads.Credits]:
    return Operation(
        name="balance",
        method="GET",
        route="/api/credits/teams/{team_id}/balance",
        path=f"/api/credits/teams/{_quoted_team(team_id)}/balance",
        read=team_payloads.read_balance,
        team_id=team_id,
    )


def team_transactions(
    team_id: str, limit: int = 20
) -> Operation[tuple[team_payloads.Transaction, ...]]:
    """Read the latest changes of a team's credits, at most `limit`, newest first."""
    if limit < 1:
        raise ValueError(f"limit={limit} is not a positive number")
    return Operation(
        name="team_transactions",
        method="GET",
        route="/api/credits/teams/{team_id}/transactions",
        path=f"/api/credits/teams/{_quoted_team(team_id)}/transactions"
        f"?limit={int(limit)}",
        read=team_payloads.read_transactions,
        team_id=team_id,
    )


def team_usage(team_id: str, period: str) -> Operation[team_payloads.TeamUsage]:
    """Read what a team's jobs of a month, written YYYY-MM, were and cost."""
    # The gateway sums any other period up to zeros, as a success.
    if not _MONTH.fullmatch(period):
        raise ValueError(f"period={redact(period, limit=60)!r} is not a month, YYYY-MM")
    return Operation(
        name="team_usage",
        method="GET",
        route="/api/teams/{team_id}/usage",
        path=f"/api/teams/{_quoted_team(team_id)}/usage?period={period}",
        read=team_payloads.read_usage,
        team_id=team_id,
    )


def credit_check(
    team_id: str, credits_needed: int = 1
) -> Operation[payloads.CreditCheck]:
    """Ask whether `credits_needed` are there; not having them is no error."""
    return Operation(
        name="credit_check",
        method="POST",
        route="/api/credits/teams/{team_id}/check",
        path=f"/api/credits/teams/{_quoted_team(team_id)}/check"
        f"?credits_needed={int(credits_needed)}",
        read=payloads.read_credit_check,
        team_id=team_id,
    )


def create_job(
    team_id: str,
    job_type: str,
    *,
    user_id: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Operation[payloads.Job]:
    _check_team_id(team_id)
    return _post(
        "create_job",
        "/api/jobs/create",
        payloads.read_created_job,
        # The gateway fails later on a job whose metadata is null, so none is sent.
        _without_none(
            team_id=team_id, job_type=job_type, user_id=user_id, metadata=metadata
        ),
        team_id=team_id,
    )


def get_job(job_id: str) -> Operation[payloads.Job]:
    _check_job_id(job_id)
    return Operation(
        name="get_job",
        method="GET",
        route="/api/jobs/{job_id}",
        path=f"/api/jobs/{job_id}",
        read=payloads.read_job,
        timeout_s=timeout_for("GET", "/api/jobs/{job_id}"),
        job_id=job_id,
    )


def complete_job(
    job_id: str,
    status: Literal["completed", "failed"],
    error_message: str | None = None,
) -> Operation[payloads.CompletedJob]:
    """End a job. `completed` charges a credit, `failed` does not."""
    if status not in ("completed", "failed"):
        raise ValueError(f"status={status!r} is neither 'completed' nor 'failed'")
    if error_message is not None:
        error_message = redact(error_message, limit=ERROR_MESSAGE_LIMIT)
    return _post(
        "complete_job",
        "/api/jobs/{job_id}/complete",
        payloads.read_completed_job,
        _without_none(status=status, error_message=error_message),
        job_id=job_id,
        repeat=Repeat.COMPLETE,
        wanted_status=status,
    )


def llm_call(
    job_id: str, *, model: str, messages: Sequence[Message], **options: object
) -> Operation[payloads.LLMCall]:
    """Call a model inside a job. `options` are sent as they are: temperature, tools and so on."""
    return _post(
        "llm_call",
        "/api/jobs/{job_id}/llm-call",
        payloads.read_llm_call,
        {**options, "model": model, "messages": messages},
        job_id=job_id,
        repeat=Repeat.LLM_CALL,
        names_model=True,
    )


def create_and_call(
    team_id: str,
    job_type: str,
    *,
    model: str,
    messages: Sequence[Message],
    **options: object,
) -> Operation[payloads.SingleCall]:
    """Create, call and complete in one request; each one sent may charge a credit."""
    _check_team_id(team_id)
    return _post(
        "create_and_call",
        "/api/jobs/create-and-call",
        payloads.read_single_call,
        _single(team_id, job_type, model, messages, options),
        team_id=team_id,
        repeat=Repeat.CHARGED,
        names_model=True,
    )


def llm_call_stream(
    job_id: str, *, model: str, messages: Sequence[Message], **options: object
) -> Operation[Streamed]:
    """Call a model inside a job, its reply as a stream; see `llm_call`."""
    return _post(
        "llm_call_stream",
        "/api/jobs/{job_id}/llm-call-stream",
        payloads.read_no_stream,
        {**options, "model": model, "messages": messages},
        job_id=job_id,
        repeat=Repeat.LLM_CALL,
        names_model=True,
        streams=True,
    )


def create_and_call_stream(
    team_id: str,
    job_type: str,
    *,
    model: str,
    messages: Sequence[Message],
    **options: object,
) -> Operation[Streamed]:
    """Create, call and complete in one request, its reply as a stream.

    Each one sent may charge a credit, also when its stream breaks. The gateway does not
    tell the job's id.
    """
    _check_team_id(team_id)
    return _post(
        "create_and_call_stream",
        "/api/jobs/create-and-call-stream",
        payloads.read_no_stream,
        _single(team_id, job_type, model, messages, options),
        team_id=team_id,
        repeat=Repeat.CHARGED,
        names_model=True,
        streams=True,
    )


def _single(
    team_id: str,
    job_type: str,
    model: str,
    messages: Sequence[Message],
    options: Mapping[str, object],
) -> dict[str, object]:
    return {
        **options,
        "team_id": team_id,
        "job_type": job_type,
        "model": model,
        "messages": messages,
    }


def _post(
    name: str,
    route: str,
    read: Callable[..., T],
    body: Mapping[str, object],
    *,
    team_id: str = "",
    job_id: str = "",
    repeat: Repeat = Repeat.SAFE,
    wanted_status: str = "",
    names_model: bool = False,
    streams: bool = False,
) -> Operation[T]:
    if "{job_id}" in route:
        _check_job_id(job_id)
    return Operation(
        name=name,
        method="POST",
        route=route,
        path=route.replace("{job_id}", job_id),
        read=read,
        timeout_s=timeout_for("POST", route),
        repeat=repeat,
        body=msgspec.json.encode(body),
        team_id=team_id,
        job_id=job_id,
        wanted_status=wanted_status,
        names_model=names_model,
        streams=streams,
    )


def _without_none(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _check_job_id(job_id: str) -> None:
    # The gateway answers a malformed id with a 500 in plain text.
    if not payloads.is_job_id(job_id):
        raise ValueError(f"job_id={redact(job_id, limit=60)!r} is not a UUID")


def _check_team_id(team_id: str) -> None:
    if not team_id or len(team_id) > _TEAM_ID_LIMIT or not team_id.isprintable():
        raise ValueError(
            f"team_id={redact(team_id, limit=60)!r} is not 1 to 255 printable characters"
        )
    if team_id in (".", ".."):
        raise ValueError(f"team_id={team_id!r} cannot be part of a URL")


def _quoted_team(team_id: str) -> str:
    _check_team_id(team_id)
    return quote(team_id, safe="")
