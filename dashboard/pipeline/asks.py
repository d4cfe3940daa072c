"""One run of a probe: prepared with the database, put to the gateway without it."""

import logging
import time
from dataclasses import replace
from typing import TypeVar

from django.utils import timezone

from apiclient import (
    Admit,
    BreakerStore,
    CallReport,
    Client,
    ErrorClass,
    Hooks,
    StreamLimits,
    Transition,
    operations,
)
from apiclient.operations import Operation
from apiclient.payloads import CompletedJob, Health
from apiclient.redact import redact
from dashboard.pipeline.answers import Answer, Ask, answer, own_fault
from dashboard.probes.breaker_events import event_of
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import BreakerEvent, Probe, ProbeKind
from dashboard.probes.prices import price, terms_of
from dashboard.probes.rhythm import deadline_s
from dashboard.probes.services import Spent, why_capped
from dashboard.teams.keys import KeyUnavailableError, resolve
from dashboard.teams.models import TeamStatus

T = TypeVar("T")

logger = logging.getLogger(__name__)

_JOB_TYPE = "gatewatch-probe"
_ANSWER_TOKENS = 16
# A team with as many models as are believed takes less. A megabyte of short texts took a
# second of the one interpreter that the probes of all gateways share.
_MOST_BYTES = 256 * 1024
_QUESTION = [{"role": "user", "content": "Reply with the word OK."}]


def prepare(probe: Probe, spent: Spent) -> Ask:
    """Return the run of a probe, its key resolved and its cap checked.

    A key that cannot be read, for whatever reason, is a problem of this run only.
    """
    kind = ProbeKind(probe.kind)
    key, problem = None, ""
    try:
        if probe.team:
            key = resolve(probe.team, probe.gateway.base_url)
    except KeyUnavailableError as error:
        problem = str(error)
    except Exception as error:
        logger.exception("probe.key_unread", extra={"probe": probe.pk})
        problem = f"{type(error).__name__} while reading the key; see the log"
    if KINDS[kind].needs_key and key is None and not problem:
        problem = "the team has no virtual key"
    capped = why_capped(probe, spent)
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
        problem=capped or problem,
        capped=bool(capped),
        terms=terms_of(probe.team),
        last_error=probe.last_error,
        was_stopped=_was_stopped(probe),
    )


def _was_stopped(probe: Probe) -> bool:
    team = probe.team
    if team is None or team.status not in (TeamStatus.SUSPENDED, TeamStatus.PAUSED):
        return False
    return bool(team.status_at and probe.last_at and team.status_at <= probe.last_at)


def put(ask: Ask, breakers: BreakerStore) -> Answer:
    """Put the probe's question to the gateway; never raises and never asks the database.

    A fault of our own ends as the class `internal_error`, which no page and no rule
    counts against the gateway.
    """
    started_at = timezone.now()
    if ask.problem:
        report = own_fault(ask, ErrorClass.CONFIG, ask.problem, started_at)
        return answer(ask, report, credits=0.0)
    events: list[BreakerEvent] = []

    def note(told: Transition) -> None:
        if event := event_of(ask.gateway_id, told, timezone.now()):
            events.append(event)

    try:
        # A client for each run: no connection, cookie or key is ever shared.
        with Client(
            base_url=ask.base_url,
            team_id=ask.team_id,
            virtual_key=ask.key.reveal() if ask.key else None,
            breakers=breakers,
            allow_private=ask.allow_private,
            fresh_connections=True,
            max_body_bytes=_MOST_BYTES,
            hooks=Hooks(on_breaker=note),
        ) as client:
            return replace(_asked(ask, client), breaker_events=tuple(events))
    except Exception as error:
        logger.exception("probe.internal_error", extra={"probe": ask.probe_id})
        detail = f"{type(error).__name__} in the prober; see the log"
        report = own_fault(ask, ErrorClass.INTERNAL, detail, started_at)
        return answer(ask, report, credits=0.0)


