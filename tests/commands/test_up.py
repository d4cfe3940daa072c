"""`up` with its real children: they are killed, and it works on."""

import stat
from collections.abc import Callable, Iterator

import pytest

from tests.commands.stack import (
    Up,
    children,
    kill,
    members,
    plain,
    stat_of,
    wait_for,
)

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Run one supervisor for all tests: each leaves it working for the next."""
    running = Up(plain(tmp_path_factory.mktemp("up")))
    running.works_on()
    yield running
    running.kill()


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
    "victims", [master, web_worker, guards, cluster, sentinel, job_workers]
)
def test_after_a_kill_it_works_on_within_a_minute(
    victims: Callable[[Up], list[int]], up: Up
) -> None:
    killed = victims(up)
    kill(*killed)

    assert up.works_on(60) < 60
    assert not any(map(stat_of, killed))


def test_a_killed_supervisor_leaves_nothing_and_a_new_start_works(up: Up) -> None:
    groups = up.groups()

    up.kill()
    wait_for(lambda: not any(map(members, groups)), 5)

    up.start()
    up.works_on()


def test_a_signal_stops_it_within_seconds_and_leaves_nothing(up: Up) -> None:
    groups = up.groups()

    assert up.stop() == 0

    assert not any(map(members, groups))


def test_it_says_what_to_do_first(up: Up) -> None:
    said = up.log.read_text()

    assert "Mail is not set up: alarms wait until EMAIL_URL is set" in said
    assert f"Make the first admin at {up.address}/setup/" in said


def test_what_it_writes_is_nobody_elses(up: Up) -> None:
    """C-23."""
    folder = up.database.parent

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("gatewatch.sqlite3", "secrets"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
