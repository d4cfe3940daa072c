"""Requests that were told to come later."""

import threading
from collections.abc import Callable, Iterator

import pytest

from apiclient import (
    APIError,
    LaterQueue,
    Operation,
    RateLimitError,
    RetryPolicy,
    operations,
)
from tests.apiclient.fakes import (
    JOB,
    Rig,
    Scene,
    SyncRig,
    detail,
)

BALANCE: Operation[object] = operations.balance("acme")
TEAM: Operation[object] = operations.get_team("acme")

Make = Callable[..., Rig]


def forever(scene: Callable[[], Scene]) -> Iterator[Callable[[], Scene]]:
    while True:
        yield scene


def refused_for(
    seconds: str, operation: Operation[object] = BALANCE, team_id: str = "acme"
) -> APIError:
    made = SyncRig([detail(429, "slow down", retry_after=seconds)], team_id=team_id)
    with pytest.raises(RateLimitError) as raised:
        made.run(operation)
    return raised.value


def test_a_queued_request_waits_as_long_as_it_was_told() -> None:
    """S-66: not before Retry-After."""
    queue = LaterQueue()
    error = refused_for("300")

    assert queue.put(BALANCE, error, now=1000.0) == 1300.0
    assert queue.due(1299.9) == []
    assert queue.due(1300.0) == [BALANCE]
    assert len(queue) == 0


def test_without_a_retry_after_it_waits_a_minute() -> None:
    queue = LaterQueue()
    made = SyncRig(forever(detail(429, "slow")), retry=RetryPolicy(max_retries=0))
    with pytest.raises(RateLimitError) as raised:
        made.run(BALANCE)

    assert queue.put(BALANCE, raised.value, now=0.0) == 60.0


def test_what_is_asked_of_a_job_is_its_clients_teams() -> None:
    """S-66."""
    queue, look = LaterQueue(most=1), operations.get_job(JOB)
    for team_id in ("acme", "globex"):
        queue.put(look, refused_for("300", look, team_id), now=0.0)

    assert (len(queue), queue.dropped) == (2, 0)


def test_each_team_has_its_own_bounded_queue() -> None:
    """S-66: the oldest is dropped, and counted."""
    queue, error = LaterQueue(most=2), refused_for("300")
    others: Operation[object] = operations.balance("globex")
    for operation in (TEAM, BALANCE, BALANCE, others):
        queue.put(operation, error, now=0.0)

    assert queue.due(300.0) == [BALANCE, BALANCE, others]
    assert queue.dropped == 1


class Interrupted(float):
    """A moment at whose first comparison another thread has its turn."""

    other: threading.Thread | None = None

    def __ge__(self, due: float) -> bool:
        if self.other is not None:
            turn, self.other = self.other, None
            turn.start()
            turn.join(0.05)
        return float(self) >= due


def test_a_thread_that_puts_while_another_takes_loses_nothing() -> None:
    queue, error = LaterQueue(), refused_for("300")
    queue.put(TEAM, error, now=0.0)
    queue.put(TEAM, error, now=500.0)
    now = Interrupted(400.0)
    other = threading.Thread(target=queue.put, args=[BALANCE, error, 0.0])
    now.other = other

    taken = queue.due(now)
    other.join()

    assert taken == [TEAM]
    assert queue.due(900.0) == [BALANCE, TEAM]
