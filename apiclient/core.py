"""What the two clients share: everything about a call except waiting for the network."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import httpx

from apiclient import journal
from apiclient.base_url import BaseURL
from apiclient.breaker import (
    Admit,
    BreakerPolicy,
    BreakerState,
    breaker_key,
    host_key,
)
from apiclient.classify import Answer
from apiclient.completions import MemoryCompletions
from apiclient.errors import EXCEPTIONS, APIError, error_for
from apiclient.events import AttemptEvent, Hooks, RetryEvent
from apiclient.faults import fault_of
from apiclient.flow import course
from apiclient.gate import Aftermath, Gate
from apiclient.intake import MAX_BODY_BYTES, Intake
from apiclient.operations import Operation
from apiclient.options import CONNECT_TIMEOUT_S, Options
from apiclient.reception import StreamLimits
from apiclient.redact import Secret
from apiclient.report import Attempt, CallReport, Streamed
from apiclient.retry import RetryPolicy
from apiclient.steps import (
    Ask,
    Call,
    Look,
    Refreshed,
    Reply,
    Send,
    Sent,
    Settle,
    Sources,
    Step,
    Wait,
)
from apiclient.stores import MemoryBreakerStore, shared_metrics
from apiclient.wire import Prepared, Wire

T = TypeVar("T")
_REMEMBERED = 256  # look-ups kept per client: operations are few


class Core:
    """One client's settings and state; every method returns at once."""

    def __init__(
        self,
        options: Options,
        sources: Sources,
        *,
        bases: Sequence[BaseURL],
        team_id: str,
        virtual_key: str | Secret | None,
        new_id: Callable[[], str],
        measured: bool,
        can_refresh: bool,
    ) -> None:
        self.team_id = team_id
        self.retry = options.get("retry") or RetryPolicy()
        self.metrics = options.get("metrics") or shared_metrics()
        self.completions = options.get("completions") or MemoryCompletions()
        self.wire = Wire(
            bases,
            virtual_key,
            sources,
            connect_timeout_s=options.get("connect_timeout_s", CONNECT_TIMEOUT_S),
            measured=measured,
        )
        self._hooks = options.get("hooks") or Hooks()
        self.gate = Gate(
            options["breakers"] if "breakers" in options else MemoryBreakerStore(),
            options.get("breaker_policy") or BreakerPolicy(),
            lambda: sources.now().timestamp(),
            sources.draw,
            lambda event: journal.tell(self._hooks.on_breaker, event),
        )
        self._budget = options.get("retry_budget")
        self._sources = sources
        self._new_id = new_id
        self._can_refresh = can_refresh
        self._timeouts_s = dict(options.get("timeouts_s", {}))
        self._max_body_bytes = options.get("max_body_bytes", MAX_BODY_BYTES)
        self._looked: dict[str, tuple[float, Sent]] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.wire.secrets

    def begin(
        self,
        operation: Operation[T],
        max_retries: int | None,
        deadline_s: float | None,
        admit: Admit,
    ) -> "Run[T]":
        """Return a call that has not begun yet."""
        if deadline_s is not None and not deadline_s > 0:
            raise ValueError(f"deadline_s={deadline_s} is not a positive number")
        if operation.name in self._timeouts_s:
            operation = operation.with_timeout(self._timeouts_s[operation.name])
        request_id = self._new_id()
        call = Call(
            operation=operation,
            request_id=request_id,
            retry=self.retry,
            max_retries=self.retry.max_retries if max_retries is None else max_retries,
            deadline_s=self.retry.deadline_s if deadline_s is None else deadline_s,
            admit=admit,
            hosts=self.wire.hosts,
            team_id=self.team_id,
            has_key=self.wire.has_key,
            secrets=self.wire.secrets,
            can_refresh=self._can_refresh,
        )
        journal.started(operation.name, operation.method, operation.route, request_id)
        return Run(call, course(call, self._sources))

    def begin_stream(
        self,
        operation: Operation[Streamed],
        limits: StreamLimits,
        max_retries: int | None = None,
        deadline_s: float | None = None,
        admit: Admit = Admit.NORMAL,
    ) -> "Run[Streamed]":
        run = self.begin(operation, max_retries, deadline_s, admit)
        if limits.overall_s is None:
            return run
        bounded = run.call.operation.with_timeout(limits.overall_s)
        call = replace(run.call, operation=bounded)
        return Run(call, course(call, self._sources))

    def prepare(self, run: "Run[T]", step: Send | Look) -> Prepared:
        operation = run.call.operation if isinstance(step, Send) else step.operation
        return self.wire.prepare(step, operation, run.call.request_id)

    def intake(self, response: httpx.Response) -> Intake:
        return Intake(response.status_code, response.headers.raw, self._max_body_bytes)

    def answered(
        self, prepared: Prepared, response: httpx.Response, intake: Intake
    ) -> Sent:
        return prepared.sent(
            Answer(response.status_code, response.headers, intake.body(), intake.whole)
        )

    def failed(self, prepared: Prepared, error: Exception) -> Sent:
        return prepared.sent(fault=fault_of(error))

    def decide(self, run: "Run[T]", step: Ask | Settle) -> Reply:
        call = run.call
        host = call.hosts[step.base]
        if isinstance(step, Ask):
            return self.gate.admit(self._keys(call.operation, host), step.mode)
        aftermath = self.gate.settle(step.admission.tickets, step.results)
        if self._hooks.on_attempt is not None:
            journal.tell(self._hooks.on_attempt, self._event(call, host, step.attempt))
        if self._budget is None:
            return aftermath
        may_retry = self._budget.note(host, step.results[0].effect)
        return Aftermath(aftermath.state, aftermath.held_s, may_retry)

    def _keys(self, operation: Operation[object], host: str) -> tuple[str, str]:
        team_id = operation.team_id or self.team_id
        own = breaker_key(host, team_id, operation.method, operation.route)
        return own, host_key(host)

    def _event(self, call: Call[T], host: str, attempt: Attempt) -> AttemptEvent:
        operation = call.operation
        return AttemptEvent(
            request_id=call.request_id,
            operation=operation.name,
            method=operation.method,
            endpoint=operation.route,
            host=host,
            team_id=operation.team_id or self.team_id,
            attempt=attempt,
        )

    def force_breaker(
        self, operation: Operation[object] | None, to: BreakerState | None
    ) -> None:
        host = self.wire.hosts[0]
        key = host_key(host) if operation is None else self._keys(operation, host)[0]
        self.gate.force(key, to)

    def waits(self, run: "Run[T]", step: Wait) -> None:
        call = run.call
        journal.retrying(
            call.request_id, call.operation.route, step.after, step.seconds
        )
        if self._hooks.on_retry is not None:
            failed = self._event(call, call.hosts[step.base], step.after)
            journal.tell(self._hooks.on_retry, RetryEvent(failed, step.seconds))

    def refreshed(self, run: "Run[T]", key: str | Secret | None) -> Refreshed:
        """Take the key that the caller's provider gave, unless it is the same.

        One that cannot be sent is logged and not taken: the 401 stands.
        """
        if key is None:
            return Refreshed()
        text = key.reveal() if isinstance(key, Secret) else key
        if run.call.secrets[:1] == (text,):
            return Refreshed()
        try:
            self.wire.renew(text)
        except ValueError as error:
            journal.key_refused(run.call.request_id, str(error))
            return Refreshed()
        return Refreshed(self.wire.secrets)

    def remembered(self, step: Look) -> Sent | None:
        """Return an answer to the same look-up that is still fresh enough."""
        at, sent = self._looked.get(step.operation.path, (float("-inf"), None))
        return sent if self._sources.clock() - at < step.fresh_for_s else None

    def remember(self, step: Look, sent: Sent) -> None:
        # What did not answer may answer a moment later.
        answered = sent.answer is not None and sent.answer.status_code == 200
        if step.fresh_for_s > 0 and answered:
            if len(self._looked) >= _REMEMBERED:
                self._looked.clear()
            self._looked[step.operation.path] = (self._sources.clock(), sent)

    def finished(self, run: "Run[T]", report: CallReport[T]) -> CallReport[T]:
        self.metrics.record(report)
        error_type = EXCEPTIONS[report.error].__name__ if report.error else ""
        base = self.wire.base_of(report.host)
        journal.ended(report, base, run.call.operation.path, error_type)
        journal.tell(self._hooks.on_result, report)
        return report

    def error_of(self, operation: Operation[T], report: CallReport[T]) -> APIError:
        return error_for(report, operation.repeat)

    def team(self, team_id: str | None) -> str:
        """Return `team_id` or the client's own."""
        if chosen := self.team_id if team_id is None else team_id:
            return chosen
        raise ValueError("this client has no team_id; name one in the call")

    def __repr__(self) -> str:
        key = "with a key" if self.wire.has_key else "without a key"
        return f"{self.wire.bases[0]!r}, team_id={self.team_id!r}, {key}"


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """A call under way, and its steps."""

    call: Call[T]
    steps: Generator[Step, Reply, CallReport[T]]


def value_of(report: CallReport[T]) -> T:
    value: T = report.value  # type: ignore[assignment]  # a report without error has one
    return value
