"""One run of a probe: prepared with the database, put to the gateway without it."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID, uuid4

from django.utils import timezone

from apiclient import (
    Admit,
    BreakerStore,
    CallReport,
    Client,
    ErrorClass,
    operations,
)
from apiclient.operations import Operation
from apiclient.payloads import CompletedJob, Health
from apiclient.redact import Secret
from apiclient.team_payloads import Credits as ToldCredits
from apiclient.team_payloads import Team as ToldTeam
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.services import deadline_s
from dashboard.teams.keys import KeyUnavailableError, resolve
from dashboard.teams.services import Credits, Sighting

T = TypeVar("T")

logger = logging.getLogger(__name__)

_DETAIL_LENGTH = 500
_JOB_TYPE = "gatewatch-probe"
_QUESTION = [{"role": "user", "content": "Reply with the word OK."}]


@dataclass(frozen=True, slots=True)
class Ask:
    """All that a thread needs to run a probe; `problem` says why it cannot be run."""

    probe_id: int
    kind: ProbeKind
    gateway_id: int
    team_pk: int | None
    team_id: str
    base_url: str
    allow_private: bool
    key: Secret | None
    model: str
    deadline_s: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run saw: the row to store, and what it told about the team."""

    ask: Ask
    report: CallReport[object]
    outcome: Outcome
    sighting: Sighting | None


def prepare(probe: Probe, spent_today: float) -> Ask:
    """Return the run of a probe, its key resolved and its cap checked."""
    kind = ProbeKind(probe.kind)
    key, problem = None, ""
    try:
        if probe.team:
            key = resolve(probe.team)
    except KeyUnavailableError as error:
        problem = str(error)
    if KINDS[kind].needs_key and key is None and not problem:
        problem = "the team has no virtual key"
    cost = KINDS[kind].credits_per_run
    if cost and spent_today + cost > (probe.daily_credit_cap or 0):
        problem = (
            f"the cap of {probe.daily_credit_cap or 0} credits a day is reached: "
            f"{spent_today:g} spent since midnight UTC"
        )
    return Ask(
        probe_id=probe.pk,
        kind=kind,
        gateway_id=probe.gateway_id,
        team_pk=probe.team_id,
        team_id=probe.team.team_id if probe.team else "",
        base_url=probe.gateway.base_url,
        allow_private=probe.gateway.allow_private,
        key=key,
        model=probe.model,
        deadline_s=deadline_s(probe),
        problem=problem,
    )


def put(ask: Ask, breakers: BreakerStore) -> Answer:
    """Put the probe's question to the gateway; never raises and never asks the database.

    A fault of our own ends as the class `internal_error`, which no page and no rule
    counts against the gateway.
    """
    started_at = timezone.now()
    if ask.problem:
        report = _own_fault(ask, ErrorClass.CONFIG, ask.problem, started_at)
        return _answer(ask, report, credits=0.0)
    try:
        # A client for each run: no connection, cookie or key is ever shared.
        with Client(
            base_url=ask.base_url,
            team_id=ask.team_id,
            virtual_key=ask.key.reveal() if ask.key else None,
            breakers=breakers,
            allow_private=ask.allow_private,
            fresh_connections=True,
        ) as client:
            return _asked(ask, client)
    except Exception as error:
        logger.exception("probe.internal_error", extra={"probe": ask.probe_id})
        detail = f"{type(error).__name__} in the prober; see the log"
        report = _own_fault(ask, ErrorClass.INTERNAL, detail, started_at)
        return _answer(ask, report, credits=0.0)


def _asked(ask: Ask, client: Client) -> Answer:
    match ask.kind:
        case ProbeKind.HEALTH:
            return _answer(ask, _checked(_cheap(ask, client, operations.health())))
        case ProbeKind.TEAM_STATUS:
            operation = operations.get_team(ask.team_id)
            return _answer(ask, _cheap(ask, client, operation))
        case ProbeKind.BALANCE:
            operation = operations.balance(ask.team_id)
            return _answer(ask, _cheap(ask, client, operation))
        case ProbeKind.KEY_CHECK | ProbeKind.DEEP_JOB:
            return _job(ask, client)


def _cheap(ask: Ask, client: Client, operation: Operation[T]) -> CallReport[T]:
    """Ask what costs nothing: never held, and an open breaker's half-open trial."""
    return client.report(
        operation,
        max_retries=1,
        deadline_s=ask.deadline_s,
        admit=Admit.ALWAYS_TRIAL,
    )


def _checked(report: CallReport[Health]) -> CallReport[Health]:
    """Count an answer that says it is not healthy as a failure."""
    if report.value is None or report.value.healthy:
        return report
    detail = f"the health answer says {report.value.status!r}"
    return replace(report, error=ErrorClass.UNAVAILABLE, detail=detail)


