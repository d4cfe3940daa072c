"""Breaker rows in the database, shared by all workers.

`DatabaseBreakers` is the client's BreakerStore, row by row. `TickBreakers` is what the
prober uses: the same rows read once for many probes and written with their outcomes;
only the lease of a half-open trial is taken in the database at once, because there two
workers must not both win.
"""

import threading
from collections.abc import Iterable, Mapping
from functools import partial

from django.db import IntegrityError, connection, transaction

from apiclient.breaker import BreakerRow
from dashboard.probes.models import Breaker

_FIELDS = (
    "failures",
    "open_until",
    "opened_at",
    "reopened",
    "trial_until",
    "generation",
    "version",
    "reason",
    "calls",
    "failed_bits",
    "slow_bits",
    "forced",
)
_REASON_LENGTH = 100


def as_row(stored: Breaker) -> BreakerRow:
    return BreakerRow(**{name: getattr(stored, name) for name in _FIELDS})


def _columns(row: BreakerRow) -> dict[str, object]:
    columns: dict[str, object] = {name: getattr(row, name) for name in _FIELDS}
    return columns | {"reason": row.reason[:_REASON_LENGTH]}


class DatabaseBreakers:
    """One gateway's breakers, compared and swapped in the database by their version."""

    def __init__(self, gateway_id: int) -> None:
        self._gateway_id = gateway_id

    def load(self, key: str) -> BreakerRow:
        stored = Breaker.objects.filter(gateway=self._gateway_id, key=key).first()
        return as_row(stored) if stored else BreakerRow()

    def swap(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool:
        if seen.version == 0 and self._create(key, new):
            return True
        changed = Breaker.objects.filter(
            gateway=self._gateway_id, key=key, version=seen.version
        ).update(**_columns(new))
        return changed == 1

    def _create(self, key: str, row: BreakerRow) -> bool:
        try:
            with transaction.atomic():
                Breaker.objects.create(
                    gateway_id=self._gateway_id, key=key, **_columns(row)
                )
        except IntegrityError:
            return False
        return True


class TickBreakers:
    """One gateway's breakers in memory; `flush` writes what changed."""

    def __init__(self, gateway_id: int) -> None:
        self._gateway_id = gateway_id
        self._database = DatabaseBreakers(gateway_id)
        self._rows: dict[str, BreakerRow] = {}
        # The version that the database had when the row was last read or written.
        self._stored: dict[str, int] = {}
        self._lock = threading.Lock()

    def versions(self) -> dict[str, int]:
        """Return the version that each row had in the database, as far as known."""
        with self._lock:
            return dict(self._stored)

    def refresh(self, stored: Iterable[Breaker], before: Mapping[str, int]) -> None:
        """Take over what others wrote and deleted; our own unwritten changes stay.

        `before` are the `versions` from before `stored` was read: what a trial has made
        since is not deleted.
        """
        rows = {breaker.key: breaker for breaker in stored}
        with self._lock:
            dirty = self._dirty()
            for key in rows.keys() - dirty:
                self._rows[key] = as_row(rows[key])
                self._stored[key] = rows[key].version
            for key in before.keys() - rows.keys() - dirty:
                if self._stored[key] == before[key]:
                    self._rows.pop(key, None)
                    self._stored.pop(key)

    def load(self, key: str) -> BreakerRow:
        with self._lock:
            return self._rows.get(key, BreakerRow())

    def swap(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool:
        if new.trial_until > 0 and not self._take_trial(key, seen, new):
            return False
        with self._lock:
            if self._rows.get(key, BreakerRow()).version != seen.version:
                return False
            self._rows[key] = new
            return True

    def flush(self) -> None:
        """Write the changed rows, in key order; the caller's transaction.

        Where another worker wrote first, its row wins: both saw the same gateway.
        """
        with self._lock:
            # With their versions: a trial may be taken meanwhile, which must win.
            changed = [
                (key, self._rows[key], self._stored.get(key, 0))
                for key in sorted(self._dirty())
            ]
        for key, row, version in changed:
            seen = BreakerRow(version=version)
            won = self._database.swap(key, seen, row)
            stored = row if won else self._database.load(key)
            # Not before the commit: rolled back, the row must stay to be written.
            transaction.on_commit(partial(self._note_stored, key, stored))

    def _note_stored(self, key: str, stored: BreakerRow) -> None:
        with self._lock:
            self._stored[key] = stored.version
            # Version 0 is no row: it was deleted with its team, and is not made again.
            if self._rows[key].version <= stored.version or not stored.version:
                self._rows[key] = stored

    def _dirty(self) -> set[str]:
        return {
            key
            for key, row in self._rows.items()
            if row.version != self._stored.get(key, 0)
        }

    def _take_trial(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool:
        """Take the lease of a half-open trial in the database; from a probe's thread."""
        try:
            stored = self._database.load(key)
            known = self.versions()
            # Less than what was stored before: it was deleted with its team.
            if not known.get(key, 0) <= stored.version <= seen.version:
                return False
            if not self._database.swap(key, stored, new):
                return False
            with self._lock:
                self._stored[key] = new.version
            return True
        finally:
            if not connection.in_atomic_block:
                connection.close()
