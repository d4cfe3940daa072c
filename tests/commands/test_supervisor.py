"""The supervisor with real processes: what it restarts, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

# A service with a worker of its own, as gunicorn and qcluster have: each writes its pid.
SERVICE = """
import os, signal, sys, time
folder, role = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
child = os.fork()
if child == 0:
    role, child = "worker", 0
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(f"{folder}/{role}.{os.getpid()}", "w"):
    pass
time.sleep(60)
"""
SUPERVISOR = """
import sys
from dashboard.management.supervisor import Service, Supervisor
Supervisor([Service("one", [sys.executable, "-c", sys.argv[1], sys.argv[2], "main"])]).run()
"""


def alive(pid: int) -> bool:
    """Say whether the process runs; a zombie that nobody reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(what: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


class Stack:
    """A supervisor in a process of its own, and the pids of its service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, textwrap.dedent(SERVICE), str(folder)]
        )

    def pids(self, role: str) -> list[int]:
        found = [int(path.suffix[1:]) for path in self.folder.glob(f"{role}.*")]
        return [pid for pid in found if alive(pid)]

    def remember_group(self) -> None:
        [main] = self.pids("main")
        self.group = os.getpgid(main)

    def group_members(self) -> list[int]:
        """Return everything in the process group of the service, its guard included."""
        listed = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in listed if alive(pid) and _group(pid) == self.group]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    wait_for(lambda: bool(stack.pids("main") and stack.pids("worker")))
    stack.remember_group()
    yield stack
    stack.supervisor.kill()
    stack.supervisor.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(stack: Stack, number: int) -> None:
    stack.supervisor.send_signal(number)

    assert stack.supervisor.wait(timeout=10) == 0
    assert stack.group_members() == []
    # The worker ignores SIGTERM: it was killed with its group.
    assert stack.pids("worker") == []


def test_a_killed_supervisor_takes_its_children_along(stack: Stack) -> None:
    stack.supervisor.kill()

    wait_for(lambda: stack.group_members() == [], 5)
    assert stack.pids("main") + stack.pids("worker") == []


def test_a_dead_service_is_started_again_without_its_orphans(stack: Stack) -> None:
    [main], [worker] = stack.pids("main"), stack.pids("worker")

    os.kill(main, signal.SIGKILL)

    wait_for(lambda: not alive(worker))
    wait_for(lambda: len(stack.pids("main")) == 1 and len(stack.pids("worker")) == 1)
    assert stack.pids("main") != [main]


def test_a_killed_guard_is_replaced(stack: Stack) -> None:
    [main] = stack.pids("main")
    guard, members = os.getpgid(main), set(stack.group_members())

    os.kill(guard, signal.SIGKILL)
    wait_for(lambda: bool(set(stack.group_members()) - members))
    stack.supervisor.kill()

    wait_for(lambda: stack.pids("main") + stack.pids("worker") == [], 5)
