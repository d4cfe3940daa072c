"""`up` with its real children: they are killed, and it works on."""

from collections.abc import Callable, Iterator

import pytest

from tests.commands.stack import Up, children, kill, members, stat_of, wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def up(plain_environment: dict[str, str]) -> Iterator[Up]:
    running = Up(plain_environment)
    running.works_on()
    yield running
    if running.process.poll() is None:
        running.stop()


def master(up: Up) -> list[int]:
    return [up.main_of("gunicorn")]


def web_worker(up: Up) -> list[int]:
    return children(up.main_of("gunicorn"))[:1]


def cluster(up: Up) -> list[int]:
    return [up.main_of("qcluster")]


def sentinel(up: Up) -> list[int]:
    return children(up.main_of("qcluster"))


def job_workers(up: Up) -> list[int]:
    """Return all of them, busy and idle: idle ones hold the queue's lock when killed."""
    [sentinel_pid] = sentinel(up)
    return children(sentinel_pid)


def guards(up: Up) -> list[int]:
    return up.groups()


@pytest.mark.parametrize(
    "victims", [master, web_worker, cluster, sentinel, job_workers, guards]
)
def test_after_a_kill_it_works_on_within_a_minute(
    victims: Callable[[Up], list[int]], up: Up
) -> None:
    killed = victims(up)
    kill(*killed)

    took_s = up.works_on(60)

    assert not any(map(stat_of, killed))
    assert took_s < 60
    assert up.stop() == 0
    assert [pid for group in up.groups() for pid in members(group)] == []


def test_a_signal_stops_it_within_seconds_and_leaves_nothing(up: Up) -> None:
    groups = up.groups()

    assert up.stop() == 0

    assert [pid for group in groups for pid in members(group)] == []


def test_a_killed_supervisor_leaves_nothing_and_a_new_start_works(
    up: Up, plain_environment: dict[str, str]
) -> None:
    groups = up.groups()

    up.kill()
    wait_for(lambda: not any(map(members, groups)), 5)

    again = Up(plain_environment)
    again.works_on()
    assert again.stop() == 0
