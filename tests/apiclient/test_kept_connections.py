"""Connections that are kept: closed behind our back, answered out of turn, all in use."""

import asyncio
import gc
import socket
import threading
import time
import weakref
from functools import partial

import httpcore
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
from tests.apiclient.asking import Ask
from tests.apiclient.calls import HEALTH
from tests.apiclient.rogue import (
    OK,
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


def test_connections_are_kept_alive_or_fresh(ask_kept: Ask) -> None:
    with rogue(keeps_alive(9)) as server:
        ask_kept(server.url, times=3)
        kept = server.connections
        ask_kept(server.url, times=3, fresh_connections=True)

    assert kept == 1
    assert server.connections == 4


def test_each_event_loop_keeps_its_own_connections() -> None:
    """B-71: as threads of a web server have them, which take turns."""
    with (
        rogue(keeps_alive(9)) as server,
        asyncio.Runner() as one,
        asyncio.Runner() as two,
    ):
        client = AsyncClient(base_url=server.url)
        for _ in range(3):
            assert one.run(client.health()).healthy
            assert two.run(client.health()).healthy
        one.run(client.aclose())
        two.run(client.aclose())

    assert server.connections == 2


def test_nothing_is_kept_for_an_event_loop_that_ended() -> None:
    """B-71: a program may have one for each of its calls."""
    client = AsyncClient(base_url="http://127.0.0.1:9")
    ended: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def call() -> None:
        ended.append(weakref.ref(asyncio.get_running_loop()))
        report = await client.report(operations.health(), max_retries=0)
        assert report.error is E.CONNECT_FAILED

    for _ in range(4):
        asyncio.run(call())
    gc.collect()

    assert [each() is None for each in ended] == [True, True, True, False]


@pytest.mark.parametrize(("idle_s", "connections"), [(2.5, 1), (4.5, 2)])
def test_a_connection_that_is_about_to_be_closed_is_not_used(
    monkeypatch: pytest.MonkeyPatch, idle_s: float, connections: int
) -> None:
    """B-33: the gateway closes after five seconds, and a request may meet its end."""
    monotonic = time.monotonic
    later = partial(
        monkeypatch.setattr, time, "monotonic", lambda: monotonic() + idle_s
    )

    async def both(client: AsyncClient) -> None:
        async with client:
            await client.health()
            later()
            await client.health()

    with rogue(keeps_alive(9)) as server, Client(base_url=server.url) as client:
        client.health()
        later()
        client.health()
    monkeypatch.undo()
    with rogue(keeps_alive(9)) as other:
        asyncio.run(both(AsyncClient(base_url=other.url)))

    assert (server.connections, other.connections) == (connections, connections)


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


def test_a_place_that_was_given_to_who_gave_up_is_given_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B-14: his time was up in the moment in which another thread gave it to him."""

    def give_up(request: object, timeout: float) -> None:
        raise httpcore.PoolTimeout

    monkeypatch.setattr("apiclient.pools._TAKEN_WITHIN_S", 0.0)
    with (
        rogue(keeps_alive(9)) as server,
        Client(base_url=server.url, max_connections=1, connect_timeout_s=0.2) as client,
    ):
        with monkeypatch.context() as late:
            waits = "httpcore._sync.connection_pool.PoolRequest.wait_for_connection"
            late.setattr(waits, give_up)
            report = client.report(HEALTH, max_retries=0)

        assert report.error is E.POOL_EXHAUSTED
        assert client.report(HEALTH, max_retries=0).ok


def test_a_connection_that_was_taken_meanwhile_is_not_closed_for_its_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B-33: there is something to read on it: the answer, and not its end."""
    arrived, judged, late = (threading.Event() for _ in range(3))
    monkeypatch.setattr(
        httpcore.HTTPConnection, "has_expired", lambda self: judged.is_set()
    )

    def answers_late(connection: socket.socket) -> None:
        request_of(connection)
        arrived.set()
        late.wait(5)
        connection.sendall(OK)

    reports: list[CallReport[object]] = []
    with (
        rogue(answers_late, sends(OK)) as server,
        Client(base_url=server.url) as client,
    ):

        def ask() -> None:
            reports.append(client.report(HEALTH, max_retries=0, deadline_s=2.0))

        first = threading.Thread(target=ask)
        first.start()
        assert arrived.wait(5)
        judged.set()
        ask()
        late.set()
        first.join()

    assert [report.error for report in reports] == [None, None]


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
