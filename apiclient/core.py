"""What the two clients share: everything about a call except waiting for the network."""

import ssl
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Generic, TypedDict, TypeVar

import httpx

from apiclient import journal
from apiclient.addresses import AddressCheck, address_check
from apiclient.base_url import BaseURL
from apiclient.breaker import Admit, BreakerPolicy, BreakerStore, breaker_key, host_key
from apiclient.classify import Answer
from apiclient.completions import CompletionStore, MemoryCompletions
from apiclient.errors import EXCEPTIONS, APIError, error_for
from apiclient.exchange import Exchange
from apiclient.flow import course
from apiclient.gate import Gate
from apiclient.intake import MAX_BODY_BYTES, Intake
from apiclient.metrics import Metrics
from apiclient.operations import Operation
from apiclient.payloads import Job
from apiclient.reception import StreamLimits
from apiclient.redact import Secret, check_virtual_key
from apiclient.report import CallReport, Streamed
from apiclient.retry import RetryPolicy
from apiclient.steps import (
    Ask,
    Call,
    Look,
    Reply,
    Send,
    Sent,
    Settle,
    Sources,
    Step,
    Wait,
)
from apiclient.stores import MemoryBreakerStore, shared_metrics
from apiclient.team_payloads import Team
from apiclient.transport import fault_of, timeouts

T = TypeVar("T")
_Headers = tuple[tuple[bytes, bytes], ...]

VERSION = "0.1.0"
CONNECT_TIMEOUT_S = 5.0
_REMEMBERED = 256  # URLs and look-ups kept per client: operations are few


class Options(TypedDict, total=False):
    """What every client can be given besides its address and key.

    `breakers` is the store to share (None: no breaker; left out: one of its own).
    `completions` keeps what could not be sent of jobs' ends.
    `timeouts_s` overrides the seconds of one attempt by operation name. `address_check`
    replaces the policy that `allow_private` chooses. `clock` is monotonic, `now` the
    aware UTC time, `draw` a number on [0, 1), `new_id` a fresh request id.
    """

    retry: RetryPolicy
    breakers: BreakerStore | None
    breaker_policy: BreakerPolicy
    ssl_context: ssl.SSLContext | None
    allow_private: bool
    address_check: AddressCheck
    fresh_connections: bool
    max_connections: int
    connect_timeout_s: float
    timeouts_s: Mapping[str, float]
    max_body_bytes: int
    metrics: Metrics
    completions: CompletionStore
    clock: Callable[[], float]
    now: Callable[[], datetime]
    draw: Callable[[], float]
    new_id: Callable[[], str]


