"""A job that ends itself: `with client.job("chat") as job`, and its asyncio twin.

Leaving the block completes the job, and an exception, a time-out, a cancellation or
Ctrl-C fails it: once, whatever happens. Source: the guide, "Complete Jobs on Failure".
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from apiclient.completions import (
    INTERRUPTED_S,
    Completion,
    CompletionStore,
    can_be_sent_later,
    completion_of,
    is_interruption,
    is_of_missing_job,
    operation_of,
)
from apiclient.errors import NotFoundError, error_for
from apiclient.operations import Message, Operation
from apiclient.payloads import CompletedJob, LLMCall
from apiclient.payloads import Job as CreatedJob
from apiclient.reception import USUAL_LIMITS, StreamLimits
from apiclient.report import CallReport
from apiclient.retry import Repeat
from apiclient.streams import AsyncChatStream, ChatStream


class _Ending:
    """What both kinds of job know about their end."""

    def __init__(
        self,
        store: CompletionStore,
        secrets: tuple[str, ...],
        *,
        recreate: bool,
    ) -> None:
        self.job_id = ""
        self.completed: CompletedJob | None = None
        self._store = store
        self._secrets = secrets
        self._may_recreate = recreate
        self._failure: str | None = None

    def fail(self, reason: str) -> None:
        """Let the job end as failed although the block ends well."""
        self._failure = reason

    def _completion(self, error: BaseException | None) -> Completion:
        if error is None and self._failure is not None:
            error = JobFailedError(self._failure)
        return completion_of(self.job_id, error, *self._secrets)

    def _is_missing(self, error: NotFoundError) -> bool:
        """Return whether a new job may take the place of one that is gone, once."""
        if not self._may_recreate or not is_of_missing_job(error.report):
            return False
        self._may_recreate = False
        return True

    def _ended(
        self,
        completion: Completion,
        report: CallReport[CompletedJob],
        first: BaseException | None,
    ) -> None:
        """Note how the completion went: its failure never hides the first error."""
        if report.error is None:
            self.completed = report.value
            return
        error = error_for(report, Repeat.COMPLETE)
        kept = can_be_sent_later(report) and self._is_kept(completion, error)
        if first is None:
            raise error
        then = "it is kept for send_completions()" if kept else "it is not kept"
        first.add_note(f"The job was not completed as failed ({error}); {then}.")

    def _is_kept(self, completion: Completion, error: BaseException) -> bool:
        """Keep a completion for later; a list that fails must not hide `error`."""
        try:
            self._store.add(completion)
        except Exception as failed:  # noqa: BLE001  # a store may raise anything
            error.__context__ = failed
            return False
        return True


class JobFailedError(Exception):
    """A job that its own program called failed; only its text is used."""


class _Calls(Protocol):
    def create_job(self, job_type: str) -> CreatedJob: ...

    def llm_call(
        self, job_id: str, *, model: str, messages: Sequence[Message], **options: object
    ) -> LLMCall: ...

    def chat_stream(
        self,
        job_id: str,
        *,
        model: str,
        messages: Sequence[Message],
        limits: StreamLimits = ...,
        **options: object,
    ) -> ChatStream: ...

    def report(
        self,
        operation: Operation[CompletedJob],
        *,
        max_retries: int | None = None,
        deadline_s: float | None = None,
    ) -> CallReport[CompletedJob]: ...


class JobBlock(_Ending):
    """The job of a `with` block; `job_id` is there from its beginning.

    With `recreate`, an llm_call that finds its job gone makes a new one, once.
    """

    def __init__(
        self,
        client: _Calls,
        create: Callable[[], CreatedJob],
        store: CompletionStore,
        secrets: tuple[str, ...],
        *,
        recreate: bool,
    ) -> None:
        super().__init__(store, secrets, recreate=recreate)
        self._client = client
        self._create = create

    def __enter__(self) -> Self:
        self.job_id = self._create().job_id
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        completion = self._completion(exc)
        operation = operation_of(completion)
        try:
            if is_interruption(exc):
                report = self._client.report(
                    operation, max_retries=0, deadline_s=INTERRUPTED_S
                )
            else:
                report = self._client.report(operation)
        except BaseException as stopped:  # Ctrl-C: what became of it is not known
            self._is_kept(completion, stopped)
            raise
        self._ended(completion, report, exc)

    def llm_call(
        self, *, model: str, messages: Sequence[Message], **options: object
    ) -> LLMCall:
        def call() -> LLMCall:
            return self._client.llm_call(
                self.job_id, model=model, messages=messages, **options
            )

        try:
            return call()
        except NotFoundError as error:
            if not self._is_missing(error):
                raise
        self.job_id = self._create().job_id
        return call()

    def chat_stream(
        self,
        *,
        model: str,
        messages: Sequence[Message],
        limits: StreamLimits = USUAL_LIMITS,
        **options: object,
    ) -> ChatStream:
        return self._client.chat_stream(
            self.job_id, model=model, messages=messages, limits=limits, **options
        )


class _AsyncCalls(Protocol):
    async def llm_call(
        self, job_id: str, *, model: str, messages: Sequence[Message], **options: object
    ) -> LLMCall: ...

    def chat_stream(
        self,
        job_id: str,
        *,
        model: str,
        messages: Sequence[Message],
        limits: StreamLimits = ...,
        **options: object,
    ) -> AsyncChatStream: ...

    async def report(
        self,
        operation: Operation[CompletedJob],
        *,
        max_retries: int | None = None,
        deadline_s: float | None = None,
    ) -> CallReport[CompletedJob]: ...


class AsyncJobBlock(_Ending):
    """The job of an `async with` block; see JobBlock.

    Its completion is shielded: a cancellation is passed on after it, or after 5 s.
    """

    def __init__(
        self,
        client: _AsyncCalls,
        create: Callable[[], Awaitable[CreatedJob]],
        store: CompletionStore,
        secrets: tuple[str, ...],
        *,
        recreate: bool,
    ) -> None:
        super().__init__(store, secrets, recreate=recreate)
        self._client = client
        self._create = create

    async def __aenter__(self) -> Self:
        self.job_id = (await self._create()).job_id
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        completion = self._completion(exc)
        sending = asyncio.create_task(self._send(completion, exc))
        try:
            report = await asyncio.shield(sending)
        except asyncio.CancelledError as cancelled:
            await self._last_wait(completion, sending, cancelled)
            raise
        self._ended(completion, report, exc)

    async def _send(
        self, completion: Completion, exc: BaseException | None
    ) -> CallReport[CompletedJob]:
        operation = operation_of(completion)
        if is_interruption(exc):
            return await self._client.report(
                operation, max_retries=0, deadline_s=INTERRUPTED_S
            )
        return await self._client.report(operation)

    async def _last_wait(
        self,
        completion: Completion,
        sending: asyncio.Task[CallReport[CompletedJob]],
        cancelled: BaseException,
    ) -> None:
        """Give a completion that is under way its last seconds, and keep it if late."""
        try:
            await asyncio.wait({sending}, timeout=INTERRUPTED_S)
        finally:
            if not sending.done():
                sending.cancel()
                self._is_kept(completion, cancelled)
        if sending.done():
            self._ended(completion, sending.result(), cancelled)

    async def llm_call(
        self, *, model: str, messages: Sequence[Message], **options: object
    ) -> LLMCall:
        async def call() -> LLMCall:
            return await self._client.llm_call(
                self.job_id, model=model, messages=messages, **options
            )

        try:
            return await call()
        except NotFoundError as error:
            if not self._is_missing(error):
                raise
        self.job_id = (await self._create()).job_id
        return await call()

    def chat_stream(
        self,
        *,
        model: str,
        messages: Sequence[Message],
        limits: StreamLimits = USUAL_LIMITS,
        **options: object,
    ) -> AsyncChatStream:
        return self._client.chat_stream(
            self.job_id, model=model, messages=messages, limits=limits, **options
        )
