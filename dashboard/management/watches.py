"""How the supervisor sees from outside that a service still works."""

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from django.db import DatabaseError, close_old_connections

from dashboard.probes.models import Heartbeat

# A healthy tick beats every 3 s. Detection and restart together stay below a minute:
# 28 s here, 1 s of waiting, and a few until the new cluster beats. A new cluster may have
# to wait 15 s for the lease of a killed tick: that must not look like a second wedge.
STALE_S = 28.0
NUDGE_S = 6.0
LOOK_S = 2.0


def latest_beat(name: str) -> datetime | None:
    """Return when the periodic job last worked."""
    beats = Heartbeat.objects.filter(name=name)
    return beats.values_list("beat_at", flat=True).first()


class BeatWatch:
    """Sees a wedged job cluster: it looks healthy, but no tick moves the heartbeat.

    `nudge` queues a tick, at once after a start and whenever none has beaten for some
    seconds: the scheduler's own next pass may be half a minute and more away.
    """

    def __init__(
        self, beat: Callable[[], datetime | None], nudge: Callable[[], None]
    ) -> None:
        self._beat = beat
        self._nudge = nudge
        self._last: datetime | None = None
        self._moved_s = self._look_s = self._nudge_s = 0.0

    def started(self, now_s: float) -> None:
        self._moved_s = self._look_s = self._nudge_s = now_s

    def trouble(self, now_s: float) -> str:
        if now_s < self._look_s:
            return ""
        self._look_s = now_s + LOOK_S
        try:
            self._look(now_s)
        except DatabaseError:
            # Nothing is known without the database, and a restart would not mend it.
            self._moved_s = now_s
        finally:
            close_old_connections()
        silent_s = now_s - self._moved_s
        return f"no tick for {silent_s:.0f} s" if silent_s >= STALE_S else ""

    def _look(self, now_s: float) -> None:
        if now_s >= self._nudge_s:
            self._nudge_s = now_s + NUDGE_S
            self._nudge()
        beat = self._beat()
        if beat is not None and beat != self._last:
            self._last, self._moved_s = beat, now_s
            self._nudge_s = now_s + NUDGE_S


class WebWatch:
    """Asks /healthz every few seconds, without waiting for the answer.

    Any answer will do: 503 means that the database is away, which no restart mends.
    """

    EVERY_S = 5.0
    # Longer than the database's connect timeout, which /healthz may have to wait for.
    ANSWER_S = 8.0
    MISSES = 3
    BOOT_S = 10.0

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._asking: socket.socket | None = None
        self._due_s = self._asked_s = 0.0
        self._misses = 0

    def started(self, now_s: float) -> None:
        self.hang_up()
        self._misses, self._due_s = 0, now_s + self.BOOT_S

    def trouble(self, now_s: float) -> str:
        if self._asking is None:
            if now_s >= self._due_s:
                self._ask(now_s)
        elif self._answered(self._asking):
            self.hang_up()
            self._misses, self._due_s = 0, now_s + self.EVERY_S
        elif now_s - self._asked_s >= self.ANSWER_S:
            self.hang_up()
            self._misses += 1
        return "/healthz does not answer" if self._misses >= self.MISSES else ""

    def _ask(self, now_s: float) -> None:
        self._asked_s = now_s
        host, port = self._address
        try:
            self._asking = socket.create_connection((host, port), timeout=1)
            name = f"[{host}]" if ":" in host else host
            self._asking.sendall(
                f"GET /healthz HTTP/1.1\r\nHost: {name}:{port}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
        except OSError:
            self.hang_up()
            self._misses, self._due_s = self._misses + 1, now_s + self.EVERY_S

    @staticmethod
    def _answered(asking: socket.socket) -> bool:
        readable, _, _ = select.select([asking], [], [], 0)
        if not readable:
            return False
        with suppress(OSError):
            return asking.recv(5) == b"HTTP/"
        return False

    def hang_up(self) -> None:
        """Drop the question that is open, if any."""
        if self._asking:
            self._asking.close()
            self._asking = None
