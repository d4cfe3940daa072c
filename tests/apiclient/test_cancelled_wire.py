"""Cancellation over real sockets: wherever it strikes, no connection is lost. B-14, B-70.

The pool has room for one connection, so that one that is lost is missed by the next call.
"""

import asyncio
import gc
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from apiclient import AsyncClient, RetryPolicy
from tests.apiclient.fakes import JOB
from tests.apiclient.rogue import OK, over_tls, request_of, rogue, sends
from tests.apiclient.test_hostile_streams import CHUNKED, DONE, HI, chunk
from tests.apiclient.test_tls import ADDRESS, made, serving_with

pytestmark = pytest.mark.hostile

CHAT = [{"role": "user", "content": "Hi"}]
STEPS = 60  # turns of the loop; a call on a kept connection takes some twenty
STREAM = CHUNKED + chunk(HI) + chunk(HI + DONE) + b"0\r\n\r\n"
Work = Callable[[AsyncClient], Awaitable[object]]


def answers(connection: socket.socket) -> None:
    """Answer each request, now and then after closing the connection."""
    while True:
        asked = request_of(connection)
        connection.sendall(STREAM if b"-stream" in asked else OK)


async def call(client: AsyncClient) -> object:
    return await client.health()


async def stream(client: AsyncClient) -> object:
    return [chunk async for chunk in client.chat_stream(JOB, model="m", messages=CHAT)]


async def leave(client: AsyncClient) -> object:
    async with client.chat_stream(JOB, model="m", messages=CHAT) as reply:
        return await anext(reply)


async def cancel_after(steps: int, times: int, task: asyncio.Task[object]) -> None:
    """Cancel a task after so many turns of the loop, `times` times in a row."""
    for _ in range(steps):
        await asyncio.sleep(0)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({task})
    assert task.cancelled() or task.exception() is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tls"), ADDRESS)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("work", [call, stream, leave])
@pytest.mark.parametrize(
    ("fresh", "secure"),
    [(False, False), (True, False), (True, True)],
    ids=["kept", "fresh", "TLS"],
)
def test_wherever_a_call_is_cancelled_its_connection_is_given_back(
    work: Work, times: int, certificate: Path, *, fresh: bool, secure: bool
) -> None:
    async def run() -> None:
        complaints: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with AsyncClient(
            base_url=server.url.replace("http:", "https:") if secure else server.url,
            ssl_context=ssl.create_default_context(cafile=certificate),
            virtual_key="sk-1",
            max_connections=1,
            fresh_connections=fresh,
            retry=RetryPolicy(max_retries=0, deadline_s=2.0),
            connect_timeout_s=0.3,
        ) as client:
            for steps in range(STEPS):
                task = asyncio.ensure_future(work(client))
                await cancel_after(steps, times, task)
                assert (await client.health()).healthy, steps
        assert complaints == []

    script = over_tls(serving_with(certificate), answers) if secure else answers
    with rogue(script) as server:
        asyncio.run(run())
    gc.collect()  # says which socket nobody has closed


def test_wherever_one_is_cancelled_who_waits_its_place_is_given_back() -> None:
    """Of two at once the other has the one connection, and ends meanwhile."""

    async def run() -> None:
        async with AsyncClient(
            base_url=server.url,
            max_connections=1,
            retry=RetryPolicy(max_retries=0, deadline_s=2.0),
            connect_timeout_s=0.3,
        ) as client:
            for steps in range(STEPS):
                other = asyncio.ensure_future(call(client))
                await cancel_after(steps, 1, asyncio.ensure_future(call(client)))
                await other
                assert (await client.health()).healthy, steps

    with rogue(sends(OK)) as server:
        asyncio.run(run())
