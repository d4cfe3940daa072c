"""Put an answer on the wire, whole or spoilt, byte by byte where it matters."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from http.client import responses

import h11

from dashboard.simulator.answers import Answer
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.gateway import Outcome

# A reset that leaves at once may overtake the bytes before it.
_BEFORE_RESET_S = 0.01
_HANG_LOOK_S = 0.05


class Wire:
    """One connection's writing side. `send` returns False when it must end."""

    def __init__(
        self,
        conn: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        now: Callable[[], datetime],
        stands: Callable[[Fault], bool],
    ) -> None:
        self._conn = conn
        self._reader = reader
        self._writer = writer
        self._now = now
        self._stands = stands

    async def deliver(self, outcome: Outcome, *, head_only: bool) -> bool:
        """Send an outcome and tell whether the connection may be used again."""
        if outcome.delay_s:
            await asyncio.sleep(outcome.delay_s)
        answer = outcome.answer
        if answer.think_s and answer.chunks is None:
            await asyncio.sleep(answer.think_s)
        if outcome.spoilt is not None:
            await self._spoil(outcome.spoilt, answer)
            return False
        if answer.chunks is not None:
            return await self._stream(answer, answer.chunks)
        self._writer.write(self._whole(answer, head_only=head_only))
        await self._writer.drain()
        return not answer.closes

    def _head(self, answer: Answer) -> bytes:
        headers = [("date", format_datetime(self._now(), usegmt=True))]
        headers.append(("server", "uvicorn"))
        if answer.chunks is None:
            headers.append(("content-length", str(len(answer.body))))
        if answer.content_type:
            headers.append(("content-type", answer.content_type))
        headers.extend(answer.headers)
        head = h11.Response(
            status_code=answer.status,
            headers=headers,
            reason=responses.get(answer.status, ""),
        )
        return self._conn.send(head) or b""

    def _whole(self, answer: Answer, *, head_only: bool) -> bytes:
        head = self._head(answer)
        body = b"" if head_only else self._conn.send(h11.Data(data=answer.body)) or b""
        return head + body + (self._conn.send(h11.EndOfMessage()) or b"")

    async def _stream(self, answer: Answer, chunks: tuple[bytes, ...]) -> bool:
        """Send the first chunk at once, then think, then all others (contract 1.7)."""
        self._writer.write(self._head(answer))
        for place, chunk in enumerate(chunks):
            if place == answer.cut_after:
                await self._writer.drain()
                return False
            self._writer.write(self._conn.send(h11.Data(data=chunk)) or b"")
            if place == 0 and answer.think_s:
                await self._writer.drain()
                await asyncio.sleep(answer.think_s)
        self._writer.write(self._conn.send(h11.EndOfMessage()) or b"")
        await self._writer.drain()
        return True

    async def _spoil(self, fault: Fault, answer: Answer) -> None:
        """Send what the fault leaves of the answer; the connection ends after it."""
        if answer.chunks is not None:
            answer = replace(answer, body=b"".join(answer.chunks), chunks=None)
        if fault.kind is FaultKind.HANG:
            await self._hang(fault)
        elif fault.kind is FaultKind.RESET:
            self._reset()
        elif fault.kind is FaultKind.DRIP_FEED:
            await self._drip(self._whole(answer, head_only=False), fault.delay_s)
        elif fault.kind is FaultKind.MALFORMED_JSON:
            torn = replace(answer, body=answer.body[: len(answer.body) // 2] + b"{,")
            self._writer.write(self._whole(torn, head_only=False))
            await self._writer.drain()
        else:
            await self._half(answer, reset=fault.kind is FaultKind.RESET_IN_BODY)

    async def _half(self, answer: Answer, *, reset: bool) -> None:
        self._writer.write(self._head(answer) + answer.body[: len(answer.body) // 2])
        await self._writer.drain()
        if reset:
            await asyncio.sleep(_BEFORE_RESET_S)
            self._reset()

    async def _drip(self, whole: bytes, delay_s: float) -> None:
        for byte in whole:
            self._writer.write(bytes((byte,)))
            await self._writer.drain()
            await asyncio.sleep(delay_s)

    async def _hang(self, fault: Fault) -> None:
        """Say nothing until the client leaves or the fault ends."""
        gone = asyncio.ensure_future(self._reader.read(1))
        try:
            while not gone.done() and self._stands(fault):
                await asyncio.wait({gone}, timeout=_HANG_LOOK_S)
        finally:
            gone.cancel()

    def _reset(self) -> None:
        """End the connection by RST: with a linger of zero seconds."""
        sock = self._writer.get_extra_info("socket")
        if sock is not None:
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()
