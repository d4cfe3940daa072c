"""Servers that misbehave at byte level, on loopback, against both clients.

B-12, B-30, B-31, B-33, B-50, B-51, X-18: every fault has its class, nothing else escapes,
and no server holds a call beyond its deadline by more than 0.3 s.
"""

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from apiclient import (
    AsyncClient,
    CallReport,
    Client,
    ErrorClass,
    Health,
    Operation,
    RetryPolicy,
    operations,
)
from apiclient.options import Options
from tests.apiclient.rogue import (
    OK,
    OK_BODY,
    Script,
    drips,
    keeps_alive,
    request_of,
    resets,
    rogue,
    sends,
    silent,
)

pytestmark = pytest.mark.hostile

E = ErrorClass
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HEALTH: Operation[object] = operations.health()
DEADLINE_S = 0.4
Ask = Callable[..., CallReport[object]]


def ask_sync(
    url: str, operation: Operation[object] = HEALTH, times: int = 1, **options: object
) -> CallReport[object]:
    settings = Options(retry=RetryPolicy(max_retries=0), breakers=None)
    settings.update(options)  # type: ignore[typeddict-item]  # a test's options
    with Client(base_url=url, **settings) as client:
        for _ in range(times - 1):
            client.report(operation, deadline_s=DEADLINE_S)
        return client.report(operation, deadline_s=DEADLINE_S)


def ask_async(
    url: str, operation: Operation[object] = HEALTH, times: int = 1, **options: object
) -> CallReport[object]:
    settings = Options(retry=RetryPolicy(max_retries=0), breakers=None)
    settings.update(options)  # type: ignore[typeddict-item]  # a test's options

    async def run() -> CallReport[object]:
        async with AsyncClient(base_url=url, **settings) as client:
            for _ in range(times - 1):
                await client.report(operation, deadline_s=DEADLINE_S)
            return await client.report(operation, deadline_s=DEADLINE_S)

    return asyncio.run(run())


def ask_fresh(url: str, *args: Any, **options: Any) -> CallReport[object]:
    """As the prober does."""
    return ask_sync(url, *args, **{"fresh_connections": True, **options})


