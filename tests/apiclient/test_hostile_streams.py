"""Streams from servers that misbehave at byte level, and from the stand-in gateway.

B-61, B-62, B-63, B-67, S-91 to S-94: each fault has its class within its time.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from apiclient import (
    AsyncClient,
    CallReport,
    Client,
    ErrorClass,
    Operation,
    RetryPolicy,
    Streamed,
    StreamLimits,
    operations,
)
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, example_key
from tests.apiclient.fakes import JOB
from tests.apiclient.rogue import Script, drips, request_of, resets, rogue, sends

pytestmark = pytest.mark.hostile

E = ErrorClass
CHAT = [{"role": "user", "content": "Hi"}]
CALL = operations.llm_call_stream(JOB, model="m", messages=CHAT)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TO_EOF = HEAD + b"\r\n"
HI = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
LIMITS = StreamLimits(
    first_event_s=0.3,
    idle_s=0.3,
    overall_s=0.6,
    max_event_bytes=65536,
    max_text_chars=5000,
)
OVERALL_S = 0.6


def listen(
    kind: str, url: str, operation: Operation[Streamed] = CALL, **options: object
) -> CallReport[Streamed]:
    settings: dict[str, object] = {
        "base_url": url,
        "team_id": "acme",
        "virtual_key": example_key("acme"),
        "retry": RetryPolicy(max_retries=0),
        "breakers": None,
    }
    limits = options.pop("limits", LIMITS)
    assert isinstance(limits, StreamLimits)
    if kind == "sync":
        with Client(**settings) as client:  # type: ignore[arg-type]  # a test's dict
            return client.report_stream(operation, limits=limits)

    async def run() -> CallReport[Streamed]:
        async with AsyncClient(**settings) as client:  # type: ignore[arg-type]
            return await client.report_stream(operation, limits=limits)

    return asyncio.run(run())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(*events: bytes) -> Script:
    return sends(CHUNKED, *map(chunk, events), b"0\r\n\r\n")


FAULTS = {
    "whole": (whole(HI, DONE), None),
    "whole, to the end of the connection": (sends(TO_EOF, HI, DONE), None),
    "whole, cut after its marker": (sends(CHUNKED, chunk(HI + DONE)), None),
    "byte by byte": (sends(TO_EOF, *(bytes([b]) for b in HI + DONE)), None),
    "nothing at all": (whole(), E.STREAM_INTERRUPTED),
    "no marker": (whole(HI), E.STREAM_INTERRUPTED),
    "no marker, to the end": (sends(TO_EOF, HI), E.STREAM_INTERRUPTED),
    "cut": (sends(CHUNKED, chunk(HI)), E.STREAM_INTERRUPTED),
    "cut within a chunk": (sends(CHUNKED, b"ff\r\n" + HI), E.STREAM_INTERRUPTED),
    "reset": (resets(CHUNKED, chunk(HI)), E.STREAM_INTERRUPTED),
    "bad chunk": (sends(CHUNKED, chunk(HI), b"ZZ\r\n"), E.STREAM_INTERRUPTED),
    "silent at once": (sends(CHUNKED, keep_open=True), E.STREAM_STALLED),
    "silent after a chunk": (
        sends(CHUNKED, chunk(HI), keep_open=True),
        E.STREAM_STALLED,
    ),
    "comments for ever": (
        drips(TO_EOF, b": keepalive\n\n", pause_s=0.05, for_s=2),
        E.STREAM_STALLED,
    ),
    "events for ever, slowly": (
        drips(TO_EOF, HI, pause_s=0.05, for_s=2),
        E.STREAM_TIMEOUT,
    ),
    "a drip that never ends a line": (
        drips(TO_EOF, b"d", pause_s=0.02, for_s=2),
        E.STREAM_STALLED,
    ),
    "events for ever, fast": (sends(TO_EOF, *[HI * 100] * 100), E.TOO_LARGE),
    "a line without end": (sends(TO_EOF, *[b"x" * 8192] * 40), E.TOO_LARGE),
    "an error": (whole(HI, b'data: {"error": "boom"}\n\n'), E.STREAM_ERROR),
    "no JSON": (whole(HI, b"data: <html>\n\n"), E.STREAM_ERROR),
    "another type": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"),
        E.DECODE,
    ),
    "compressed": (
        sends(HEAD + b"Content-Encoding: gzip\r\n\r\n", b"\x1f\x8b\x00"),
        E.DECODE,
    ),
    "no answer": (sends(keep_open=True), E.TIMEOUT),
    "a refusal": (
        sends(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        E.UNAVAILABLE,
    ),
}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(("script", "error"), FAULTS.values(), ids=FAULTS.keys())
def test_every_stream_fault_has_its_class_in_its_time(
    kind: str, script: Script, error: ErrorClass | None
) -> None:
    with rogue(script) as server:
        report = listen(kind, server.url)

    assert report.error is error, report.detail
    assert report.elapsed_s < OVERALL_S + 0.3
    assert server.connections == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_server_sees_a_consumer_leave(kind: str) -> None:
    """B-67: while it still has something to say."""
    left = threading.Event()

    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(TO_EOF + HI)
        connection.settimeout(5)
        if connection.recv(1) == b"":
            left.set()

    with rogue(script) as server:
        if kind == "sync":
            with Client(base_url=server.url, virtual_key="sk-1") as client:
                for _ in client.chat_stream(JOB, model="m", messages=CHAT):
                    break
                assert left.wait(3)
        else:
            asyncio.run(_leave(server.url, left))
    assert left.is_set()


async def _leave(url: str, left: threading.Event) -> None:
    async with AsyncClient(base_url=url, virtual_key="sk-1") as client:
        async for _ in client.chat_stream(JOB, model="m", messages=CHAT):
            break
        assert await asyncio.to_thread(left.wait, 3)


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with running_gateway([Team("acme")]) as running:
        yield running


def single(model: str) -> Operation[Streamed]:
    return operations.create_and_call_stream(
        "acme", "probe", model=model, messages=CHAT
    )


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    "model", ["chat-fast", "chat-claude", "chat-gemini", "chat-llama"]
)
def test_each_providers_dialect_comes_through(
    kind: str, model: str, gateway: RunningGateway
) -> None:
    """B-63: [DONE], message_stop, or a finish reason."""
    report = listen(kind, gateway.base_url, single(model), limits=StreamLimits())

    assert report.error is None, report.detail
    assert report.value is not None
    assert report.value.text
    assert report.value.ttft_s is not None
    assert report.value.finish_reason


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (FaultKind.STREAM_CUT, E.STREAM_INTERRUPTED),
        (FaultKind.ERROR_IN_200, E.STREAM_ERROR),
        (FaultKind.PROVIDER_RATE_LIMIT, E.STREAM_ERROR),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_gateways_stream_faults_are_errors(
    kind: str, fault: FaultKind, error: ErrorClass, gateway: RunningGateway
) -> None:
    """S-91, S-94: inside a 200."""
    gateway.set_fault(Fault(fault))
    try:
        report = listen(
            kind, gateway.base_url, single("chat-fast"), limits=StreamLimits()
        )
    finally:
        gateway.clear_fault(fault)

    assert report.error is error


def test_the_real_gateways_llm_call_stream_is_an_error(
    gateway: RunningGateway,
) -> None:
    """S-94: it answers 200 and one error frame, always."""
    with Client(
        base_url=gateway.base_url, team_id="acme", virtual_key=example_key("acme")
    ) as client:
        job = client.create_job("chat")
        operation = operations.llm_call_stream(
            job.job_id, model="chat-fast", messages=CHAT
        )
        report = client.report_stream(operation, max_retries=0)

    assert report.error is E.STREAM_ERROR
    assert json.dumps(report.detail)
