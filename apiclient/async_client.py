"""AsyncClient: the asyncio driver of the policy, over its transport."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack

import httpx

from apiclient import operations
from apiclient.base_url import BaseURL
from apiclient.breaker import Admit, BreakerState
from apiclient.cancelling import cancellable
from apiclient.chunks import Chunk
from apiclient.completions import can_be_sent_later, operation_of
from apiclient.core import Core, Run, value_of
from apiclient.defaults import core_for
from apiclient.faults import FAULTS
from apiclient.jobs import AsyncJobBlock
from apiclient.journal import logger
from apiclient.metrics import Metrics, Stats
from apiclient.operations import Message, Operation
from apiclient.options import Options, bases_of, checks_addresses, ssl_context_for
from apiclient.payloads import (
    CompletedJob,
    CreditCheck,
    Health,
    Job,
    LLMCall,
    SingleCall,
)
from apiclient.reads import LastReads, Reading, check_is_read
from apiclient.reception import USUAL_LIMITS, StreamLimits
from apiclient.redact import Secret
from apiclient.report import CallReport, Streamed
from apiclient.steps import Ask, Look, Refresh, Reply, Send, Sent, Settle, Wait
from apiclient.streams import AsyncChatStream, Listener
from apiclient.team_payloads import Credits, Team, TeamUsage, Transaction
from apiclient.transport import AsyncWireTransport
from apiclient.wire import Prepared

T = TypeVar("T")


class AsyncClient:
    """The same for asyncio, with the same names; see Client.

    A breaker store is called in the event loop, so it should not wait for a network.
    """

    def __init__(
        self,
        *,
        base_url: str | BaseURL,
        team_id: str = "",
        virtual_key: str | Secret | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        key_provider: Callable[[], Awaitable[str | Secret]] | None = None,
        **options: Unpack[Options],
    ) -> None:
        bases = bases_of(base_url, options)
        self._core: Core = core_for(
            options,
            bases=bases,
            team_id=team_id,
            virtual_key=virtual_key,
            measured=transport is None,
            can_refresh=key_provider is not None,
        )
        self._sleep = sleep
        self._key_provider = key_provider
        self._reads = LastReads()
        self._transport = transport or AsyncWireTransport(
            ssl_context_for(bases, options),
            checks_addresses(options),
            fresh_connections=options.get("fresh_connections", False),
            max_connections=options.get("max_connections", 10),
            proxy=options.get("proxy"),
        )

    def __repr__(self) -> str:
        return f"AsyncClient({self._core!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the running loop's connections; a call made afterwards opens new ones."""
        await self._transport.aclose()

    @property
    def team_id(self) -> str:
        return self._core.team_id

    @property
    def metrics(self) -> Metrics:
        return self._core.metrics

    def get_stats(self) -> Stats:
        return self._core.metrics.get_stats()

    async def run(self, operation: Operation[T]) -> T:
        """Return the operation's payload, or raise the APIError that says why not."""
        report = await self.report(operation)
        if report.error is not None:
            raise self._core.error_of(operation, report)
        return value_of(report)

    async def report(
        self,
        operation: Operation[T],
        *,
        max_retries: int | None = None,
        deadline_s: float | None = None,
        admit: Admit = Admit.NORMAL,
    ) -> CallReport[T]:
        """Return everything about one call; never raises for what the gateway did."""
        core = self._core
        run = core.begin(operation, max_retries, deadline_s, admit)
        reply: Reply = None
        while True:
            try:
                step = run.steps.send(reply)
            except StopIteration as done:
                return core.finished(run, done.value)
            if isinstance(step, Send):
                reply = await self._send(run, step)
            else:
                reply = await self._do(run, step)

    async def report_stream(
        self,
        operation: Operation[Streamed],
        *,
        limits: StreamLimits = USUAL_LIMITS,
        max_retries: int | None = None,
        deadline_s: float | None = None,
        admit: Admit = Admit.NORMAL,
    ) -> CallReport[Streamed]:
        """Listen to a whole stream; never raises for what the gateway did."""
        run = self._core.begin_stream(operation, limits, max_retries, deadline_s, admit)
        async for item in self._stream(run, limits):
            if isinstance(item, CallReport):
                return item
        raise AssertionError("a stream ends with its report")

    def _open(
        self, operation: Operation[Streamed], limits: StreamLimits
    ) -> AsyncChatStream:
        core = self._core
        run = core.begin_stream(operation, limits)
        items = self._stream(run, limits)
        return AsyncChatStream(items, lambda report: core.error_of(operation, report))

    async def _stream(
        self, run: Run[Streamed], limits: StreamLimits
    ) -> AsyncGenerator[Chunk | CallReport[Streamed]]:
        """Yield the chunks of a reply, then its report."""
        core = self._core
        reply: Reply = None
        while True:
            try:
                step = run.steps.send(reply)
            except StopIteration as done:
                yield core.finished(run, done.value)
                return
            if not isinstance(step, Send):
                reply = await self._do(run, step)
                continue
            try:
                async with aclosing(self._listen(run, step, limits)) as items:
                    async for item in items:
                        if isinstance(item, Sent):
                            reply = item
                        else:
                            yield item
            except BaseException:
                core.gate.release(step.admission.tickets)
                raise

    async def _listen(
        self, run: Run[Streamed], step: Send, limits: StreamLimits
    ) -> AsyncGenerator[Chunk | Sent]:
        """Yield the chunks of one attempt, then what became of it."""
        prepared = self._core.prepare(run, step)
        listener = Listener(self._core, prepared, limits)
        try:
            response = await cancellable(
                self._transport.handle_async_request(prepared.request),
                discard=lambda response: response.aclose(),
            )
            if not listener.accepts(response):
                yield await cancellable(self._take_in(prepared, response))
                return
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            try:
                async for data in stream:
                    for chunk in listener.hear(data):
                        yield chunk
                    if listener.over:
                        break
                listener.end()
            finally:
                await cancellable(stream.aclose())
        except FAULTS as error:
            yield listener.sent(error)
        else:
            yield listener.sent()

    async def _do(
        self, run: Run[T], step: Wait | Look | Ask | Settle | Refresh
    ) -> Reply:
        if isinstance(step, Wait):
            self._core.waits(run, step)
            await self._sleep(step.seconds)
            return None
        if isinstance(step, Look):
            return await self._look(run, step)
        if isinstance(step, Refresh):
            return self._core.refreshed(run, await self._another_key())
        return self._core.decide(run, step)

    async def _another_key(self) -> str | Secret | None:
        """Return what the caller's provider gives; its failure must not hide the 401."""
        assert self._key_provider is not None
        try:
            return await self._key_provider()
        except Exception:  # noqa: BLE001  # a provider may raise anything
            logger.exception("key_provider.failed")
            return None

    async def _send(self, run: Run[T], step: Send) -> Sent:
        try:
            return await cancellable(self._exchange(self._core.prepare(run, step)))
        except BaseException:
            self._core.gate.release(step.admission.tickets)
            raise

    async def _look(self, run: Run[T], step: Look) -> Sent:
        sent = self._core.remembered(step)
        if sent is None:
            sent = await cancellable(self._exchange(self._core.prepare(run, step)))
            self._core.remember(step, sent)
        return sent

    async def _exchange(self, prepared: Prepared) -> Sent:
        try:
            response = await self._transport.handle_async_request(prepared.request)
            return await self._take_in(prepared, response)
        except FAULTS as error:
            return self._core.failed(prepared, error)

    async def _take_in(self, prepared: Prepared, response: httpx.Response) -> Sent:
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            intake = self._core.intake(response)
            try:
                async for chunk in stream:
                    if not intake.add(chunk):
                        break
            except FAULTS:
                if intake.is_success:
                    raise
                intake.cut()
        finally:
            await stream.aclose()
        return self._core.answered(prepared, response, intake)

    async def read(self, operation: Operation[T]) -> Reading[T]:
        """Return a read's value, or its last good one marked stale, with the error.

        Raises the APIError when there is no last one. Only GETs have a last answer.
        """
        check_is_read(operation)
        report = await self.report(operation)
        failed = report.error is not None
        error = self._core.error_of(operation, report) if failed else None
        return self._reads.settle(operation, report, error)

    def force_breaker(
        self, to: BreakerState | None, operation: Operation[object] | None = None
    ) -> None:
        """Force a route's breaker FORCED_OPEN or FORCED_CLOSED; None lets it go.

        Without an operation it is the breaker of the whole (first) host.
        """
        self._core.force_breaker(operation, to)

    async def health(self) -> Health:
        return await self.run(operations.health())

    async def get_team(self, team_id: str | None = None) -> Team:
        return await self.run(operations.get_team(self._core.team(team_id)))

    async def list_teams(self) -> tuple[Team, ...]:
        return await self.run(operations.list_teams())

    async def balance(self, team_id: str | None = None) -> Credits:
        return await self.run(operations.balance(self._core.team(team_id)))

    async def team_transactions(
        self, team_id: str | None = None, *, limit: int = 20
    ) -> tuple[Transaction, ...]:
        operation = operations.team_transactions(self._core.team(team_id), limit)
        return await self.run(operation)

    async def team_usage(self, period: str, team_id: str | None = None) -> TeamUsage:
        """Read what the jobs of a month, written YYYY-MM, were and cost."""
        return await self.run(operations.team_usage(self._core.team(team_id), period))

    async def check_credits(self, credits_needed: int = 1) -> CreditCheck:
        return await self.run(
            operations.credit_check(self._core.team(None), credits_needed)
        )

    async def create_job(
        self,
        job_type: str,
        *,
        user_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Job:
        return await self.run(
            operations.create_job(
                self._core.team(None), job_type, user_id=user_id, metadata=metadata
            )
        )

    async def get_job(self, job_id: str) -> Job:
        return await self.run(operations.get_job(job_id))

    async def complete_job(
        self,
        job_id: str,
        status: Literal["completed", "failed"],
        error_message: str | None = None,
    ) -> CompletedJob:
        return await self.run(operations.complete_job(job_id, status, error_message))

    async def llm_call(
        self, job_id: str, *, model: str, messages: Sequence[Message], **options: object
    ) -> LLMCall:
        return await self.run(
            operations.llm_call(job_id, model=model, messages=messages, **options)
        )

    async def create_and_call(
        self,
        job_type: str,
        *,
        model: str,
        messages: Sequence[Message],
        **options: object,
    ) -> SingleCall:
        return await self.run(
            operations.create_and_call(
                self._core.team(None),
                job_type,
                model=model,
                messages=messages,
                **options,
            )
        )

    def chat_stream(
        self,
        job_id: str,
        *,
        model: str,
        messages: Sequence[Message],
        limits: StreamLimits = USUAL_LIMITS,
        **options: object,
    ) -> AsyncChatStream:
        """Call a model inside a job and iterate over its reply; see AsyncChatStream.

        Nothing is sent before the first iteration. It is sent again only as long as no
        part of the reply has been handed out.
        """
        operation = operations.llm_call_stream(
            job_id, model=model, messages=messages, **options
        )
        return self._open(operation, limits)

    def create_and_call_stream(
        self,
        job_type: str,
        *,
        model: str,
        messages: Sequence[Message],
        limits: StreamLimits = USUAL_LIMITS,
        **options: object,
    ) -> AsyncChatStream:
        """Create, call and complete in one request; iterate over its reply."""
        operation = operations.create_and_call_stream(
            self._core.team(None),
            job_type,
            model=model,
            messages=messages,
            **options,
        )
        return self._open(operation, limits)

    def job(
        self,
        job_type: str,
        *,
        user_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        recreate: bool = False,
    ) -> AsyncJobBlock:
        """Return a block that creates a job, and completes or fails it at its end.

        With `recreate`, an llm_call that finds its job gone makes a new one, once.
        """

        async def create() -> Job:
            return await self.create_job(job_type, user_id=user_id, metadata=metadata)

        core = self._core
        return AsyncJobBlock(
            self, create, core.completions, core.secrets, recreate=recreate
        )

    async def send_completions(self) -> int:
        """Send what could not be sent before; return how many jobs are ended now.

        Each job is looked at first: a completion that had arrived is not sent again.
        """
        ended = 0
        for completion in self._core.completions.waiting():
            job = await self.report(operations.get_job(completion.job_id))
            if job.value is not None and not job.value.status.is_final:
                sent = await self.report(operation_of(completion))
                keep = can_be_sent_later(sent)
            else:
                keep = can_be_sent_later(job)
            if not keep:
                self._core.completions.discard(completion.job_id)
                ended += 1
        return ended