@pytest.fixture(params=[ask_sync, ask_fresh, ask_async], ids=["sync", "fresh", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    chosen: Ask = request.param
    return chosen


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask_kept(request: pytest.FixtureRequest) -> Ask:
    """Ask over connections that are kept, which have faults of their own."""
    chosen: Ask = request.param
    return chosen


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


def test_connections_are_kept_alive_or_fresh(ask_kept: Ask) -> None:
    with rogue(keeps_alive(9)) as server:
        ask_kept(server.url, times=3)
        kept = server.connections
        ask_kept(server.url, times=3, fresh_connections=True)

    assert kept == 1
    assert server.connections == 4


def test_a_kept_connection_that_was_closed_is_replaced_at_once(ask: Ask) -> None:
    """B-33: outside the count of attempts, without a wait."""
    with rogue(keeps_alive(1)) as server:
        report = ask(server.url, times=3)

    assert report.ok
    assert len(report.attempts) == 1
    assert server.connections == 3


def test_a_post_on_a_closed_connection_is_never_repeated_by_the_transport(
    ask_kept: Ask,
) -> None:
    """B-33: it is ambiguous, so the policy decides."""

    def answers_then_resets(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(OK)
        resets()(connection)

    with rogue(answers_then_resets) as server:
        create: Operation[object] = operations.create_job("acme", "t")
        report = ask_kept(server.url, operation=create, times=2, virtual_key="sk-test")

    assert report.error is E.CONNECTION_LOST
    assert report.ambiguous
    assert server.connections == 1


def speaks_out_of_turn(connection: socket.socket) -> None:
    """Give two answers to the first question, as one that is out of step would."""
    request_of(connection)
    connection.sendall(OK + OK.replace(b"healthy", b"foreign"))
    while True:
        request_of(connection)
        connection.sendall(OK)


def test_an_answer_that_came_before_its_question_is_not_taken(ask: Ask) -> None:
    """B-34: surplus bytes on a kept connection would answer the next request."""
    with rogue(speaks_out_of_turn, keeps_alive(9)) as server:
        report = ask(server.url, times=2)

    assert report.value == Health("healthy", "x")
    assert server.connections == 2


def test_a_post_gets_no_answer_that_came_before_it_either(ask_kept: Ask) -> None:
    """B-34: what became of it is not known, so the policy decides."""
    create: Operation[object] = operations.create_job("acme", "t")
    with rogue(speaks_out_of_turn) as server:
        report = ask_kept(server.url, operation=create, times=2, virtual_key="sk-test")

    assert report.error is E.PROTOCOL
    assert report.ambiguous


def test_a_failing_server_is_tried_again_on_a_new_connection(ask: Ask) -> None:
    policy = RetryPolicy(max_retries=2, base_s=0.01)
    with rogue(resets(), sends(b"rubbish\r\n\r\n"), sends(OK)) as server:
        report = ask(server.url, retry=policy)

    assert report.ok
    assert [each.error for each in report.attempts] == [
        E.CONNECTION_LOST,
        E.PROTOCOL,
        None,
    ]


def test_sixteen_threads_share_a_client() -> None:
    """B-71: counts are exact, nobody waits for a lock that is held over the network."""
    with (
        rogue(keeps_alive(10_000)) as server,
        Client(base_url=server.url, max_connections=16, breakers=None) as client,
    ):

        def work() -> None:
            for _ in range(50):
                assert client.report(operations.health()).ok

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert client.get_stats()["total_requests"] == 800
    assert client.get_stats()["total_errors"] == 0


def test_a_full_pool_is_our_own_congestion() -> None:
    """B-14: never the gateway's fault, never its latency."""
    arrived = threading.Event()

    def takes(connection: socket.socket) -> None:
        request_of(connection)
        arrived.set()
        silent(connection)

    with (
        rogue(takes) as server,
        Client(base_url=server.url, max_connections=1, connect_timeout_s=0.2) as client,
    ):
        slow = threading.Thread(
            target=client.report,
            args=(HEALTH,),
            kwargs={"deadline_s": 1.0, "max_retries": 0},
        )
        slow.start()
        assert arrived.wait(5)
        report = client.report(HEALTH, max_retries=0, deadline_s=1.0)
        slow.join()

    assert report.error is E.POOL_EXHAUSTED
    assert report.latency_s == 0


def test_all_who_wait_for_a_full_pool_wait_no_longer_than_one() -> None:
    """B-14: they stand in one queue, and none begins its time behind another's."""

    async def run() -> list[CallReport[object]]:
        async with AsyncClient(
            base_url=server.url, max_connections=1, connect_timeout_s=0.2
        ) as client:
            slow = asyncio.create_task(client.report(HEALTH, deadline_s=0.6))
            await asyncio.sleep(0.05)
            calls = [client.report(HEALTH, max_retries=0) for _ in range(4)]
            reports = await asyncio.gather(*calls)
            await slow
            return [*reports, await client.report(HEALTH)]

    with rogue(silent, sends(OK)) as server:
        *waited, last = asyncio.run(run())

    assert {report.error for report in waited} == {E.POOL_EXHAUSTED}
    assert max(report.elapsed_s for report in waited) < 0.35
    assert last.ok


def test_a_deadline_that_ended_before_anything_left_is_our_own(ask: Ask) -> None:
    """B-45: it says nothing about the gateway, and nothing can have been applied."""
    create: Operation[object] = operations.create_job("acme", "t").with_timeout(1e-9)
    with rogue(keeps_alive(9)) as server:
        report = ask(server.url, operation=create, virtual_key="sk-test")

    assert report.error is E.POOL_EXHAUSTED
    assert not report.ambiguous


def test_a_cancelled_task_leaves_a_usable_client() -> None:
    """B-14, B-70."""

    async def run() -> CallReport[object]:
        settings = Options(max_connections=1, breakers=None)
        async with AsyncClient(base_url=server.url, **settings) as client:
            for _ in range(5):
                task = asyncio.create_task(client.report(HEALTH))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return await client.report(HEALTH, deadline_s=1.0)

    with rogue(*[silent] * 5, sends(OK)) as server:
        assert asyncio.run(run()).ok


def test_building_a_client_costs_less_than_a_millisecond() -> None:
    """One shared TLS context: loading the CA bundle takes 25 ms."""
    Client(base_url="https://gw.example").close()
    began = time.perf_counter()
    for _ in range(100):
        Client(base_url="https://gw.example").close()

    assert (time.perf_counter() - began) / 100 < 0.001
