"""What many threads share: the breaker rows of one process, and metrics with a lock."""

from apiclient.breaker import CLOSED_ROW, BreakerRow
from apiclient.locks import SharedLock
from apiclient.metrics import Metrics
from apiclient.taxonomy import BreakerEffect

_MOST_ROWS = 10_000


class MemoryBreakerStore:
    """Breaker rows in memory, for one process and any number of clients."""

    def __init__(self) -> None:
        self._rows: dict[str, BreakerRow] = {}
        self._lock = SharedLock()

    def load(self, key: str) -> BreakerRow:
        return self._rows.get(key, CLOSED_ROW)

    def swap(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool:
        with self._lock:
            if self._rows.get(key, CLOSED_ROW).version != seen.version:
                return False
            if key not in self._rows and len(self._rows) >= _MOST_ROWS:
                self._rows.pop(next(iter(self._rows)))
            self._rows[key] = new
            return True

    def rows(self) -> dict[str, BreakerRow]:
        """Return a copy of all rows, by key."""
        with self._lock:
            return dict(self._rows)


class RetryBudget:
    """A host's allowance of retries, which failures spend and successes earn.

    It begins with `tokens`; each failure takes one, each success gives `ratio` back, and
    calls are retried only while more than half is there. So a hundred calls to a host
    that is down cost little more than a hundred attempts, not four hundred. One object
    serves all clients of a process that should share it.
    """

    def __init__(self, tokens: float = 10.0, ratio: float = 0.1) -> None:
        if not (tokens > 0 and ratio > 0):
            raise ValueError("tokens and ratio must be positive")
        self._most = tokens
        self._ratio = ratio
        self._tokens: dict[str, float] = {}
        self._lock = SharedLock()

    def note(self, host: str, effect: BreakerEffect) -> bool:
        """Take note of an attempt; return whether its host may be retried now."""
        with self._lock:
            left = self._tokens.get(host, self._most)
            if effect is BreakerEffect.FAILURE:
                left = max(left - 1, 0.0)
            elif effect is BreakerEffect.SUCCESS:
                left = min(left + self._ratio, self._most)
            self._tokens[host] = left
            return left > self._most / 2


def shared_metrics() -> Metrics:
    """Return metrics that many threads may record in."""
    return Metrics(SharedLock())
