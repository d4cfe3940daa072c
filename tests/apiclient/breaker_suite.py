"""What every BreakerStore must do. Subclass it and give it a store.

class TestMyStore(BreakerStoreSuite):
    @pytest.fixture
    def store(self) -> BreakerStore: ...
"""

import threading
from dataclasses import replace

import pytest

from apiclient.breaker import (
    Admit,
    BreakerPolicy,
    BreakerRow,
    BreakerState,
    BreakerStore,
    Result,
    state,
)
from apiclient.gate import Gate
from apiclient.taxonomy import BreakerEffect

KEY = "gw.example|acme%20corp|GET /api/teams/{team_id}"
OTHER = "gw.example|*|*"
FULL = BreakerRow(
    failures=7,
    open_until=1_800_000_060.5,
    opened_at=1_800_000_000.25,
    reopened=2,
    trial_until=1_800_000_090.0,
    generation=3,
    version=1,
    reason="connect_failed",
    calls=20,
    failed_bits=2**60 - 1,
    slow_bits=2**59,
    forced="forced_open",
)
NOW = 1_800_000_000.0
FAILED = Result(BreakerEffect.FAILURE, "server_error")
WORKED = Result(BreakerEffect.SUCCESS)


class BreakerStoreSuite:
    """Conformance of one store; threads may be given up by setting `threads = 1`."""

    threads = 4

    @pytest.fixture
    def store(self) -> BreakerStore:
        raise NotImplementedError

    def test_an_unknown_key_is_an_untouched_closed_breaker(
        self, store: BreakerStore
    ) -> None:
        assert store.load(KEY) == BreakerRow()

    def test_what_is_swapped_in_is_loaded_whole(self, store: BreakerStore) -> None:
        assert store.swap(KEY, BreakerRow(), FULL)

        assert store.load(KEY) == FULL

    def test_keys_do_not_share_rows(self, store: BreakerStore) -> None:
        store.swap(KEY, BreakerRow(), FULL)

        assert store.load(OTHER) == BreakerRow()

    def test_a_swap_from_an_outdated_row_changes_nothing(
        self, store: BreakerStore
    ) -> None:
        store.swap(KEY, BreakerRow(), FULL)
        newer = replace(FULL, failures=8, version=2)
        store.swap(KEY, FULL, newer)

        assert not store.swap(KEY, FULL, replace(FULL, failures=99, version=2))
        assert store.load(KEY) == newer

    def test_only_the_first_of_two_makes_a_missing_row(
        self, store: BreakerStore
    ) -> None:
        assert store.swap(KEY, BreakerRow(), FULL)
        assert not store.swap(KEY, BreakerRow(), replace(FULL, failures=99))

        assert store.load(KEY) == FULL

    def test_five_failures_open_it_and_one_trial_closes_it(
        self, store: BreakerStore
    ) -> None:
        """S-110, S-111 through this store."""
        now = [NOW]
        gate = Gate(store, BreakerPolicy(jitter=0), lambda: now[0], lambda: 0.5)
        for _ in range(5):
            admission = gate.admit((KEY,), Admit.NORMAL)
            assert admission.held_s is None
            gate.settle(admission.tickets, (FAILED,))
        assert gate.admit((KEY,), Admit.NORMAL).held_s == 60.0

        now[0] += 61
        trial = gate.admit((KEY,), Admit.NORMAL)
        assert trial.held_s is None
        assert gate.admit((KEY,), Admit.NORMAL).held_s is not None
        gate.settle(trial.tickets, (WORKED,))

        assert state(store.load(KEY), now[0]) is BreakerState.CLOSED

    def test_of_many_at_once_one_gets_the_trial(self, store: BreakerStore) -> None:
        """B-46 through this store, from several threads."""
        store.swap(
            KEY,
            BreakerRow(),
            replace(FULL, open_until=NOW - 1, trial_until=0.0, forced=""),
        )
        gate = Gate(store, BreakerPolicy(), lambda: NOW, lambda: 0.5)
        admitted: list[bool] = []
        start = threading.Barrier(self.threads)

        def arrive() -> None:
            start.wait()
            admitted.append(gate.admit((KEY,), Admit.NORMAL).held_s is None)

        threads = [threading.Thread(target=arrive) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sum(admitted) == 1
        assert len(admitted) == self.threads