def _asked(ask: Ask, client: Client) -> Answer:
    match ask.kind:
        case ProbeKind.HEALTH:
            return answer(ask, checked(_cheap(ask, client, operations.health())))
        case ProbeKind.TEAM_STATUS:
            return answer(ask, _cheap(ask, client, operations.get_team(ask.team_id)))
        case ProbeKind.BALANCE:
            return answer(ask, _cheap(ask, client, operations.balance(ask.team_id)))
        case ProbeKind.KEY_CHECK | ProbeKind.DEEP_JOB | ProbeKind.STREAM_JOB:
            return _job(ask, client)


def _cheap(ask: Ask, client: Client, operation: Operation[T]) -> CallReport[T]:
    """Ask what costs nothing: never held, and an open breaker's half-open trial."""
    return client.report(
        operation,
        max_retries=KINDS[ask.kind].retries,
        deadline_s=ask.deadline_s,
        admit=Admit.ALWAYS_TRIAL,
    )


def checked(report: CallReport[Health]) -> CallReport[Health]:
    """Count an answer that says it is not healthy as a failure."""
    if report.value is None or report.value.healthy:
        return report
    detail = redact(f"the health answer says {report.value.status}")
    return replace(report, error=ErrorClass.UNAVAILABLE, detail=detail)


def _job(ask: Ask, client: Client) -> Answer:
    """Run a whole job; every job that was created is completed, also after a failure.

    The LLM call's report is the probe's; where an earlier or a later step failed, that
    one's. The free kind makes no call and completes its job as failed.
    """
    ends_at = time.monotonic() + ask.deadline_s

    def left_s(spare_s: float = 0.0) -> float:
        return max(1.0, ends_at - time.monotonic() - spare_s)

    created = client.report(
        operations.create_job(ask.team_id, _JOB_TYPE),
        max_retries=0,
        deadline_s=left_s(),
    )
    if created.value is None:
        return answer(ask, created)
    job_id = created.value.job_id

    def complete(*, succeeded: bool) -> CallReport[CompletedJob]:
        return client.report(
            operations.complete_job(
                job_id,
                "completed" if succeeded else "failed",
                error_message=None if succeeded else "Gatewatch probe",
            ),
            max_retries=1,
            deadline_s=left_s(),
            # Also where a breaker has opened since: nobody would end the job later.
            admit=Admit.ALWAYS_TRIAL,
        )

    main: CallReport[object] = created
    if KINDS[ask.kind].credits_per_run:
        try:
            # Enough is left for the completion, which always has to be tried.
            main = _called(ask, client, job_id, left_s(spare_s=10.0))
        except BaseException:
            complete(succeeded=False)
            raise
    succeeded = main is not created and main.ok
    completed = complete(succeeded=succeeded)
    if main.ok and not completed.ok:
        main = completed
    return answer(ask, main, credits=_charged(ask, completed, succeeded=succeeded))


def _called(
    ask: Ask, client: Client, job_id: str, within_s: float
) -> CallReport[object]:
    """Put the question inside a job: once, and its answer may have a few tokens only."""
    if ask.kind is ProbeKind.STREAM_JOB:
        return client.report_stream(
            operations.llm_call_stream(
                job_id, model=ask.model, messages=_QUESTION, max_tokens=_ANSWER_TOKENS
            ),
            # This gateway sends a whole reply at once, however long that took.
            limits=StreamLimits(overall_s=within_s),
            max_retries=0,
            deadline_s=within_s,
        )
    return client.report(
        operations.llm_call(
            job_id, model=ask.model, messages=_QUESTION, max_tokens=_ANSWER_TOKENS
        ),
        max_retries=0,
        deadline_s=within_s,
    )


def _charged(
    ask: Ask, completed: CallReport[CompletedJob], *, succeeded: bool
) -> float:
    """Return the credits to count for a completion, by the team's terms.

    None where it says that it was free; where its answer was lost, what a run costs at
    most: a second try says of itself that it was free, when the first was charged. A job
    that failed is free, unless the answer itself says that it was charged.
    """
    costs = completed.value.costs if completed.value else None
    if not succeeded and not (costs and costs.credit_applied):
        return 0.0
    if costs is None or (costs.credit_applied is False and len(completed.attempts) > 1):
        return price(ask.terms, tokens=KINDS[ask.kind].tokens_per_run, dollars=0.0)
    if costs.credit_applied is False:
        return 0.0
    return price(ask.terms, tokens=costs.total_tokens, dollars=costs.total_cost_usd)
