"""Every status with every odd body, over a real socket; and forks, proxies, certificates."""

import asyncio
import gc
import os
import socket
import threading
import warnings
from collections.abc import Iterator

import pytest

from apiclient import AsyncClient, Client, ErrorClass, RetryPolicy, operations
from apiclient.errors import EXCEPTIONS, error_for
from apiclient.transport import WireTransport
from tests.apiclient.asking import Ask, ask_async, ask_sync
from tests.apiclient.rogue import OK, Rogue, keeps_alive, request_of, rogue

pytestmark = pytest.mark.hostile

KEY = "sk-canary-4f1d8a77"
STATUSES = [
    *(200, 201, 204, 206, 300, 301, 304, 400, 401, 402, 403, 404, 405, 408, 409, 410),
    *(413, 418, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 505, 507, 511),
    *(520, 522, 524, 529, 598, 599),
]
BODIES = {
    "empty": b"",
    "null": b"null",
    "a number": b"3",
    "a long number": b"9" * 5000,
    "a string": b'"no"',
    "a list": b"[1, 2]",
    "deep": b"[" * 5000,
    "half": b'{"detail": "x',
    "NaN": b'{"detail": NaN}',
    "detail null": b'{"detail": null}',
    "detail 3": b'{"detail": 3}',
    "detail list": b'{"detail": [null, 3, {"loc": 7, "msg": 1}, {"msg": "m"}]}',
    "detail dict": b'{"detail": {"a": {"b": 1}}}',
    "html": b"<!doctype html><title>Bad</title>" + b"<p>" * 500,
    "bytes": bytes(range(256)),
    "not UTF-8": b'{"detail": "\xff\xfe"}',
    "controls": b'{"detail": "a\\u0000b\\u001b[31mc\\r\\nX: y"}',
    "the key": b'{"detail": "bad key sk-canary-4f1d8a77, Bearer sk-canary-4f1d8a77"}',
    "the key split": b'{"detail": "sk-canary-\\u200b4f1d8a77"}',
}


class Answers:
    """A server whose answer to the next request is set beforehand; it keeps alive."""

    def __init__(self) -> None:
        self.next = OK
        self.server = Rogue([self.script])

    def script(self, connection: socket.socket) -> None:
        while True:
            request_of(connection)
            connection.sendall(self.next)


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    made = Answers()
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def client(answers: Answers) -> Iterator[Client]:
    with Client(
        base_url=answers.server.url,
        team_id="acme",
        virtual_key=KEY,
        breakers=None,
        retry=RetryPolicy(max_retries=0),
    ) as made:
        yield made


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_with_every_odd_body_is_one_of_our_errors(
    status: int, answers: Answers, client: Client
) -> None:
    """S-10 to S-42, S-50 to S-53, X-09 to X-11, B-80, B-82: and no text holds the key."""
    for name, body in BODIES.items():
        sent = b"" if status in (204, 304) else body
        length = b"" if status in (204, 304) else b"Content-Length: %d\r\n" % len(sent)
        answers.next = (
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s\r\n%s"
            % (status, length, sent)
        )
        for operation in (operations.balance("acme"), operations.health()):
            report = client.report(operation)

            assert report.error is not None, (status, name)
            assert report.status_code == status, (status, name, report.detail)
            text = str(error_for(report)) + repr(report)
            assert "canary" not in text, (status, name)
            assert len(report.detail) <= 500
            assert report.detail.replace("\\n", "").isprintable(), report.detail
            assert report.error in EXCEPTIONS


def test_a_forked_process_opens_connections_of_its_own() -> None:
    """B-71: a child must not speak on its parent's connection."""

    def script(connection: socket.socket) -> None:
        while True:
            request_of(connection)
            connection.sendall(OK)

    with rogue(script) as server, Client(base_url=server.url) as client:
        client.health()
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if client.report(operations.health()).ok else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        client.health()

    assert os.waitstatus_to_exitcode(status) == 0
    assert server.connections == 2


def test_a_forked_process_leaves_the_old_connections_before_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B-71: a second thread of the child would take what the first has not replaced."""
    stored: list[str] = []

    class Watched(WireTransport):
        def __setattr__(self, name: str, value: object) -> None:
            stored.append(name)
            super().__setattr__(name, value)

    transport = Watched(None, lambda _: None)
    stored.clear()
    with rogue(keeps_alive(1)) as server:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with Client(base_url=server.url, transport=transport) as client:
            client.health()
        transport.close()

    assert stored == ["_pool", "_process"]


def test_an_asyncio_client_outlives_its_loop() -> None:
    """B-71: its connections belong to the loop that is gone, and so they are not used."""
    with rogue(keeps_alive(9)) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a dead loop closes nothing
        client = AsyncClient(base_url=server.url)
        reports = [asyncio.run(client.report(operations.health())) for _ in range(3)]
        del client
        gc.collect()

    assert [report.error for report in reports] == [None, None, None]
    assert server.connections == 3


@pytest.mark.parametrize("ask", [ask_sync, ask_async], ids=["sync", "async"])
def test_a_proxy_is_used_when_it_is_asked_for(ask: Ask) -> None:
    """B-43."""
    heard: list[bytes] = []

    def script(connection: socket.socket) -> None:
        heard.append(request_of(connection))
        connection.sendall(OK)

    with rogue(script) as proxy:
        report = ask("http://gateway.invalid", proxy=proxy.url)

    assert report.ok, report.detail
    assert heard[0].startswith(b"GET http://gateway.invalid/health ")


@pytest.mark.parametrize("ask", [ask_sync, ask_async], ids=["sync", "async"])
def test_what_fails_behind_a_proxy_leaves_its_place_to_others(ask: Ask) -> None:
    """B-14: else each TLS that fails there would take a connection for good."""

    def tunnel(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        # Only to what it has read does a peer answer, before it hangs up.
        connection.settimeout(5)
        connection.recv(65_536)
        connection.sendall(b"no TLS")
        connection.recv(65_536)

    with rogue(tunnel) as proxy:
        url = "https://gateway.invalid"
        report = ask(url, times=2, proxy=proxy.url, max_connections=1)

    assert report.error is ErrorClass.TLS_FAILED
    assert proxy.connections == 2


@pytest.mark.parametrize("ask", [ask_sync, ask_async], ids=["sync", "async"])
def test_the_environments_proxy_is_not(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B-43: nor its certificates."""
    stop = threading.Event()

    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(OK)
        stop.wait(1)

    with rogue(script) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        report = ask(server.url)
        stop.set()

    assert report.ok, report.detail


def test_a_proxy_that_is_away_is_a_connect_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = ask_sync("http://gateway.invalid", proxy=f"http://127.0.0.1:{port}")

    assert report.error is ErrorClass.CONNECT_FAILED
