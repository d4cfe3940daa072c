import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.db import connection, transaction

from apiclient.breaker import BreakerRow, BreakerStore
from dashboard.probes.breaker_store import DatabaseBreakers, TickBreakers
from dashboard.probes.models import Breaker
from tests.apiclient.breaker_suite import BreakerStoreSuite
from tests.factories import make_gateway

KEY = "gateway.example||GET /health"
CLOSED = BreakerRow()


def failed(failures: int, version: int) -> BreakerRow:
    return BreakerRow(failures=failures, version=version)


@pytest.fixture
def gateway_id(db: None) -> int:
    return make_gateway().pk


def stored() -> BreakerRow:
    row = Breaker.objects.get()
    return BreakerRow(failures=row.failures, version=row.version)


class ThreadedBreakers(DatabaseBreakers):
    """Leaves no connection behind in the suite's threads, as a worker's end would."""

    def load(self, key: str) -> BreakerRow:
        with _own_connection():
            return super().load(key)

    def swap(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool:
        with _own_connection():
            return super().swap(key, seen, new)


@contextmanager
def _own_connection() -> Iterator[None]:
    try:
        yield
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()


class TestDatabaseBreakers(BreakerStoreSuite):
    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def store(self) -> BreakerStore:
        return ThreadedBreakers(make_gateway().pk)

    def test_a_row_is_made_and_swapped_by_its_version(self, gateway_id: int) -> None:
        store = DatabaseBreakers(gateway_id)
        assert store.load(KEY) == CLOSED

        assert store.swap(KEY, CLOSED, failed(1, 1))
        assert not store.swap(KEY, CLOSED, failed(9, 1))
        assert store.swap(KEY, failed(1, 1), failed(2, 2))

        assert store.load(KEY) == failed(2, 2)

    def test_two_gateways_on_one_host_do_not_share_a_row(self, gateway_id: int) -> None:
        DatabaseBreakers(gateway_id).swap(KEY, CLOSED, failed(1, 1))
        assert DatabaseBreakers(make_gateway().pk).load(KEY) == CLOSED


@pytest.mark.django_db(transaction=True)
class TestTickBreakers(BreakerStoreSuite):
    @pytest.fixture
    def store(self) -> BreakerStore:
        return TickBreakers(make_gateway().pk)

    @pytest.fixture
    def breakers(self) -> TickBreakers:
        return TickBreakers(make_gateway().pk)

    def test_changes_stay_in_memory_until_the_flush(
        self, breakers: TickBreakers
    ) -> None:
        assert breakers.swap(KEY, CLOSED, failed(1, 1))
        assert breakers.swap(KEY, failed(1, 1), failed(2, 2))
        assert not Breaker.objects.exists()

        breakers.flush()

        assert stored() == failed(2, 2)

    def test_a_flush_that_was_rolled_back_is_written_by_the_next(
        self, breakers: TickBreakers
    ) -> None:
        breakers.swap(KEY, CLOSED, failed(1, 1))
        with transaction.atomic():
            breakers.flush()
            transaction.set_rollback(True)
        assert not Breaker.objects.exists()

        breakers.flush()

        assert stored() == failed(1, 1)

    def test_a_trial_that_is_taken_during_a_flush_stays(
        self, breakers: TickBreakers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A thread takes it while the flush writes what comes before it."""
        first, trial = "a", replace(failed(1, 2), trial_until=9.0)
        breakers.swap(first, CLOSED, failed(1, 1))
        breakers.swap(KEY, CLOSED, failed(1, 1))
        swap = breakers._database.swap

        def swapped(key: str, seen: BreakerRow, new: BreakerRow) -> bool:
            if key == first:
                assert breakers.swap(KEY, failed(1, 1), trial)
            return swap(key, seen, new)

        monkeypatch.setattr(breakers._database, "swap", swapped)
        breakers.flush()

        kept = Breaker.objects.get(key=KEY)
        assert (kept.version, kept.trial_until) == (2, 9.0)
        assert breakers.load(KEY) == trial

    def test_what_another_worker_wrote_first_wins(self, breakers: TickBreakers) -> None:
        breakers.swap(KEY, CLOSED, failed(1, 1))
        breakers.flush()
        other = TickBreakers(Breaker.objects.get().gateway_id)
        other.refresh(Breaker.objects.all(), {})
        other.swap(KEY, failed(1, 1), failed(5, 2))
        other.flush()
        breakers.swap(KEY, failed(1, 1), failed(2, 2))

        breakers.flush()

        assert stored() == failed(5, 2)
        assert breakers.load(KEY) == failed(5, 2)

    def test_a_refresh_keeps_our_own_unwritten_change(
        self, breakers: TickBreakers
    ) -> None:
        breakers.swap(KEY, CLOSED, failed(1, 1))
        breakers.flush()
        breakers.swap(KEY, failed(1, 1), failed(2, 2))

        breakers.refresh(Breaker.objects.all(), {})

        assert breakers.load(KEY) == failed(2, 2)

    def test_a_refresh_forgets_what_was_deleted(self, breakers: TickBreakers) -> None:
        """C-22: a forced one would stop the next team of its id."""
        breakers.swap(KEY, CLOSED, failed(1, 1))
        breakers.flush()
        Breaker.objects.all().delete()

        breakers.refresh(Breaker.objects.all(), breakers.versions())

        assert breakers.load(KEY) == CLOSED

    def test_a_refresh_forgets_no_trial_that_began_since_it_was_read(
        self, breakers: TickBreakers
    ) -> None:
        before, read = breakers.versions(), list(Breaker.objects.all())
        trial = BreakerRow(trial_until=99.0, version=1)
        assert breakers.swap(KEY, CLOSED, trial)

        breakers.refresh(read, before)

        assert breakers.load(KEY) == trial

    def test_what_was_deleted_with_its_team_is_not_made_again(
        self, breakers: TickBreakers
    ) -> None:
        """C-22: by a run that was under way; the next team of the id would have it."""
        breakers.swap(KEY, CLOSED, failed(4, 1))
        breakers.flush()
        Breaker.objects.all().delete()
        breakers.swap(KEY, failed(4, 1), failed(5, 2))

        breakers.flush()
        breakers.flush()

        assert not Breaker.objects.exists()
        assert breakers.load(KEY) == CLOSED

    def test_no_trial_makes_again_what_was_deleted_with_its_team(
        self, breakers: TickBreakers
    ) -> None:
        """C-22."""
        half_open = BreakerRow(failures=5, open_until=1.0, generation=1, version=5)
        breakers.swap(KEY, CLOSED, half_open)
        breakers.flush()
        Breaker.objects.all().delete()

        assert not breakers.swap(
            KEY, half_open, replace(half_open, trial_until=99.0, version=6)
        )
        assert not Breaker.objects.exists()

    def test_a_half_open_trial_is_leased_in_the_database_at_once(
        self, breakers: TickBreakers
    ) -> None:
        half_open = BreakerRow(failures=5, open_until=1.0, generation=1, version=5)
        breakers.swap(KEY, CLOSED, half_open)
        breakers.flush()
        rival = TickBreakers(Breaker.objects.get().gateway_id)
        rival.refresh(Breaker.objects.all(), {})
        leased = BreakerRow(
            failures=5, open_until=1.0, trial_until=99.0, generation=1, version=6
        )

        assert breakers.swap(KEY, half_open, leased)
        assert not rival.swap(KEY, half_open, leased)
        assert Breaker.objects.get().trial_until == 99.0
