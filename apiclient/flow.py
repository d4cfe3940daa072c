"""The policy of one call, as a generator that does nothing itself.

It yields what should happen next and is sent what happened: `Ask` -> Admission, `Send` and
`Look` -> Sent, `Settle` -> Aftermath, `Wait` -> None. It returns the CallReport. The sync
and the async client are two short drivers of this one generator.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from apiclient import operations
from apiclient.classify import Answer, Verdict, classify
from apiclient.details import said
from apiclient.effects import results
from apiclient.gate import Admission, Aftermath
from apiclient.operations import Operation
from apiclient.payloads import CompletedJob, Job, UnreadableError
from apiclient.redact import redact
from apiclient.report import Attempt, CallReport, Streamed
from apiclient.retry import Repeat, is_ambiguous, never_left
from apiclient.steps import (
    Ask,
    Call,
    Look,
    Refresh,
    Refreshed,
    Reply,
    Send,
    Sent,
    Settle,
    Sources,
    Step,
    Wait,
)
from apiclient.taxonomy import TABLE, ErrorClass
from apiclient.team_payloads import Team, TeamStatus

T = TypeVar("T")

_IS_ID = re.compile(r"[A-Za-z0-9._:\[\]-]{1,100}")  # or "[hidden]"
_LOOK_TIMEOUT_S = 5.0  # a look-up must not cost more than what it explains


def course(call: Call[T], sources: Sources) -> Generator[Step, Reply, CallReport[T]]:
    """Return what yields the steps of `call` and returns its report."""
    return _Course(call, sources).run()


class _Course(Generic[T]):
    """One call on its way: its attempts so far and what the last one said."""

    def __init__(self, call: Call[T], sources: Sources) -> None:
        self.call = call
        self.operation = call.operation
        self.sources = sources
        self.started = sources.clock()
        self.started_at = sources.now()
        self.deadline = self.started + call.deadline_s
        self.attempts: list[Attempt] = []
        self.aftermath = Aftermath()
        self.ambiguous = False
        self.suppressed = False
        self.begun = False
        self.streamed: Streamed | None = None
        self.certificate: datetime | None = None
        self.server_request_id = ""
        self.base = 0
        self.may_refresh = call.can_refresh

    def run(self) -> Generator[Step, Reply, CallReport[T]]:
        if self.operation.needs_key and not self.call.has_key:
            return self._report(
                Verdict(ErrorClass.CONFIG, detail="this call needs a virtual key")
            )
        verdict: Verdict | None = None
        waited_s = 0.0
        while True:
            admission = yield from self._admit()
            if admission.held_s is not None:
                return self._held(admission, verdict)
            outcome = yield from self._attempt(admission, waited_s)
            if not isinstance(outcome, Verdict):
                return self._report(None, outcome.value)
            verdict = outcome
            wait_s = yield from self._waited(verdict, admission)
            if wait_s is None:
                return (yield from self._last_report(verdict))
            waited_s = wait_s
            report = yield from self._settled_meanwhile(verdict)
            if report is not None:
                return report

    def _settled_meanwhile(
        self, verdict: Verdict
    ) -> Generator[Step, Reply, CallReport[T] | None]:
        """Return the report when no other attempt is needed, or there is no time for it."""
        if self._must_look_at_job(verdict):
            report = yield from self._look_at_job(verdict)
            if report is not None:
                return report
        return self._report(verdict) if self._left() <= 0 else None

    def _last_report(self, verdict: Verdict) -> Generator[Step, Reply, CallReport[T]]:
        """Return the report of a call that is not tried again.

        What became of a completion is worth a look all the same, unless the breaker or
        the budget says that nobody would answer.
        """
        may_be_done = TABLE[verdict.error].retried and self._must_look_at_job(verdict)
        if may_be_done and not self.suppressed:
            report = yield from self._look_at_job(verdict)
            if report is not None:
                return report
        return self._report((yield from self._explained(verdict)))

    def _attempt(
        self, admission: Admission, waited_s: float
    ) -> Generator[Step, Reply, "Verdict | _Value[T]"]:
        sent = yield from self._send(admission)
        outcome = self._read(sent)
        verdict = outcome if isinstance(outcome, Verdict) else None
        self._note(sent, verdict, waited_s)
        self.aftermath = yield from self._settle(admission, verdict)
        return outcome

    def _waited(
        self, verdict: Verdict, admission: Admission
    ) -> Generator[Step, Reply, float | None]:
        """Return the seconds waited before the next attempt; None when there is none."""
        if (yield from self._refreshed(verdict)):
            return 0.0
        asked = self.base
        wait_s = self._next_wait(verdict, admission)
        if wait_s is not None:
            yield Wait(wait_s, self.attempts[-1], asked)
        return wait_s

    def _admit(self) -> Generator[Step, Reply, Admission]:
        """Ask the breakers of each base URL in turn, from the present one on."""
        while True:
            reply = yield Ask(self.call.admit, self.base)
            assert isinstance(reply, Admission)
            if reply.held_s is None or not self._has_another_base():
                return reply
            self.base += 1

    def _has_another_base(self) -> bool:
        return self.base + 1 < len(self.call.hosts)

    def _settle(
        self, admission: Admission, verdict: Verdict | None
    ) -> Generator[Step, Reply, Aftermath]:
        attempt = self.attempts[-1]
        told = results(verdict, attempt.latency_s)
        reply = yield Settle(admission, told, attempt, self.base)
        assert isinstance(reply, Aftermath)
        return reply

    def _refreshed(self, verdict: Verdict) -> Generator[Step, Reply, bool]:
        """Return whether there is another key to try, once in a call.

        Source: the guide, "401 Unauthorized": attempt to refresh the key.
        """
        if verdict.error is not ErrorClass.AUTH_FAILED or not self.may_refresh:
            return False
        self.may_refresh = False
        reply = yield Refresh()
        assert isinstance(reply, Refreshed)
        if reply.secrets is None:
            return False
        self.call = replace(self.call, secrets=reply.secrets)
        return True

    def _send(self, admission: Admission) -> Generator[Step, Reply, Sent]:
        number = len(self.attempts)
        grown_s = self.call.retry.attempt_timeout(self.operation.timeout_s, number)
        timeout_s = max(min(grown_s, self._left()), 0.0)
        sent = _sent((yield Send(number, timeout_s, admission, self.base)))
        self.certificate = sent.certificate_expires_at or self.certificate
        if sent.secrets and sent.secrets != self.call.secrets:
            self.call = replace(self.call, secrets=sent.secrets)
        return sent

    def _left(self) -> float:
        return self.deadline - self.sources.clock()

    def _read(self, sent: Sent) -> "Verdict | _Value[T]":
        self.streamed, self.begun = sent.streamed, sent.begun
        if sent.answer is None or sent.fault is not None:
            fault = sent.fault or Verdict(ErrorClass.INTERNAL)
            return replace(fault, detail=redact(fault.detail, *self.call.secrets))
        if sent.streamed is not None:
            return _Value(sent.streamed)  # type: ignore[arg-type]  # a stream's payload
        if 200 <= sent.answer.status_code < 300:
            return self._value(sent.answer)
        return classify(sent.answer, self.sources.now(), *self.call.secrets)

    def _value(self, answer: Answer) -> "Verdict | _Value[T]":
        try:
            return _Value(self.operation.value_of(answer.body, *self.call.secrets))
        except UnreadableError as error:
            extra = said(answer.headers, answer.body, *self.call.secrets)
            text = f"{error}; the answer says: {extra}" if extra else str(error)
            return Verdict(
                ErrorClass.DECODE,
                status_code=answer.status_code,
                detail=redact(text, *self.call.secrets),
            )

    def _note(self, sent: Sent, verdict: Verdict | None, waited_s: float) -> None:
        status = sent.answer.status_code if sent.answer else None
        self.attempts.append(
            Attempt(
                number=len(self.attempts) + 1,
                started_at=sent.started_at,
                wait_s=waited_s,
                latency_s=sent.latency_s,
                error=verdict.error if verdict else None,
                status_code=status,
                detail=verdict.detail if verdict else "",
                phases=sent.phases,
            )
        )
        if verdict and sent.answer:
            # What is no id may be a secret that we do not know, echoed to us.
            named = sent.answer.headers.get("x-request-id", "")
            told = redact(named, *self.call.secrets, limit=100)
            self.server_request_id = told if _IS_ID.fullmatch(told) else ""
        if verdict and self.operation.method != "GET":
            self.ambiguous = self.ambiguous or is_ambiguous(verdict.error, status)

    def _next_wait(self, verdict: Verdict, admission: Admission) -> float | None:
        """Return the seconds to wait before the next attempt, or None for no more."""
        if admission.peek or len(self.attempts) > self.call.max_retries:
            return None
        if self._moves_on(verdict):
            self.base += 1
            return 0.0
        if self.begun or not self._may_repeat(verdict):
            return None
        wait_s = self.call.retry.wait(
            len(self.attempts) - 1,
            self.sources.draw(),
            unavailable=verdict.status_code == 503,
            retry_after_s=verdict.retry_after_s,
        )
        if wait_s >= self._left():
            return None
        # A wait in vain is not begun: the breaker or the budget refuses at its end.
        if self.aftermath.held_s > wait_s or not self.aftermath.may_retry:
            self.suppressed = True
            return None
        return wait_s

    def _moves_on(self, verdict: Verdict) -> bool:
        """Return whether the next base URL is tried: this one was not even reached.

        Source: the guide, "Connection errors: retry with different endpoint".
        """
        away = never_left(verdict.error) or verdict.status_code == 503
        return away and self._has_another_base()

    def _may_repeat(self, verdict: Verdict) -> bool:
        retry = self.call.retry
        if retry.too_long(verdict.retry_after_s) or verdict.asked is False:
            return False
        if verdict.asked:
            return True
        return verdict.repeatable and retry.allows(
            self.operation.repeat, verdict.error, verdict.status_code
        )

    def _must_look_at_job(self, verdict: Verdict) -> bool:
        """Return whether a completion may have been applied by an attempt so far."""
        refused = never_left(verdict.error) or verdict.status_code in (429, 503)
        unsure = self.ambiguous or not refused
        return self.operation.repeat is Repeat.COMPLETE and unsure

    def _look_at_job(
        self, verdict: Verdict
    ) -> Generator[Step, Reply, CallReport[T] | None]:
        """Return the report when the job is already final, None to send again.

        Sending `complete` a third time charges again, so without a look there is no
        repeat: the first error then stands.
        """
        job = yield from self._look(operations.get_job(self.operation.job_id))
        if not isinstance(job, Job):
            return self._report(verdict)
        if job.status == self.operation.wanted_status:
            self.ambiguous = False
            done = CompletedJob(
                job_id=job.job_id, status=job.status, completed_at=job.completed_at
            )
            return self._report(None, done)  # type: ignore[arg-type]  # COMPLETE's payload
        if job.status.is_final:
            self.ambiguous = False
            return self._report(
                Verdict(ErrorClass.CONFLICT, detail=f"the job is already {job.status}")
            )
        return None

    def _explained(self, verdict: Verdict) -> Generator[Step, Reply, Verdict]:
        """Return a vague 403 with the reason that the team itself gives."""
        team_id = self.operation.team_id or self.call.team_id
        if not verdict.vague or not team_id or self.operation.name == "get_team":
            return verdict
        team = yield from self._look(operations.get_team(team_id), fresh_for_s=30.0)
        if not isinstance(team, Team):
            return verdict
        error = self._reason(team)
        self.attempts[-1] = replace(self.attempts[-1], error=error)
        return replace(verdict, error=error)

    def _reason(self, team: Team) -> ErrorClass:
        if team.status is TeamStatus.SUSPENDED:
            return ErrorClass.TEAM_SUSPENDED
        if team.status is TeamStatus.PAUSED:
            return ErrorClass.TEAM_PAUSED
        remaining = team.credits_remaining
        if remaining is not None and remaining <= 0:
            return ErrorClass.CREDITS_EXHAUSTED
        named = self.operation.names_model and remaining is not None
        return ErrorClass.MODEL_DENIED if named else ErrorClass.FORBIDDEN

    def _look(
        self, operation: Operation[Team] | Operation[Job], *, fresh_for_s: float = 0.0
    ) -> Generator[Step, Reply, Team | Job | None]:
        timeout_s = min(_LOOK_TIMEOUT_S, self._left())
        if timeout_s <= 0:
            return None
        sent = _sent((yield Look(operation, timeout_s, fresh_for_s, self.base)))
        if sent.answer is None or sent.answer.status_code != 200:
            return None
        try:
            return operation.value_of(sent.answer.body, *self.call.secrets)
        except UnreadableError:
            return None

    def _held(self, admission: Admission, verdict: Verdict | None) -> CallReport[T]:
        if verdict is not None:
            self.suppressed = True
            return self._report(verdict)
        self.aftermath = Aftermath(admission.state, admission.held_s or 0.0)
        return self._report(
            Verdict(
                ErrorClass.BREAKER_HELD,
                detail=admission.held_by,
                retry_after_s=admission.held_s,
            )
        )

    def _report(self, verdict: Verdict | None, value: T | None = None) -> CallReport[T]:
        return CallReport(
            operation=self.operation.name,
            method=self.operation.method,
            endpoint=self.operation.route,
            request_id=self.call.request_id,
            started_at=self.started_at,
            elapsed_s=self.sources.clock() - self.started,
            attempts=tuple(self.attempts),
            error=verdict.error if verdict else None,
            value=value,
            status_code=_status(verdict, self.attempts),
            detail=verdict.detail if verdict else "",
            field_errors=verdict.field_errors if verdict else (),
            retry_after_s=verdict.retry_after_s if verdict else None,
            ambiguous=self.ambiguous and verdict is not None,
            retries_suppressed=self.suppressed,
            host=self.call.hosts[self.base],
            team_id=self.operation.team_id or self.call.team_id,
            job_id=self.operation.job_id,
            breaker_state=self.aftermath.state,
            streamed=self.streamed,
            certificate_expires_at=self.certificate,
            server_request_id=self.server_request_id,
        )


@dataclass(frozen=True, slots=True)
class _Value(Generic[T]):
    value: T


def _status(verdict: Verdict | None, attempts: list[Attempt]) -> int | None:
    if verdict is not None:
        return verdict.status_code
    return attempts[-1].status_code if attempts else None


def _sent(reply: Reply) -> Sent:
    assert isinstance(reply, Sent)
    return reply
