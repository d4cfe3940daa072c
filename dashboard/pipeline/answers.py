"""What a run saw, as the row to store and what it told about the team."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid4

from apiclient import Attempt, CallReport, ErrorClass, Phases, Streamed
from apiclient.base_url import parse_base_url
from apiclient.redact import Secret, redact, repeats
from apiclient.team_payloads import Credits as ToldCredits
from apiclient.team_payloads import Team as ToldTeam
from apiclient.team_payloads import TeamStatus
from dashboard.probes.attempts import PastAttempt, PastStream
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import BreakerEvent, Outcome, ProbeKind
from dashboard.teams.services import Credits, Sighting, Terms

_DETAIL_LENGTH = 500
_REASON_LENGTH = 40
_TERM_LENGTH = 40
_MOST_US = 2**31 - 1
_NO_PHASES = Phases()
_UNTOLD = Terms()


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
    capped: bool = False
    # How its team pays for a completed job.
    terms: Terms = _UNTOLD
    # What its run before ended as.
    last_error: str = ""
    # Whether its team was stopped, and nobody has told its status since that run.
    was_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run saw: the rows to store, and what it told about the team."""

    ask: Ask
    report: CallReport[object]
    outcome: Outcome
    sighting: Sighting | None
    breaker_events: tuple[BreakerEvent, ...] = ()

    @property
    def certificate_expires_at(self) -> datetime | None:
        return self.report.certificate_expires_at


def own_fault(
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


def answer(ask: Ask, report: CallReport[object], credits: float = 0.0) -> Answer:  # noqa: A002
    last = report.attempts[-1].phases if report.attempts else _NO_PHASES
    outcome = Outcome(
        probe_id=ask.probe_id,
        started_at=report.started_at,
        latency_us=_microseconds(report.latency_s) or 0,
        elapsed_us=_microseconds(report.elapsed_s) or 0,
        connect_us=_microseconds(last.connect_s),
        tls_us=_microseconds(last.tls_s),
        first_byte_us=_microseconds(last.first_byte_s),
        error_class=report.error or "",
        status_code=report.status_code,
        attempts=len(report.attempts),
        credits=credits or None,
        host="" if report.host == _host(ask.base_url) else report.host,
    )
    if report.error is not None or len(report.attempts) > 1:
        outcome.request_id = UUID(report.request_id)
        outcome.detail = report.detail[:_DETAIL_LENGTH]
        outcome.attempt_log = [_past(attempt).packed() for attempt in report.attempts]
    if report.streamed is not None:
        outcome.ttft_us = _microseconds(report.streamed.ttft_s)
        outcome.stream = _stream(report.streamed, ask.key).packed()
    sighting = _sighting(ask, report)
    return Answer(ask, report, outcome, sighting and _without_key(sighting, ask.key))


@lru_cache(maxsize=1000)
def _host(base_url: str) -> str:
    """Return the gateway's host; "" for an address that is none, as its outcome says."""
    try:
        return parse_base_url(base_url).netloc
    except ValueError:
        return ""


def _microseconds(seconds: float | None) -> int | None:
    # A machine that slept in the middle of a call must not cost us its outcome.
    return None if seconds is None else min(round(seconds * 1e6), _MOST_US)


def _past(attempt: Attempt) -> PastAttempt:
    phases = attempt.phases
    return PastAttempt(
        error_class=attempt.error or "",
        status_code=attempt.status_code,
        wait_s=attempt.wait_s,
        latency_s=attempt.latency_s,
        connect_s=phases.connect_s,
        tls_s=phases.tls_s,
        first_byte_s=phases.first_byte_s,
        body_s=phases.body_s,
    )


def _stream(streamed: Streamed, key: Secret | None) -> PastStream:
    secrets = (key.reveal(),) if key else ()
    return PastStream(
        ttft_s=streamed.ttft_s,
        chunks=streamed.chunk_count,
        longest_gap_s=streamed.longest_gap_s,
        finish_reason=redact(
            streamed.finish_reason or "", *secrets, limit=_REASON_LENGTH
        ),
        skipped=streamed.skipped,
    )


_TEAM_STATES = {
    ErrorClass.TEAM_SUSPENDED: "suspended",
    ErrorClass.TEAM_PAUSED: "paused",
}


def _sighting(ask: Ask, report: CallReport[object]) -> Sighting | None:
    """Return what the answer tells about the team: its fields, or explicit 403s."""
    if ask.team_pk is None:
        return None
    match report.value:
        case ToldTeam() as team:
            return team_sighting(ask.team_pk, team, report.started_at)
        case ToldCredits() as told:
            return Sighting(
                ask.team_pk,
                report.started_at,
                status=told.status if told.status_text else _let_in(ask),
                credits=_credits(told),
                terms=_terms(told),
            )
        case _ if report.ok and (status := _let_in(ask)):
            return Sighting(ask.team_pk, report.started_at, status=status)
        case _:
            return _refused(ask.team_pk, ask.last_error, report)


def team_sighting(team_pk: int, told: ToldTeam, seen_at: datetime) -> Sighting:
    """Return what a team's own answer, or its place in the list, tells about it."""
    return Sighting(
        team_pk,
        seen_at,
        status=told.status,
        model_aliases=told.allowed_model_aliases,
        credits=_credits(told.credits) if told.credits else None,
        organization_id=told.organization_id,
        terms=_terms(told.credits) if told.credits else None,
    )


def _without_key(sighting: Sighting, key: Secret | None) -> Sighting:
    """Hide the team's own key wherever the gateway put it: viewers read these texts."""
    aliases, terms = sighting.model_aliases, sighting.terms
    told = [*(aliases or ()), sighting.organization_id or ""]
    told += [terms.budget_mode, terms.refill_period] if terms else []
    if key is None or not any(repeats(text, key.reveal()) for text in told):
        return sighting

    def hidden(text: str) -> str:
        return redact(text, key.reveal())

    return replace(
        sighting,
        model_aliases=aliases and tuple(map(hidden, aliases)),
        organization_id=sighting.organization_id and hidden(sighting.organization_id),
        terms=terms
        and replace(
            terms,
            budget_mode=hidden(terms.budget_mode),
            refill_period=hidden(terms.refill_period),
        ),
    )


def _refused(
    team_pk: int, last_error: str, report: CallReport[object]
) -> Sighting | None:
    """Return what an explicit 403 tells; one alone may be a hiccup of the gateway."""
    if report.error in _TEAM_STATES and report.error == last_error:
        status = _TEAM_STATES[report.error]
        return Sighting(team_pk, report.started_at, status=status)
    return None


def _let_in(ask: Ask) -> str | None:
    """Return what it tells that the team's key is taken: a stopped team's never is."""
    return TeamStatus.ACTIVE.value if ask.was_stopped else None


def _credits(told: ToldCredits) -> Credits:
    return Credits(told.allocated, told.used, told.remaining, told.auto_refill)


def _terms(told: ToldCredits) -> Terms:
    return Terms(
        budget_mode=told.budget_mode[:_TERM_LENGTH],
        tokens_per_credit=told.tokens_per_credit,
        credits_per_dollar=told.credits_per_dollar,
        refill_amount=told.refill_amount,
        refill_period=told.refill_period[:_TERM_LENGTH],
    )
