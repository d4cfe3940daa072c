"""What a run saw, as the row to store and what it told about the team."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from apiclient import CallReport, ErrorClass
from apiclient.redact import Secret
from apiclient.team_payloads import Credits as ToldCredits
from apiclient.team_payloads import Team as ToldTeam
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import BreakerEvent, Outcome, ProbeKind
from dashboard.teams.services import Credits, Sighting, Terms

_DETAIL_LENGTH = 500


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
            return team_sighting(ask.team_pk, team, report.started_at)
        case ToldCredits() as told:
            return Sighting(
                ask.team_pk,
                report.started_at,
                status=told.status if told.status_text else None,
                credits=_credits(told),
                terms=_terms(told),
            )
        case _:
            return _refused(ask.team_pk, report)


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


def _refused(team_pk: int, report: CallReport[object]) -> Sighting | None:
    if report.error in _TEAM_STATES:
        status = _TEAM_STATES[report.error]
        return Sighting(team_pk, report.started_at, status=status)
    return None


def _credits(told: ToldCredits) -> Credits:
    return Credits(told.allocated, told.used, told.remaining, told.auto_refill)


def _terms(told: ToldCredits) -> Terms:
    return Terms(
        budget_mode=told.budget_mode,
        tokens_per_credit=told.tokens_per_credit,
        credits_per_dollar=told.credits_per_dollar,
        refill_amount=told.refill_amount,
        refill_period=told.refill_period,
    )
