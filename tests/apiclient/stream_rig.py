"""Both kinds of client over a tape of streams, on fake time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import httpx

from apiclient import (
    APIError,
    AsyncClient,
    CallReport,
    Client,
    StreamLimits,
    operations,
)
from apiclient.report import Streamed
from tests.apiclient.fakes import JOB, FakeTime, Scene

CHAT = [{"role": "user", "content": "Hi"}]


SECRET = "sk-canary-4f1d8a77"


def text(content: object) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": content}}]}
    return f"data: {json.dumps(delta)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


KEEPALIVE = b": keepalive\n\n"


HELLO = (KEEPALIVE, text("Hel"), text("lo"), DONE)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of parts, pauses in seconds and exceptions, on fake time.

    A pause past the request's deadline ends as the wire ends it: in a read timeout.
    """

    def __init__(self, time: FakeTime, parts: tuple[bytes | float | Exception, ...]):
        self.time = time
        self.parts = parts
        self.closed = 0
        self.request: httpx.Request | None = None

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
                continue
            assert self.request is not None
            exchange = self.request.extensions["timeout"]["read"].exchange
            left_s = exchange.deadline - self.time.clock()
            self.time.elapsed_s += min(part, left_s)
            if part >= left_s:
                raise httpx.ReadTimeout("the deadline passed")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            await asyncio.sleep(0)
            yield part

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class Told:
    """What a consumer saw: the texts, then an error or none."""

    texts: list[str]
    error: APIError | None
    report: CallReport[Streamed] | None


class Rig:
    """Both kinds of client over the same tape."""

    def __init__(self, kind: str, *tape: object, **options: object) -> None:
        self.kind = kind
        self.time = FakeTime()
        self.requests: list[httpx.Request] = []
        self.bodies: list[Body] = []
        self._tape = iter(tape)
        settings: dict[str, object] = {
            "base_url": "https://gw.example",
            "team_id": "acme",
            "virtual_key": SECRET,
            "clock": self.time.clock,
            "now": self.time.now,
            "draw": lambda: 0.5,
            **options,
        }
        mock = httpx.MockTransport(self._answer)
        self.sync = Client(transport=mock, sleep=self.time.sleep, **settings)  # type: ignore[arg-type]
        self.other = AsyncClient(
            transport=mock,
            sleep=self.time.sleep_async,
            **settings,  # type: ignore[arg-type]
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        scene = next(self._tape)
        if isinstance(scene, tuple):
            body = Body(self.time, scene)
            body.request = request
            self.bodies.append(body)
            kind = {"Content-Type": "Text/Event-Stream; charset=utf-8"}
            return httpx.Response(200, headers=kind, stream=body)
        assert callable(scene)
        made: Scene = scene()
        if isinstance(made, Exception):
            raise made
        return made

    def listen(
        self,
        *,
        limits: StreamLimits | None = None,
        single: bool = False,
        stop_after: int = 1000,
    ) -> Told:
        """Consume a stream, leaving it after so many chunks."""
        if self.kind == "sync":
            return self._listen(limits or StreamLimits(), stop_after, single=single)
        return asyncio.run(
            self._listen_async(limits or StreamLimits(), stop_after, single=single)
        )

    def _listen(self, limits: StreamLimits, stop_after: int, *, single: bool) -> Told:
        if single:
            stream = self.sync.create_and_call_stream(
                "chat", model="m", messages=CHAT, limits=limits
            )
        else:
            stream = self.sync.chat_stream(JOB, model="m", messages=CHAT, limits=limits)
        told = Told([], None, None)
        try:
            with stream:
                for chunk in stream:
                    told.texts.append(chunk.text)
                    if len(told.texts) == stop_after:
                        break
        except APIError as error:
            told.error = error
        told.report = stream.report
        return told

    async def _listen_async(
        self, limits: StreamLimits, stop_after: int, *, single: bool
    ) -> Told:
        if single:
            stream = self.other.create_and_call_stream(
                "chat", model="m", messages=CHAT, limits=limits
            )
        else:
            stream = self.other.chat_stream(
                JOB, model="m", messages=CHAT, limits=limits
            )
        told = Told([], None, None)
        try:
            async with stream:
                async for chunk in stream:
                    told.texts.append(chunk.text)
                    if len(told.texts) == stop_after:
                        break
        except APIError as error:
            told.error = error
        told.report = stream.report
        return told

    def report(self, **options: object) -> CallReport[Streamed]:
        operation = operations.llm_call_stream(JOB, model="m", messages=CHAT)
        if self.kind == "sync":
            return self.sync.report_stream(operation, **options)  # type: ignore[arg-type]
        return asyncio.run(self.other.report_stream(operation, **options))  # type: ignore[arg-type]


Make = Callable[..., Rig]
