"""Keep a few services running: restart what dies or hangs, leave nothing behind.

Each service is a process group of its own. The first member of the group is a guard: a
shell that reads from a pipe whose other end only the supervisor holds. When the
supervisor ends, however it ends, the guard's read ends too and it kills its group:
PR_SET_PDEATHSIG would reach only the service's main process, not the workers it forks.
"""

import logging
import os
import queue
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

logger = logging.getLogger(__name__)

POLL_S = 0.5
STOP_S = 15.0
# The wait before a restart doubles from the first to the second while the service dies
# soon after its start, and begins anew once it has lasted the third.
BACKOFF_S, MAX_BACKOFF_S, LASTED_S = 1.0, 20.0, 60.0
GUARD = ("/bin/sh", "-c", "read line; kill -9 0")


class Watch(Protocol):
    """Looks at a running service from outside."""

    def started(self, now_s: float) -> None:
        """Begin anew: the service was just started."""

    def trouble(self, now_s: float) -> str:
        """Say why the service must be restarted, or "" while it works."""


@dataclass(frozen=True, slots=True)
class Service:
    """What to run, and how to see that it works."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: Sequence[int] = ()
    watch: Watch | None = None
    # Says whether those that come after it in the list may start.
    ready: Callable[[], bool] | None = None
    # Called before the service is asked to end.
    ending: Callable[[], None] | None = None


class Running:
    """One service's process group, from its start until nothing of it is left."""

    def __init__(self, service: Service, lifeline: int) -> None:
        self._lifeline = lifeline
        self.guard = self._new_guard(group=0)
        self.group = self.guard.pid
        try:
            self.main = subprocess.Popen(  # noqa: S603 (our own programs)
                service.argv,
                env={**os.environ, **service.environment},
                stdin=subprocess.DEVNULL,
                pass_fds=service.pass_fds,
                process_group=self.group,
            )
        except OSError:
            self.guard.kill()
            self.guard.wait()
            raise

    def _new_guard(self, group: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 (a constant)
            GUARD,
            stdin=self._lifeline,
            stdout=subprocess.DEVNULL,
            process_group=group,
        )

    def keep_guarded(self) -> None:
        """Put a new guard in the place of one that was killed."""
        if self.guard.poll() is not None:
            # OSError: the whole group is gone, as the next look at `main` will show.
            with suppress(OSError):
                self.guard = self._new_guard(self.group)

    def terminate(self) -> None:
        """Ask the main process alone: django-q2 hangs when its whole group is asked."""
        if self.main.poll() is None:
            self.main.terminate()

    def kill(self) -> None:
        """End the whole group, orphans of a dead main process included."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self.main.wait()
        self.guard.wait()
        # As the first process of a container the supervisor inherits the orphans.
        with suppress(ChildProcessError):
            while os.waitpid(-self.group, os.WNOHANG) != (0, 0):
                pass


class Keeper:
    """Keeps one service running."""

    def __init__(self, service: Service, lifeline: int) -> None:
        self.service = service
        self.running: Running | None = None
        self._lifeline = lifeline
        self._started_s = 0.0
        self._start_at_s = 0.0
        self._backoff_s = BACKOFF_S
        self._was_ready = service.ready is None

    def was_ready(self) -> bool:
        """Say whether the service has once been ready; it need not be any more."""
        if not self._was_ready and self.running and self.service.ready:
            self._was_ready = self.service.ready()
        return self._was_ready

    def tend(self, now_s: float) -> None:
        """Start what should run, restart what died or hangs."""
        if self.running is None:
            if now_s >= self._start_at_s:
                self._start(now_s)
            return
        self.running.keep_guarded()
        code = self.running.main.poll()
        watch = self.service.watch
        why = f"ended with code {code}" if code is not None else ""
        if not why and watch:
            why = watch.trouble(now_s)
        if why:
            self._drop(self.running, why, now_s)

    def _start(self, now_s: float) -> None:
        self._started_s = now_s
        try:
            self.running = Running(self.service, self._lifeline)
        except OSError as error:
            self._put_off(str(error), now_s)
            return
        if self.service.watch:
            self.service.watch.started(now_s)
        fields = {"service": self.service.name, "pid": self.running.main.pid}
        logger.debug("service.started", extra=fields)

    def _drop(self, running: Running, why: str, now_s: float) -> None:
        running.kill()
        self.running = None
        self._put_off(why, now_s)

    def _put_off(self, why: str, now_s: float) -> None:
        if now_s - self._started_s >= LASTED_S:
            self._backoff_s = BACKOFF_S
        self._start_at_s = now_s + self._backoff_s
        fields = {"service": self.service.name, "why": why, "wait_s": self._backoff_s}
        logger.warning("service.restarting", extra=fields)
        self._backoff_s = min(self._backoff_s * 2, MAX_BACKOFF_S)


class Supervisor:
    """Runs services until a signal asks it to stop."""

    def __init__(
        self, services: Sequence[Service], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        # Its write end stays open, and unread, for as long as this process lives.
        self._pipe = os.pipe()
        self._keepers = [Keeper(service, self._pipe[0]) for service in services]
        # put() of a SimpleQueue is safe in a signal handler; Event.set() is not.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(self) -> None:
        """Return when SIGTERM, SIGINT or SIGHUP came and nothing is left running."""
        asked = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self._note) for number in asked}
        try:
            while not self._asked_to_stop(POLL_S):
                self._tend()
        finally:
            self._stop()
            for number, action in before.items():
                signal.signal(number, action)
            for end in self._pipe:
                os.close(end)

    def _tend(self) -> None:
        for keeper in self._keepers:
            keeper.tend(self._clock())
            if not keeper.was_ready():
                return

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)

    def _asked_to_stop(self, wait_s: float) -> bool:
        try:
            self._signals.get(timeout=wait_s)
        except queue.Empty:
            return False
        return True

    def _stop(self) -> None:
        """Let the services finish what they are at, the last one first.

        So a service never loses one that it stands on: the demo's prober would store
        the end of its gateway as an outage. A second signal ends all at once.
        """
        deadline_s = self._clock() + STOP_S
        for keeper in reversed(self._keepers):
            if keeper.running:
                if keeper.service.ending:
                    keeper.service.ending()
                keeper.running.terminate()
                deadline_s = self._wait_for_end(keeper.running, deadline_s)
                keeper.running.kill()

    def _wait_for_end(self, running: Running, deadline_s: float) -> float:
        """Wait until it ended or time is up; return until when the others may take."""
        while running.main.poll() is None and self._clock() < deadline_s:
            if self._asked_to_stop(0.1):
                return self._clock()
        return deadline_s
