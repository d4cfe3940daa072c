"""Servers that misbehave at byte level, on loopback, against both clients.

B-12, B-30, B-31, B-33, B-50, B-51, X-18: every fault has its class, nothing else escapes,
and no server holds a call beyond its deadline by more than 0.3 s.
"""

import gzip
import socket
import threading
import time
from dataclasses import replace

import pytest

from apiclient import (
    Client,
    ErrorClass,
    RetryPolicy,
)
from tests.apiclient.asking import DEADLINE_S, Ask, ask_async, ask_sync
from tests.apiclient.calls import HEALTH
from tests.apiclient.rogue import (
    OK,
    OK_BODY,
    Script,
    drips,
    resets,
    rogue,
    sends,
    silent,
)

pytestmark = pytest.mark.hostile

E = ErrorClass
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_a_plain_answer_is_measured_by_phases(ask: Ask) -> None:
    """B-35."""
    with rogue(sends(OK)) as server:
        report = ask(server.url)
    phases = report.attempts[0].phases

    assert report.ok
    assert phases.connect_s is not None
    assert phases.tls_s is None
    assert phases.first_byte_s is not None
    assert phases.body_s is not None
    assert 0 < report.latency_s <= report.elapsed_s


SLOW = {
    "silent": silent,
    "head byte by byte": drips(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "endless headers": drips(b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
    "endless 1xx": drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body byte by byte": drips(HEAD + b"Content-Length: 99999\r\n\r\n{", b" "),
    "chunk by chunk": drips(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"
    ),
    "no body": sends(HEAD + b"Content-Length: 5\r\n\r\n", keep_open=True),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_no_drip_outlasts_the_deadline(ask: Ask, script: Script) -> None:
    """B-12, X-18."""
    with rogue(script) as server:
        began = time.monotonic()
        report = ask(server.url)
        took_s = time.monotonic() - began

    assert report.error is E.TIMEOUT
    assert took_s < DEADLINE_S + 0.3


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BLANKS = b" " * 50_000
LINES = {
    "header": HEAD + b"X:" + BLANKS + b"\0\r\n\r\n",
    "chunk's size": CHUNKED + b"1;" + BLANKS + b"\n.\r\n",
    "trailer": CHUNKED + b"0\r\nX:" + BLANKS + b"\0\r\n\r\n",
}


@pytest.mark.parametrize("answer", LINES.values(), ids=LINES.keys())
def test_no_line_of_blanks_outlasts_the_deadline(ask: Ask, answer: bytes) -> None:
    """B-12: h11's own patterns took 10 s, and no other thread ran meanwhile."""
    with rogue(sends(answer)) as server:
        began = time.monotonic()
        report = ask(server.url)
        took_s = time.monotonic() - began

    assert report.error is E.PROTOCOL
    assert took_s < DEADLINE_S + 0.3


def test_an_attempt_is_bounded_without_a_deadline_of_the_call() -> None:
    """X-18: the timeout is the whole attempt's, not that of one read."""
    brief = HEALTH.with_timeout(0.3)
    with rogue(drips(HEAD + b"Content-Length: 99999\r\n\r\n", b" ")) as server:
        began = time.monotonic()
        with Client(base_url=server.url, retry=RetryPolicy(max_retries=0)) as client:
            report = client.report(brief)

    assert report.error is E.TIMEOUT
    assert time.monotonic() - began < 0.6


def test_a_dripping_error_page_keeps_its_status(ask: Ask) -> None:
    """B-12: error bodies too; S-52: no body changes the class."""
    page = drips(b"HTTP/1.1 503 Busy\r\nContent-Length: 99999\r\n\r\n<html>", b".")
    with rogue(page) as server:
        report = ask(server.url)

    assert report.error is E.UNAVAILABLE
    assert report.elapsed_s < DEADLINE_S + 0.3


BROKEN = {
    "closed at once": (sends(), E.CONNECTION_LOST),
    "reset at once": (resets(), E.CONNECTION_LOST),
    "head cut": (sends(b"HTTP/1.1 200 OK\r\nCont"), E.CONNECTION_LOST),
    "head reset": (resets(b"HTTP/1.1 200 OK\r\nCont"), E.CONNECTION_LOST),
    "body cut": (sends(HEAD + b"Content-Length: 99\r\n\r\n{}"), E.CONNECTION_LOST),
    "body cut after whole JSON": (
        sends(HEAD + b"Content-Length: 99\r\n\r\n" + OK_BODY),
        E.CONNECTION_LOST,
    ),
    "body reset": (resets(HEAD + b"Content-Length: 99\r\n\r\n{"), E.CONNECTION_LOST),
    "chunks cut": (
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
        E.CONNECTION_LOST,
    ),
    "bad chunk": (
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n"),
        E.PROTOCOL,
    ),
    "garbage": (sends(b"\x00\x01\x02 hello\r\n\r\n"), E.PROTOCOL),
    "another protocol": (sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), E.PROTOCOL),
    "huge head": (sends(HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n"), E.PROTOCOL),
    "two lengths": (
        sends(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        E.PROTOCOL,
    ),
    "negative length": (sends(HEAD + b"Content-Length: -1\r\n\r\n{}"), E.PROTOCOL),
    "status 999": (sends(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), E.PROTOCOL),
    "redirect": (
        sends(b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:9/\r\n\r\n"),
        E.REDIRECT,
    ),
    "NaN": (sends(HEAD + b'Content-Length: 15\r\n\r\n{"status": NaN}'), E.DECODE),
    "too large, announced": (
        sends(HEAD + b"Content-Length: 9999999\r\n\r\n"),
        E.TOO_LARGE,
    ),
    "too large, not announced": (
        sends(HEAD + b"\r\n", *[b" " * 65536] * 20),
        E.TOO_LARGE,
    ),
    "gzip bomb": (
        sends(
            HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(20_000_000))
        ),
        E.TOO_LARGE,
    ),
    "gzip cut": (
        sends(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(OK_BODY)[:-4]),
        E.DECODE,
    ),
    "brotli": (sends(HEAD + b"Content-Encoding: br\r\n\r\n", b"xyz"), E.DECODE),
}


@pytest.mark.parametrize(("script", "error"), BROKEN.values(), ids=BROKEN.keys())
def test_every_fault_has_its_class(ask: Ask, script: Script, error: ErrorClass) -> None:
    """B-30, B-31, B-40, B-50, B-51, B-52."""
    with rogue(script) as server:
        report = ask(server.url)

    assert report.error is error, report.detail
    assert report.attempts[0].error is error


@pytest.mark.parametrize(
    "script", [row[0] for row in BROKEN.values()], ids=BROKEN.keys()
)
def test_both_clients_see_the_same(script: Script) -> None:
    """B-75, at byte level; only times and texts of the operating system may differ."""
    with rogue(script) as server:
        seen = [one(server.url) for one in (ask_sync, ask_async)]
    first, second = (
        (each.error, each.status_code, each.ambiguous, len(each.attempts))
        for each in seen
    )

    assert first == second


def test_an_error_page_is_read_up_to_64_kib_only(ask: Ask) -> None:
    """B-50."""
    page = b"HTTP/1.1 500 No\r\nContent-Length: 99999999\r\n\r\n"
    with rogue(sends(page, *[b"x" * 65536] * 3, keep_open=True)) as server:
        report = ask(server.url)

    assert report.error is E.SERVER_ERROR
    assert report.elapsed_s < DEADLINE_S


def test_nobody_listens(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = ask(f"http://127.0.0.1:{port}")

    assert report.error is E.CONNECT_FAILED
    assert report.detail == "Connection refused"


def test_a_full_accept_queue_is_a_connect_timeout(ask: Ask) -> None:
    """B-13: it does not wait for the read timeout."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    try:
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        report = ask(
            f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout_s=0.2
        )
    finally:
        for each in [*waiting, listener]:
            each.close()

    assert report.error is E.CONNECT_TIMEOUT
    assert report.elapsed_s < 0.35


def test_tls_to_a_plain_server(ask: Ask) -> None:
    """B-32."""
    with rogue(sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        report = ask(server.url.replace("http:", "https:"))
    assert report.error in (E.TLS_FAILED, E.CONNECT_TIMEOUT)

    def answers_at_once(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        threading.Event().wait(0.1)

    with rogue(answers_at_once) as server:
        report = ask(server.url.replace("http:", "https:"))
    assert report.error is E.TLS_FAILED


def test_tls_to_a_silent_server_ends_at_the_deadline(ask: Ask) -> None:
    with rogue(silent) as server:
        report = ask(server.url.replace("http:", "https:"))

    assert report.error is E.CONNECT_TIMEOUT
    assert report.elapsed_s < DEADLINE_S + 0.3


def test_a_refused_address_is_our_own_setting(ask: Ask) -> None:
    """C-06: checked at connect time, whatever the name said."""
    with rogue(sends(OK)) as server:
        refused = ask(f"http://localhost:{server.port}", allow_private=False)
        metadata = ask("http://169.254.169.254")
        connections = server.connections

    assert refused.error is E.CONFIG
    assert "loopback" in refused.detail
    assert metadata.error is E.CONFIG
    assert connections == 0


def test_what_cannot_be_sent_is_our_own_fault_and_is_not_quoted(ask: Ask) -> None:
    """X-18: a header that is refused would quote the key."""
    with rogue(sends(OK)) as server:
        report = ask(server.url, replace(HEALTH, method="GE\tT"))

    assert report.error is E.CONFIG
    assert report.detail == "the request cannot be sent: LocalProtocolError"
