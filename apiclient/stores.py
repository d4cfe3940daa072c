"""What many threads share: the breaker rows of one process, and metrics with a lock."""

import threading

from apiclient.breaker import CLOSED_ROW, BreakerRow
from apiclient.metrics import Metrics

_MOST_ROWS = 10_000


class MemoryBreakerStore:
    """Breaker rows in memory, for one process and any number of clients."""

    def __init__(self) -> None:
        self._rows: dict[str, BreakerRow] = {}
        self._lock = threading.Lock()

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


def shared_metrics() -> Metrics:
    """Return metrics that many threads may record in."""
    return Metrics(threading.Lock())
