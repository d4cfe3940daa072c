"""A job that only one worker does at a time, and that queues its successor."""

import logging
import time
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from django.db import DatabaseError, connection
from django.utils import timezone
from django_q.tasks import async_task

from dashboard.probes import heartbeats

logger = logging.getLogger(__name__)

LEASE_S = 15.0
_RENEW_EVERY_S = 3.0


class Shift:
    """Hold the lease `name` inside a `with` block; `begun` says whether we got it."""

    def __init__(self, name: str, task: str, *, lease_s: float = LEASE_S) -> None:
        self.name = name
        self.begun = False
        self._task = task
        self._lease_s = lease_s
        self._holder = uuid4()
        self._renew_at = 0.0
        self._handed_over = False

    def __enter__(self) -> Self:
        self.begun = self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.begun and not self._handed_over:
            try:
                heartbeats.release(self.name, self._holder)
            except DatabaseError:
                self._reconnect()

    def renew(self) -> bool:
        """Keep the lease; False when another worker has taken it over.

        While the database is away nobody can take it: the shift goes on with what it
        has in hand.
        """
        if self.monotonic() < self._renew_at:
            return True
        try:
            return self._take()
        except DatabaseError:
            self._reconnect()
            return True

    def _take(self) -> bool:
        self._renew_at = self.monotonic() + _RENEW_EVERY_S
        return heartbeats.lease(self.name, self._holder, timezone.now(), self._lease_s)

    def hand_over(self) -> None:
        """End the lease and queue the next shift.

        While the database is away nothing is queued: the schedule starts the chain anew.
        """
        self._handed_over = True
        try:
            heartbeats.release(self.name, self._holder)
            _queue(self.name, self._task, timezone.now())
        except DatabaseError:
            self._reconnect()

    def _reconnect(self) -> None:
        """Let the next query open a new connection: this one's database is away."""
        logger.warning("shift.database_away", extra={"shift": self.name})
        connection.close()

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


def revive(name: str, task: str, now: datetime) -> None:
    """Queue `task` when nobody holds its lease and none was queued just now.

    A worker that was killed can neither hand over nor release: its chain breaks.
    """
    if heartbeats.is_deserted(name, now):
        _queue(name, task, now)


def _queue(name: str, task: str, now: datetime) -> None:
    heartbeats.note_queued(name, now)
    async_task(task)
