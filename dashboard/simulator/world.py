"""What the gateway keeps: teams with credits, jobs with calls, models."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from random import Random

from dashboard.simulator.answers import Json

ACTIVE = "active"


class TeamShape(StrEnum):
    """How GET /api/teams/{id} looks: as measured, as a document says, or worse."""

    NESTED = "nested"
    FLAT = "flat"
    DOCS = "docs"
    HOSTILE = "hostile"


class JobState(StrEnum):
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Model:
    alias: str
    provider: str
    actual: str
    group: str


MODELS = (
    Model("chat-fast", "openai", "gpt-4o-mini", "basic-chat"),
    Model("chat-claude", "anthropic", "claude-3-5-haiku-latest", "basic-chat"),
    Model("chat-gemini", "gemini", "gemini-2.5-flash", "basic-chat"),
    Model("chat-llama", "fireworks", "llama-v3p1-8b-instruct", "basic-chat"),
    Model("chat-smart", "openai", "gpt-4o", "premium-chat"),
)


@dataclass(slots=True)
class Team:
    """One tenant. Its numbers may be changed while the gateway runs.

    `credits_remaining` is what the gateway says it is; it may be negative.
    `status` is free text: active, suspended, paused, or what a test wants.
    """

    team_id: str
    virtual_key: str = ""
    organization_id: str | None = "org_demo"
    credits_allocated: int = 1000
    credits_remaining: int = 1000
    status: str = ACTIVE
    budget_mode: str = "job_based"
    credits_per_dollar: float = 10.0
    tokens_per_credit: int = 10_000
    access_groups: tuple[str, ...] = ("basic-chat",)
    shape: TeamShape = TeamShape.NESTED
    auto_refill: bool = False
    refill_amount: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    owed_credits: float = 0.0

    def __post_init__(self) -> None:
        if not self.virtual_key:
            self.virtual_key = example_key(self.team_id)

    @property
    def credits_used(self) -> int:
        return self.credits_allocated - self.credits_remaining


@dataclass(frozen=True, slots=True)
class LlmCall:
    call_id: str
    model: str
    purpose: str | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    latency_ms: int
    error: str | None
    created_at: datetime

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(slots=True)
class Job:
    job_id: str
    team_id: str
    job_type: str
    created_at: datetime
    user_id: str | None = None
    metadata: dict[str, Json] | None = field(default_factory=dict)
    state: JobState = JobState.PENDING
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    credit_applied: bool = False
    calls: list[LlmCall] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Transaction:
    transaction_id: str
    team_id: str
    organization_id: str | None
    job_id: str | None
    transaction_type: str
    credits_amount: int
    credits_before: int
    credits_after: int
    reason: str
    created_at: datetime


def example_key(team_id: str) -> str:
    """Return the virtual key that a simulated team has unless told otherwise."""
    return f"sk-sim-{team_id}"


class World:
    """All state of one gateway.

    The request side runs in one thread; tests may read and set a team's numbers from
    another, which single attributes allow.
    """

    # The newest jobs and transactions kept: days of a demo must not grow for ever.
    KEPT_JOBS = 5_000
    KEPT_TRANSACTIONS = 2_000

    def __init__(self, teams: Iterable[Team], rng: Random, now: datetime) -> None:
        self._rng = rng
        self.started_at = now
        self.teams: dict[str, Team] = {}
        self.by_key: dict[str, Team] = {}
        self.jobs: dict[str, Job] = {}
        self.transactions: list[Transaction] = []
        for team in teams:
            self.add_team(team, now)

    def add_team(self, team: Team, now: datetime) -> Team:
        team.created_at = team.created_at or now
        team.updated_at = team.updated_at or now
        self.teams[team.team_id] = team
        self.by_key[team.virtual_key] = team
        return team

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def add_job(self, job: Job) -> Job:
        self.jobs[job.job_id] = job
        if len(self.jobs) > self.KEPT_JOBS:
            del self.jobs[next(iter(self.jobs))]
        return job

    def jobs_of(self, team_id: str) -> Iterator[Job]:
        """Yield a team's jobs, newest first."""
        return (job for job in reversed(self.jobs.values()) if job.team_id == team_id)

    def move_credits(
        self,
        team: Team,
        amount: int,
        *,
        kind: str,
        reason: str,
        now: datetime,
        job_id: str | None = None,
    ) -> Transaction:
        """Add `amount` (negative: take it) to what remains and write it down."""
        before = team.credits_remaining
        team.credits_remaining = before + amount
        team.updated_at = now
        row = Transaction(
            transaction_id=self.new_id(),
            team_id=team.team_id,
            organization_id=team.organization_id,
            job_id=job_id,
            transaction_type=kind,
            credits_amount=amount,
            credits_before=before,
            credits_after=team.credits_remaining,
            reason=reason,
            created_at=now,
        )
        self.transactions.append(row)
        del self.transactions[: -self.KEPT_TRANSACTIONS]
        return row

    def allowed_models(self, team: Team) -> list[str]:
        return sorted(m.alias for m in MODELS if m.group in team.access_groups)
