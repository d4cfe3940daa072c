"""The demo, as a visitor starts it."""

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.commands.stack import MANAGE, children, members, plain, stat_of, wait_for

pytestmark = pytest.mark.processes


class Demo:
    def __init__(self, folder: Path) -> None:
        self.log = folder / "demo.log"
        self.database = folder / "var" / "demo.sqlite3"
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, MANAGE, "demo", "--bind", "127.0.0.1:0"],
                env=plain(folder),
                stdout=file,
                stderr=file,
            )

    def count(self, query: str) -> int:
        address = f"file:{self.database}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as database:
            [[found]] = database.execute(query).fetchall()
        return int(found)

    def runs(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "The demo runs at" in self.log.read_text()

    def stop(self) -> None:
        groups = {int(stat_of(pid)[2]) for pid in children(self.process.pid)}
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=30) == 0
        assert not any(map(members, groups))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Demo]]:
    """Return what starts a demo; one that a failed test has left ends with it."""
    started: list[Demo] = []

    def start() -> Demo:
        started.append(Demo(tmp_path))
        return started[-1]

    yield start
    for demo in started:
        demo.process.kill()
        demo.process.wait()


def test_a_visitor_sees_live_data_within_a_minute_and_finds_it_again(
    tmp_path: Path, start: Callable[[], Demo]
) -> None:
    began_s, began = time.monotonic(), time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    live = f"SELECT count(*) FROM probes_outcome WHERE started_at > '{began}'"  # noqa: S608
    failed = f"{live} AND error_class <> ''"

    first = start()
    wait_for(first.runs, 50)
    wait_for(lambda: first.count(live) >= 7, 40)
    assert time.monotonic() - began_s < 60
    assert first.count(failed) == 0
    assert "Log in as demo with password" in first.log.read_text()
    history = first.count("SELECT count(*) FROM probes_outcome")
    assert history > 5000

    told = subprocess.run(
        [sys.executable, MANAGE, "demo", "--bind", "127.0.0.1:0", "--fresh"],
        env=plain(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert re.match(r"Another demo runs on \S+; stop it first", told.stderr)
    first.stop()

    second = start()
    wait_for(second.runs, 40)
    assert second.count("SELECT count(*) FROM probes_outcome") >= history
    # The prober ends before its gateway: stopping is no outage.
    assert second.count(failed) == 0
    second.stop()
    assert second.count(failed) == 0
