import pytest

from apiclient import MemoryBreakerStore
from apiclient.breaker import BreakerRow
from tests.apiclient.breaker_suite import KEY, BreakerStoreSuite


class TestMemoryBreakerStore(BreakerStoreSuite):
    threads = 16

    @pytest.fixture
    def store(self) -> MemoryBreakerStore:
        return MemoryBreakerStore()


def test_the_rows_can_be_inspected() -> None:
    """B-44: the registry is inspectable."""
    store = MemoryBreakerStore()
    store.swap(KEY, BreakerRow(), BreakerRow(failures=1, version=1))

    assert store.rows() == {KEY: BreakerRow(failures=1, version=1)}
