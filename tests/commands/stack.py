"""A real `manage.py up` on a database of its own, for the tests that kill parts of it."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[2]
MANAGE = str(ROOT / "manage.py")


def plain(folder: Path) -> dict[str, str]:
    """Return the environment of a command started by hand: no settings of the tests."""
    ours = re.compile(
        r"(DATABASE|PUBLIC|EMAIL)_URL|SECRET_KEY|FIELD_KEYS|DJANGO_|GATEWATCH"
    )
    kept = {name: text for name, text in os.environ.items() if not ours.match(name)}
    return {**kept, "GATEWATCH_VAR": str(folder / "var")}


def manage(
    environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, MANAGE, *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def wait_for(what: Callable[[], object], seconds: float, pause_s: float = 0.1) -> float:
    """Wait until `what` is true and return how many seconds it took."""
    began_s = time.monotonic()
    while not what():
        waited_s = time.monotonic() - began_s
        assert waited_s < seconds, f"did not happen within {seconds:g} s"
        time.sleep(pause_s)
    return time.monotonic() - began_s


def stat_of(pid: int) -> list[str]:
    """Return state, parent and group of a process; [] when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return []
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] == "Z" else fields[:3]


def all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def children(pid: int) -> list[int]:
    return sorted(one for one in all_pids() if stat_of(one)[1:2] == [str(pid)])


def members(group: int) -> list[int]:
    return sorted(one for one in all_pids() if stat_of(one)[2:3] == [str(group)])


def command_line(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Up:
    """A running supervisor, its processes and its database."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, "GATEWATCH_WORKERS": "4"}
        self.database = Path(environment["GATEWATCH_VAR"]) / "gatewatch.sqlite3"
        self.start()

    def start(self) -> None:
        self.log = Path(f"{self._environment['GATEWATCH_VAR']}.log")
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, MANAGE, "up", "--bind", "127.0.0.1:0"],
                env=self._environment,
                stdout=file,
                stderr=file,
            )
        wait_for(lambda: "Gatewatch runs at" in self.log.read_text(), 60)
        [self.address] = re.findall(r"runs at (\S+)", self.log.read_text())

    def main_of(self, word: str) -> int:
        """Return the main process of the service whose command line holds `word`."""
        found = [p for p in children(self.process.pid) if word in command_line(p)]
        return found[0] if len(found) == 1 else 0

    def groups(self) -> list[int]:
        return sorted({int(stat_of(p)[2]) for p in children(self.process.pid)})

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database, timeout=10)) as database:
            return database.execute(query).fetchall()

    def beat(self) -> object:
        rows = self.rows("SELECT beat_at FROM probes_heartbeat WHERE name = 'tick-0'")
        return rows[0][0] if rows else None

    def works_on(self, seconds: float = 60) -> float:
        """Wait until the heartbeat moves twice and /healthz answers; return how long."""
        seen = {self.beat()}

        def moved() -> bool:
            seen.add(self.beat())
            return len(seen) >= 3 and self.answers()

        return wait_for(moved, seconds)

    def answers(self) -> bool:
        try:
            url = f"{self.address}/healthz"
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                return int(answer.status) == 200
        except OSError:
            return False

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """End the supervisor as kill -9 does; its children must follow by themselves."""
        self.process.kill()
        self.process.wait()


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