@cache
def default_ssl_context() -> ssl.SSLContext:
    """Return the one context of this process: loading the CA bundle takes 25 ms."""
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent, and the clock that goes along with it."""

    request: httpx.Request
    exchange: Exchange
    started_at: datetime


class Core:
    """One client's settings and state; every method returns at once."""

    def __init__(
        self,
        options: Options,
        sources: Sources,
        *,
        base_url: BaseURL,
        team_id: str,
        virtual_key: str | Secret | None,
        new_id: Callable[[], str],
        measured: bool,
    ) -> None:
        self.base_url = base_url
        self.team_id = team_id
        self.retry = options.get("retry") or RetryPolicy()
        self.metrics = options.get("metrics") or shared_metrics()
        self.completions = options.get("completions") or MemoryCompletions()
        self.gate = Gate(
            options["breakers"] if "breakers" in options else MemoryBreakerStore(),
            options.get("breaker_policy") or BreakerPolicy(),
            lambda: sources.now().timestamp(),
            sources.draw,
        )
        self._key = _checked_key(virtual_key)
        self._sources = sources
        self._new_id = new_id
        self._measured = measured
        self._timeouts_s = dict(options.get("timeouts_s", {}))
        self._connect_timeout_s = options.get("connect_timeout_s", CONNECT_TIMEOUT_S)
        self.max_body_bytes = options.get("max_body_bytes", MAX_BODY_BYTES)
        self._secrets = (self._key.reveal(),) if self._key else ()
        self._base = str(base_url)
        self._host = base_url.netloc
        self._headers = _headers(self._host, self._key)
        self._urls: dict[str, httpx.URL] = {}
        self._looked: dict[str, tuple[float, Sent]] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        return self._secrets

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
            host=self._host,
            team_id=self.team_id,
            has_key=self._key is not None,
            secrets=self._secrets,
        )
        team_id = operation.team_id or self.team_id
        keys = (
            breaker_key(self._host, team_id, operation.method, operation.route),
            host_key(self._host),
        )
        journal.started(operation.name, operation.method, operation.route, request_id)
        return Run(call, keys, course(call, self._sources))

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
        return Run(call, run.keys, course(call, self._sources))

    def prepare(self, run: "Run[T]", step: Send | Look) -> Prepared:
        """Return the request of a step; the whole exchange has `step.timeout_s`."""
        operation = run.call.operation if isinstance(step, Send) else step.operation
        exchange = Exchange(self._sources.clock, step.timeout_s)
        if not self._measured:
            exchange.began = self._sources.clock()
        request = httpx.Request(
            operation.method,
            self._url(operation.path),
            headers=self._headers_for(run.call.request_id, operation),
            # Given a stream, httpx takes the headers as they are and adds none.
            stream=httpx.ByteStream(operation.body or b""),
            extensions={
                "timeout": timeouts(exchange, self._connect_timeout_s, step.timeout_s)
            },
        )
        return Prepared(request, exchange, self._sources.now())

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            if len(self._urls) >= _REMEMBERED:
                self._urls.clear()
            url = self._urls.setdefault(path, httpx.URL(f"{self._base}{path}"))
        return url

    def _headers_for(
        self,
        request_id: str,
        operation: Operation[T] | Operation[Team] | Operation[Job],
    ) -> list[tuple[bytes, bytes]]:
        id_ = request_id.encode()
        plain, keyed = self._headers
        headers = [
            *(keyed if operation.sends_key else plain),
            (
                b"Accept",
                b"text/event-stream" if operation.streams else b"application/json",
            ),
            (b"X-Request-ID", id_),
        ]
        if operation.method != "GET":
            body = operation.body or b""
            headers.append((b"Content-Length", str(len(body)).encode()))
            # One per call, the same in all its attempts; harmless where it is ignored.
            headers.append((b"Idempotency-Key", id_))
        if operation.body is not None:
            headers.append((b"Content-Type", b"application/json"))
        return headers

    def intake(self, response: httpx.Response) -> Intake:
        return Intake(response.status_code, response.headers.raw, self.max_body_bytes)

    def answered(
        self, prepared: Prepared, response: httpx.Response, intake: Intake
    ) -> Sent:
        exchange = prepared.exchange
        exchange.ended = self._sources.clock()
        answer = Answer(
            response.status_code, response.headers, intake.body(), intake.whole
        )
        return Sent(
            prepared.started_at, exchange.latency_s(), answer, None, exchange.phases()
        )

    def failed(self, prepared: Prepared, error: Exception) -> Sent:
        exchange = prepared.exchange
        exchange.ended = self._sources.clock()
        return Sent(
            prepared.started_at,
            exchange.latency_s(),
            None,
            fault_of(error),
            exchange.phases(),
        )

    def decide(self, run: "Run[T]", step: Ask | Settle) -> Reply:
        if isinstance(step, Ask):
            return self.gate.admit(run.keys, step.mode)
        return self.gate.settle(step.admission.tickets, step.results)

    def waits(self, run: "Run[T]", step: Wait) -> None:
        journal.retrying(
            run.call.request_id, run.call.operation.route, step.after, step.seconds
        )

    def remembered(self, step: Look) -> Sent | None:
        """Return an answer to the same look-up that is still fresh enough."""
        at, sent = self._looked.get(step.operation.path, (float("-inf"), None))
        return sent if self._sources.clock() - at < step.fresh_for_s else None

    def remember(self, step: Look, sent: Sent) -> None:
        if step.fresh_for_s > 0 and sent.answer is not None:
            if len(self._looked) >= _REMEMBERED:
                self._looked.clear()
            self._looked[step.operation.path] = (self._sources.clock(), sent)

    def finished(self, run: "Run[T]", report: CallReport[T]) -> CallReport[T]:
        self.metrics.record(report)
        error_type = EXCEPTIONS[report.error].__name__ if report.error else ""
        journal.ended(report, self._base, run.call.operation.path, error_type)
        return report

    def error_of(self, operation: Operation[T], report: CallReport[T]) -> APIError:
        return error_for(report, operation.repeat)

    def team(self, team_id: str | None) -> str:
        """Return `team_id` or the client's own."""
        if chosen := self.team_id if team_id is None else team_id:
            return chosen
        raise ValueError("this client has no team_id; name one in the call")

    def __repr__(self) -> str:
        key = "with a key" if self._key else "without a key"
        return f"{str(self.base_url)!r}, team_id={self.team_id!r}, {key}"


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """A call under way, its breakers' keys, and its steps."""

    call: Call[T]
    keys: tuple[str, str]
    steps: Generator[Step, Reply, CallReport[T]]


def _headers(host: str, key: Secret | None) -> tuple[_Headers, _Headers]:
    """Return the headers that each request has, without and with the key."""
    plain = (
        (b"Host", host.encode()),
        (b"Accept-Encoding", b"identity"),
        (b"User-Agent", f"gatewatch-apiclient/{VERSION}".encode()),
    )
    if key is None:
        return plain, plain
    return plain, (*plain, (b"Authorization", f"Bearer {key.reveal()}".encode()))


def _checked_key(key: str | Secret | None) -> Secret | None:
    if key is None:
        return None
    text = key.reveal() if isinstance(key, Secret) else key
    return Secret(check_virtual_key(text))


def value_of(report: CallReport[T]) -> T:
    value: T = report.value  # type: ignore[assignment]  # a report without error has one
    return value


def checks_addresses(options: Options) -> AddressCheck:
    return options.get("address_check") or address_check(
        allow_private=options.get("allow_private", True)
    )


def ssl_context_for(base_url: BaseURL, options: Options) -> ssl.SSLContext | None:
    """Return the context to use; plain http needs none and pays for none."""
    given = options.get("ssl_context")
    return (
        default_ssl_context() if given is None and base_url.scheme == "https" else given
    )
