"""A streamed reply on the wire, and as its consumer sees it, for both clients."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from types import TracebackType
from typing import Self

import httpx

from apiclient.chunks import Chunk
from apiclient.classify import Answer, Verdict
from apiclient.core import Core
from apiclient.errors import APIError
from apiclient.faults import fault_of
from apiclient.reception import EVENT_STREAM, Reception, StreamLimits
from apiclient.report import CallReport, Streamed
from apiclient.steps import Sent
from apiclient.taxonomy import ErrorClass
from apiclient.wire import Prepared

Report = CallReport[Streamed]
_BROKEN = frozenset({ErrorClass.CONNECTION_LOST, ErrorClass.PROTOCOL})


class Listener:
    """One attempt at a stream: its three clocks are kept in the exchange's deadline."""

    def __init__(self, core: Core, prepared: Prepared, limits: StreamLimits) -> None:
        self._core = core
        self._prepared = prepared
        self._exchange = prepared.exchange
        self._overall = prepared.exchange.deadline
        self._began = prepared.exchange.clock()
        self._reception = Reception(limits, *core.secrets)
        self._limits = limits
        self._head: Answer | None = None
        self._expect(limits.first_event_s)

    def accepts(self, response: httpx.Response) -> bool:
        """Return whether the answer is an event stream; its type's case is ignored."""
        kind = response.headers.get("content-type", "").partition(";")[0]
        plain = response.headers.get("content-encoding", "identity") == "identity"
        if not (response.is_success and plain and kind.strip().lower() == EVENT_STREAM):
            return False
        self._head = Answer(response.status_code, response.headers, b"")
        return True

    @property
    def over(self) -> bool:
        return self._reception.over

    def hear(self, data: bytes) -> Iterator[Chunk]:
        """Yield the chunks that `data` completes, and give the next event its time."""
        elapsed_s = self._exchange.clock() - self._began
        heard = False
        for chunk in self._reception.feed(data, elapsed_s):
            heard = True
            yield chunk
        if heard:
            self._expect(self._limits.idle_s)

    def end(self) -> None:
        self._reception.end()

    def sent(self, error: Exception | None = None) -> Sent:
        """Return what became of the attempt; `error` is what the transport raised."""
        if self._head is None:
            assert error is not None
            return self._core.failed(self._prepared, error)
        reception = self._reception
        verdict = reception.verdict
        if error is not None and not reception.over:
            verdict = self._cause(fault_of(error))
        return self._prepared.sent(
            self._head, verdict, streamed=reception.streamed(), begun=reception.begun
        )

    def _expect(self, within_s: float | None) -> None:
        """Give the next data event so many seconds, within what is left of them all."""
        exchange = self._exchange
        if within_s is not None:
            exchange.deadline = min(self._overall, exchange.clock() + within_s)

    def _cause(self, fault: Verdict) -> Verdict:
        """Return a fault on the wire as the stream's own: its head had come."""
        if fault.error in _BROKEN:
            return Verdict(ErrorClass.STREAM_INTERRUPTED, 200, fault.detail)
        if fault.error is not ErrorClass.TIMEOUT:
            return fault
        if self._exchange.clock() >= self._overall:
            return Verdict(ErrorClass.STREAM_TIMEOUT, 200, "the whole stream is late")
        begun, limits = self._reception.begun, self._limits
        limit_s = limits.idle_s if begun else limits.first_event_s
        return Verdict(ErrorClass.STREAM_STALLED, 200, f"no event for {limit_s:g} s")


class ChatStream:
    """A reply as it comes: iterate over its chunks.

    Leaving early (`break`, `close()`, the end of a `with`) closes the connection at once.
    A stream that fails raises its APIError, which has `partial_text` and `chunk_count`.
    Afterwards `report` tells everything about the call.
    """

    def __init__(
        self,
        items: Generator[Chunk | Report],
        error_of: Callable[[Report], APIError],
    ) -> None:
        self.report: Report | None = None
        self._items = items
        self._error_of = error_of
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        item = next(self._items)
        if isinstance(item, Chunk):
            self._texts.append(item.text)
            return item
        self.report = item
        self.close()
        if item.error is not None:
            raise self._error_of(item)
        raise StopIteration

    def close(self) -> None:
        self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncChatStream:
    """The same for asyncio; see ChatStream."""

    def __init__(
        self,
        items: AsyncGenerator[Chunk | Report],
        error_of: Callable[[Report], APIError],
    ) -> None:
        self.report: Report | None = None
        self._items = items
        self._error_of = error_of
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        item = await anext(self._items)
        if isinstance(item, Chunk):
            self._texts.append(item.text)
            return item
        self.report = item
        await self.aclose()
        if item.error is not None:
            raise self._error_of(item)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
