import os
import signal
from collections.abc import Callable

import pytest

from apiclient import (
    BreakerEffect,
    LaterQueue,
    MemoryBreakerStore,
    MemoryCompletions,
    RetryBudget,
    shared_metrics,
)
from apiclient.breaker import BreakerRow
from apiclient.locks import SharedLock
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    ("make", "use"),
    [
        (shared_metrics, lambda metrics: metrics.get_stats()),
        (MemoryBreakerStore, lambda store: store.rows()),
        (MemoryCompletions, lambda store: store.waiting()),
        (RetryBudget, lambda budget: budget.note("gw", BreakerEffect.SUCCESS)),
        (LaterQueue, len),
    ],
    ids=["metrics", "breakers", "completions", "budget", "queue"],
)
def test_a_forked_process_waits_for_no_thread_of_its_parent(
    make: Callable[[], object], use: Callable[[object], object]
) -> None:
    """B-71: that thread is not there, so whatever it held would be held for ever."""
    shared = make()
    held = shared._lock  # type: ignore[attr-defined]  # as another thread has it
    assert isinstance(held, SharedLock)

    with held:
        child = os.fork()
        if child == 0:
            signal.alarm(5)
            try:
                use(shared)
                os._exit(0)
            finally:
                os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
