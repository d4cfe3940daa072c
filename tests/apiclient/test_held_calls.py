"""The breaker in the loop of both clients: what it counts, holds and lets through."""

import httpx
import pytest

from apiclient import (
    Admit,
    BreakerRow,
    CircuitOpenError,
    ErrorClass,
    MemoryBreakerStore,
    breaker_key,
    host_key,
)
from tests.apiclient.calls import (
    BALANCE,
    CALL,
    COMPLETE,
    CREATE,
    HEALTH,
    HEALTHY,
    JOB_BODY,
    SINGLE,
)
from tests.apiclient.fakes import (
    Rig,
    RigOf,
    Scene,
    Scenes,
    SyncRig,
    classes,
    detail,
    fails,
    says,
)

E = ErrorClass


def test_the_breaker_counts_attempts_and_stops_the_retries(rig_of: RigOf) -> None:
    """X-21, S-113, S-81: no wait is begun that the breaker would make vain."""
    rig = rig_of([fails(httpx.ReadTimeout)] * 5)
    rig.report(HEALTH)
    report = rig.report(HEALTH)

    assert len(report.attempts) == 1
    assert report.error is E.TIMEOUT
    assert report.retries_suppressed
    assert report.breaker_state == "open"
    assert rig.time.waits == [1.0, 2.0, 4.0]


def opened_rig(rig_of: RigOf, tape: Scenes) -> Rig:
    rig = rig_of([detail(500, "x")] * 5 + tape)
    for _ in range(5):
        rig.report(HEALTH, max_retries=0)
    return rig


def test_an_open_breaker_sends_nothing(rig_of: RigOf) -> None:
    """S-110, X-25."""
    rig = opened_rig(rig_of, [])
    report = rig.report(HEALTH)
    with pytest.raises(CircuitOpenError) as caught:
        rig.run(HEALTH)

    assert report.error is E.BREAKER_HELD
    assert report.attempts == ()
    assert report.retry_after_s == pytest.approx(60, abs=1)
    assert caught.value.retry_after is not None
    assert len(rig.gateway.requests) == 5
    assert rig.client.get_stats()["total_requests"] == 5


def test_after_a_minute_one_good_call_closes_it(rig_of: RigOf) -> None:
    """S-111."""
    rig = opened_rig(rig_of, [HEALTHY, HEALTHY])
    rig.time.elapsed_s += 61

    assert rig.report(HEALTH).ok
    assert rig.report(HEALTH).breaker_state == "closed"


def test_a_monitors_probe_is_sent_once_through_an_open_breaker(rig_of: RigOf) -> None:
    """An open breaker never blinds the monitor: one attempt, no retry, no growth."""
    rig = opened_rig(rig_of, [detail(500, "x"), HEALTHY])
    failed = rig.report(HEALTH, admit=Admit.ALWAYS_TRIAL)
    assert classes(failed) == [E.SERVER_ERROR]
    assert failed.breaker_state == "open"

    worked = rig.report(HEALTH, admit=Admit.ALWAYS_TRIAL)
    assert worked.ok
    assert worked.breaker_state == "closed"


def test_one_endpoint_does_not_block_another(rig_of: RigOf) -> None:
    """B-44, X-26."""
    rig = opened_rig(rig_of, [says(200, JOB_BODY)])
    assert rig.report(CREATE).ok


def test_a_dead_host_holds_every_route(rig_of: RigOf) -> None:
    """B-44: the host's breaker, fed by what never left and by 502, 503, 504."""
    rig = rig_of([fails(httpx.ConnectError)] * 5)
    for operation in (HEALTH, BALANCE, CREATE, CALL, COMPLETE):
        rig.report(operation, max_retries=0)

    assert rig.report(SINGLE).error is E.BREAKER_HELD
    assert len(rig.gateway.requests) == 5


def test_a_rate_limit_of_one_team_is_not_the_hosts_fault(rig_of: RigOf) -> None:
    """X-28: 429 counts for its own team and route only."""
    rig = rig_of([detail(429, "x")] * 5 + [HEALTHY])
    for _ in range(5):
        rig.report(BALANCE, max_retries=0)

    assert rig.report(BALANCE).error is E.BREAKER_HELD
    assert rig.report(HEALTH).ok


def test_refusals_never_open_it(rig_of: RigOf) -> None:
    """S-113, X-23."""
    rig = rig_of([detail(401, "x")] * 20)
    for _ in range(20):
        assert rig.report(BALANCE).error is E.AUTH_FAILED


def test_our_own_congestion_never_opens_it(rig_of: RigOf) -> None:
    """B-14, B-45."""
    rig = rig_of([fails(httpx.PoolTimeout)] * 10)
    for _ in range(10):
        assert rig.report(HEALTH, max_retries=0).error is E.POOL_EXHAUSTED


def test_two_clients_share_a_store() -> None:
    store = MemoryBreakerStore()
    first = SyncRig([detail(500, "x")] * 5, breakers=store)
    for _ in range(5):
        first.report(HEALTH, max_retries=0)

    assert SyncRig([], breakers=store).report(HEALTH).error is E.BREAKER_HELD
    assert set(store.rows()) == {breaker_key("gw.example", "acme", "GET", "/health")}


def test_without_a_store_nothing_is_held(rig_of: RigOf) -> None:
    rig = rig_of([detail(500, "x")] * 9, breakers=None)
    for _ in range(9):
        assert rig.report(HEALTH, max_retries=0).error is E.SERVER_ERROR


class CountingStore(MemoryBreakerStore):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def load(self, key: str) -> BreakerRow:
        self.calls.append("load")
        return super().load(key)

    def swap(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool:
        self.calls.append("swap")
        return super().swap(key, seen, new)


def test_a_healthy_call_asks_the_store_twice_and_writes_nothing(rig_of: RigOf) -> None:
    store = CountingStore()
    rig_of([HEALTHY], breakers=store).report(HEALTH)
    assert store.calls == ["load", "load"]


class Interrupted(BaseException):
    """What Ctrl-C and a cancelled task are to the client."""


def test_an_interrupted_trial_gives_its_place_back(rig_of: RigOf) -> None:
    """B-70: the half-open slot is released and the interruption goes on."""

    def interrupt() -> Scene:
        raise Interrupted

    rig = opened_rig(rig_of, [interrupt, HEALTHY])
    rig.time.elapsed_s += 61
    with pytest.raises(Interrupted):
        rig.report(HEALTH)

    assert rig.report(HEALTH).ok


def test_the_host_key_is_what_the_host_breaker_is_stored_under(rig_of: RigOf) -> None:
    store = MemoryBreakerStore()
    rig_of([fails(httpx.ConnectError)], breakers=store).report(HEALTH, max_retries=0)
    assert store.rows()[host_key("gw.example")].failures == 1
