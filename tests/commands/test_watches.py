"""What the supervisor makes of a beat that stops and of a web server that is silent."""

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError

from dashboard.management.watches import NUDGE_S, STALE_S, BeatWatch, WebWatch
from tests.factories import NOW


class Cluster:
    """A job cluster as its watch sees it."""

    def __init__(self) -> None:
        self.beat: datetime | None = NOW
        self.nudges = 0
        self.database_is_away = False
        self.watch = BeatWatch(self._read, self._nudge)

    def _read(self) -> datetime | None:
        if self.database_is_away:
            raise OperationalError("away")
        return self.beat

    def _nudge(self) -> None:
        self.nudges += 1

    def run(self, start_s: int, end_s: int, *, beats: bool) -> list[str]:
        """Look each second; return what the watch complained of."""
        troubles = []
        for second in range(start_s, end_s):
            if beats:
                self.beat = NOW + timedelta(seconds=second)
            troubles.append(self.watch.trouble(float(second)))
        return [trouble for trouble in troubles if trouble]


@pytest.fixture
def jobs(db: None) -> Cluster:
    cluster = Cluster()
    cluster.watch.started(0.0)
    return cluster


def test_a_start_is_nudged_once_and_a_beating_cluster_never_again(
    jobs: Cluster,
) -> None:
    assert jobs.run(0, 120, beats=True) == []
    assert jobs.nudges == 1


def test_a_silent_cluster_is_nudged_and_then_restarted(jobs: Cluster) -> None:
    jobs.run(0, 10, beats=True)

    assert jobs.run(10, 8 + int(STALE_S), beats=False) == []
    assert jobs.nudges == 1 + int((STALE_S - 2) // NUDGE_S)
    assert jobs.run(8 + int(STALE_S), 14 + int(STALE_S), beats=False)


def test_a_restart_begins_anew(jobs: Cluster) -> None:
    jobs.run(0, 60, beats=False)

    jobs.watch.started(60.0)

    assert jobs.run(60, 60 + int(STALE_S) - 2, beats=False) == []


def test_a_database_that_is_away_is_no_reason_for_a_restart(jobs: Cluster) -> None:
    jobs.run(0, 10, beats=True)
    jobs.database_is_away = True

    assert jobs.run(10, 200, beats=False) == []


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def web(server: socket.socket) -> Iterator[WebWatch]:
    watch = WebWatch(server.getsockname())
    watch.started(0.0)
    yield watch
    watch.hang_up()


def complaints(watch: WebWatch, seconds: range) -> list[str]:
    return [told for second in seconds if (told := watch.trouble(float(second)))]


def test_a_server_that_accepts_and_is_silent_is_restarted(web: WebWatch) -> None:
    assert complaints(web, range(34)) == []
    assert complaints(web, range(34, 60)) != []


def test_any_answer_is_an_answer(server: socket.socket, web: WebWatch) -> None:
    web.trouble(10.0)
    connection, _ = server.accept()
    with connection:
        assert connection.recv(500).startswith(
            b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1"
        )
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")

    assert complaints(web, range(11, 40)) == []


def test_a_server_that_refuses_is_restarted(
    server: socket.socket, web: WebWatch
) -> None:
    server.close()

    assert complaints(web, range(40)) != []
