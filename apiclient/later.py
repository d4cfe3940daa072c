"""Requests that were told to come later, each until its time; bounded per team.

Source: the guide, "Usage": RateLimitError, queue request for later.
"""

from collections import deque
from dataclasses import dataclass

from apiclient.errors import APIError
from apiclient.locks import SharedLock
from apiclient.operations import Operation

_DEFAULT_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """An operation and the moment, in seconds of the caller's clock, it may be sent."""

    operation: Operation[object]
    due: float


class LaterQueue:
    """Operations to send later; of more than `most` of a team the oldest is dropped.

    It does nothing by itself: ask it for what is due, and run that. `dropped` counts.
    Threads may share it: each operation is taken out by one of them.
    """

    def __init__(self, most: int = 100) -> None:
        if most < 1:
            raise ValueError(f"most={most} is not a positive number")
        self.dropped = 0
        self._most = most
        self._teams: dict[str, deque[Waiting]] = {}
        self._lock = SharedLock()

    def __len__(self) -> int:
        with self._lock:
            return sum(len(queue) for queue in self._teams.values())

    def put(self, operation: Operation[object], error: APIError, now: float) -> float:
        """Keep an operation that failed; return when it may go, never before told.

        Without a Retry-After it waits a minute. Operations that a repeat would charge
        twice are for the caller to judge: see `error.report.ambiguous`.
        """
        wait_s = error.retry_after
        due = now + (_DEFAULT_WAIT_S if wait_s is None else wait_s)
        # What is asked of a job names no team; its client does.
        team_id = operation.team_id or error.report.team_id
        with self._lock:
            queue = self._teams.setdefault(team_id, deque())
            queue.append(Waiting(operation, due))
            if len(queue) > self._most:
                queue.popleft()
                self.dropped += 1
        return due

    def due(self, now: float) -> list[Operation[object]]:
        """Take out what may be sent now, the longest waiting first."""
        ready: list[Waiting] = []
        with self._lock:
            for team_id in list(self._teams):
                queue = self._teams.pop(team_id)
                ready += [each for each in queue if each.due <= now]
                if rest := deque(each for each in queue if each.due > now):
                    self._teams[team_id] = rest
        return [each.operation for each in sorted(ready, key=lambda each: each.due)]