def _job(ask: Ask, client: Client) -> Answer:
    """Run a whole job; every job that was created is completed, also after a failure.

    The LLM call's report is the probe's; where an earlier or a later step failed, that
    one's. The free kind makes no call and completes its job as failed.
    """
    ends_at = client.monotonic() + ask.deadline_s
    left_s = lambda: max(1.0, ends_at - client.monotonic())  # noqa: E731
    created = client.report(
        operations.create_job(ask.team_id, _JOB_TYPE),
        max_retries=0,
        deadline_s=left_s(),
    )
    if created.value is None:
        return _answer(ask, created)
    job_id = created.value.job_id
    main: CallReport[object] = created
    if ask.kind is ProbeKind.DEEP_JOB:
        main = client.report(
            operations.llm_call(job_id, model=ask.model, messages=_QUESTION),
            max_retries=0,
            # Enough is left for the completion, which always has to be tried.
            deadline_s=max(1.0, left_s() - 10),
        )
    succeeded = ask.kind is ProbeKind.DEEP_JOB and main.ok
    completed = client.report(
        operations.complete_job(
            job_id,
            "completed" if succeeded else "failed",
            error_message=None if succeeded else "Gatewatch probe",
        ),
        max_retries=1,
        deadline_s=left_s(),
    )
    if main.ok and not completed.ok:
        main = completed
    return _answer(ask, main, credits=_charged(completed) if succeeded else 0.0)


def _charged(completed: CallReport[CompletedJob]) -> float:
    """Return the credits to count for a completion: one unless it says it was free."""
    costs = completed.value.costs if completed.value else None
    return 0.0 if costs and costs.credit_applied is False else 1.0


def _own_fault(
    ask: Ask, error: ErrorClass, detail: str, started_at: datetime
) -> CallReport[object]:
    method, endpoint = KINDS[ask.kind].endpoints[0].split(" ", 1)
    return CallReport(
        operation=ask.kind,
        method=method,
        endpoint=endpoint,
        request_id=str(uuid4()),
        started_at=started_at,
        elapsed_s=0.0,
        attempts=(),
        error=error,
        detail=detail,
        team_id=ask.team_id,
    )


def _answer(ask: Ask, report: CallReport[object], credits: float = 0.0) -> Answer:  # noqa: A002
    retried_or_failed = report.error is not None or len(report.attempts) > 1
    outcome = Outcome(
        probe_id=ask.probe_id,
        started_at=report.started_at,
        latency_us=round(report.latency_s * 1e6),
        elapsed_us=round(report.elapsed_s * 1e6),
        error_class=report.error or "",
        status_code=report.status_code,
        attempts=len(report.attempts),
        credits=credits,
        request_id=UUID(report.request_id),
        detail=report.detail[:_DETAIL_LENGTH] if retried_or_failed else "",
        attempt_log=_log(report) if retried_or_failed else None,
    )
    return Answer(ask, report, outcome, _sighting(ask, report))


def _log(report: CallReport[object]) -> list[list[object]]:
    return [
        [
            attempt.error or "",
            attempt.status_code,
            round(attempt.wait_s, 3),
            *(
                None if seconds is None else round(seconds, 6)
                for seconds in (
                    attempt.latency_s,
                    attempt.phases.connect_s,
                    attempt.phases.tls_s,
                    attempt.phases.first_byte_s,
                    attempt.phases.body_s,
                )
            ),
        ]
        for attempt in report.attempts
    ]


_TEAM_STATES = {
    ErrorClass.TEAM_SUSPENDED: "suspended",
    ErrorClass.TEAM_PAUSED: "paused",
}


def _sighting(ask: Ask, report: CallReport[object]) -> Sighting | None:
    """Return what the answer tells about the team: its fields, or an explicit 403."""
    if ask.team_pk is None:
        return None
    match report.value:
        case ToldTeam() as team:
            return Sighting(
                ask.team_pk,
                report.started_at,
                status=team.status,
                model_aliases=team.model_aliases,
                credits=_credits(team.credits) if team.credits else None,
            )
        case ToldCredits() as told:
            return Sighting(
                ask.team_pk,
                report.started_at,
                status=told.status if told.status_text else None,
                credits=_credits(told),
            )
    if report.error in _TEAM_STATES:
        status = _TEAM_STATES[report.error]
        return Sighting(ask.team_pk, report.started_at, status=status)
    return None


def _credits(told: ToldCredits) -> Credits:
    return Credits(told.allocated, told.used, told.remaining, told.auto_refill)
