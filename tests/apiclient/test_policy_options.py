"""What a client can be given besides the guide's defaults, for both kinds of client."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from apiclient import (
    AsyncClient,
    AuthenticationError,
    BreakerState,
    CircuitOpenError,
    Client,
    ErrorClass,
    Operation,
    RetryBudget,
    RetryPolicy,
    operations,
)
from tests.apiclient.fakes import (
    JOB,
    START,
    AsyncRig,
    FakeTime,
    Rig,
    Scene,
    SyncRig,
    detail,
    fails,
    says,
)

E = ErrorClass
BALANCE: Operation[object] = operations.balance("acme")
HEALTH: Operation[object] = operations.health()
CREATE: Operation[object] = operations.create_job("acme", "chat")
GOOD = says(200, {"team_id": "acme", "credits_remaining": 5, "status": "active"})
FINE = says(200, {"status": "healthy"})
DOWN = detail(500, "Internal server error")
UNAVAILABLE = detail(503, "maintenance")
REFUSED = fails(httpx.ConnectError, "refused")

Make = Callable[..., Rig]


@pytest.fixture(params=[SyncRig, AsyncRig], ids=["sync", "async"])
def rig(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def hosts(rig: Rig) -> list[str]:
    return [each.url.host for each in rig.gateway.requests]


def forever(scene: Callable[[], Scene]) -> Iterator[Callable[[], Scene]]:
    while True:
        yield scene


# Failover


TWO: dict[str, object] = {"fallback_urls": ["https://b.example/api/"]}


@pytest.mark.parametrize("away", [REFUSED, UNAVAILABLE])
def test_another_base_url_is_tried_when_the_first_is_away(
    rig: Make, away: Callable[[], Scene]
) -> None:
    """S-63, B-24: after what never left and after 503; at once; who answered is told."""
    made = rig([away, GOOD], **TWO)

    report = made.report(BALANCE)

    assert report.ok
    assert hosts(made) == ["gw.example", "b.example"]
    assert made.gateway.requests[1].headers["host"] == "b.example"
    assert report.host == "b.example"
    assert sum(made.time.waits) == 0


@pytest.mark.parametrize(
    "scene", [DOWN, fails(httpx.ReadTimeout), detail(403, "no"), detail(429, "slow")]
)
def test_other_failures_stay_with_their_host(
    rig: Make, scene: Callable[[], Scene]
) -> None:
    """B-24: whoever answered, or may have, is asked again."""
    made = rig([scene, scene, scene, scene, GOOD], **TWO)

    made.report(BALANCE, max_retries=1)

    assert set(hosts(made)) == {"gw.example"}


def test_the_choice_holds_for_the_call_only(rig: Make) -> None:
    """B-24: sticky for the call; the next call begins with the first again."""
    made = rig([REFUSED, DOWN, GOOD, GOOD], **TWO)

    made.report(BALANCE)
    made.report(BALANCE)

    assert hosts(made) == ["gw.example", "b.example", "b.example", "gw.example"]


def test_an_open_breaker_of_the_first_host_leads_to_the_second(rig: Make) -> None:
    """B-24: one breaker per host, and the trial brings the first back."""
    made = rig([*[REFUSED, GOOD] * 5, GOOD, GOOD], **TWO)
    for _ in range(5):
        made.report(BALANCE)
    asked = len(hosts(made))

    assert made.report(BALANCE).ok
    made.time.elapsed_s += 100
    assert made.report(BALANCE).ok

    assert hosts(made)[asked:] == ["b.example", "gw.example"]


def test_with_all_hosts_away_the_last_error_stands(rig: Make) -> None:
    made = rig(forever(REFUSED), **TWO)

    report = made.report(BALANCE)

    assert report.error is E.CONNECT_FAILED
    assert len(report.attempts) == 4


def test_a_fallback_url_is_checked_when_it_is_given() -> None:
    with pytest.raises(ValueError, match="http"):
        Client(base_url="https://gw.example", fallback_urls=["ftp://b.example"])


# The retry budget


def test_a_host_that_is_down_costs_little_more_than_one_attempt_a_call(
    rig: Make,
) -> None:
    """B-15: a hundred failing calls are not four hundred attempts."""
    made = rig(forever(DOWN), retry_budget=RetryBudget(), breakers=None)

    reports = [made.report(BALANCE) for _ in range(100)]

    assert len(made.gateway.requests) <= 106
    assert reports[-1].retries_suppressed
    assert reports[-1].error is E.SERVER_ERROR  # the real error, not the budget's


def test_successes_earn_retries_back(rig: Make) -> None:
    """B-15."""
    budget = RetryBudget()
    made = rig([*[DOWN] * 20, *[GOOD] * 75, DOWN, GOOD], retry_budget=budget)
    for _ in range(20):
        made.report(BALANCE, max_retries=0)
        made.time.elapsed_s += 700
    for _ in range(75):
        made.report(BALANCE)

    assert made.report(BALANCE).ok


def test_one_hosts_failures_spend_no_other_hosts_budget() -> None:
    budget = RetryBudget(tokens=4)
    made = SyncRig(forever(DOWN), retry_budget=budget, breakers=None)
    made.report(HEALTH)
    other = SyncRig(
        [DOWN, FINE], retry_budget=budget, breakers=None, base_url="https://c.example"
    )

    assert other.report(HEALTH).ok


def test_without_a_budget_every_call_may_retry(rig: Make) -> None:
    made = rig(forever(DOWN), breakers=None)

    for _ in range(5):
        made.report(BALANCE)

    assert len(made.gateway.requests) == 20


# Headers


def test_each_post_has_one_key_for_all_its_attempts(rig: Make) -> None:
    """B-20, B-21: and the attempt's number, and the same bytes."""
    made = rig([DOWN, DOWN, says(200, {"job_id": JOB, "status": "PENDING"})])

    made.report(CREATE)

    sent = made.gateway.requests
    assert len({each.headers["idempotency-key"] for each in sent}) == 1
    assert [each.headers.get("x-attempt") for each in sent] == [None, "2", "3"]
    assert len({each.content for each in sent}) == 1


def test_two_calls_have_two_keys(rig: Make) -> None:
    """B-20."""
    made = rig([says(200, {"job_id": JOB, "status": "PENDING"})] * 2)
    made.report(CREATE)
    made.report(CREATE)

    first, second = made.gateway.requests
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_the_same_completion_has_the_same_key(rig: Make) -> None:
    """B-20: whoever sends it, it is one completion."""
    made = rig([says(200, {"job_id": JOB, "status": "COMPLETED"})])
    made.report(operations.complete_job(JOB, "completed"))

    assert made.gateway.requests[0].headers["idempotency-key"] == f"{JOB}:completed"


# Stale reads


def read(made: Rig, operation: Operation[object]) -> object:
    reading = made.client.read(operation)
    return asyncio.run(reading) if asyncio.iscoroutine(reading) else reading


def test_a_read_may_fall_back_to_its_last_good_answer_marked(rig: Make) -> None:
    """S-12, S-67: stale=True, as_of, and why."""
    made = rig([GOOD, detail(401, "expired")])
    fresh = read(made, BALANCE)
    made.time.elapsed_s += 60

    old = read(made, BALANCE)

    assert (fresh.stale, fresh.as_of, fresh.error) == (False, START, None)  # type: ignore[attr-defined]
    assert (old.stale, old.as_of, old.value) == (True, START, fresh.value)  # type: ignore[attr-defined]
    assert isinstance(old.error, AuthenticationError)  # type: ignore[attr-defined]


def test_without_a_last_answer_the_error_is_raised(rig: Make) -> None:
    """S-12: never silently."""
    with pytest.raises(AuthenticationError):
        read(rig([detail(401, "expired")]), BALANCE)


def test_what_is_no_read_has_no_last_answer(rig: Make) -> None:
    """S-12: never for writes."""
    made = rig([])

    with pytest.raises(ValueError, match="create_job"):
        read(made, CREATE)
    assert made.gateway.requests == []


# Forced breakers


def test_a_forced_breaker_holds_one_route(rig: Make) -> None:
    """B-49."""
    made = rig([FINE])
    made.client.force_breaker(BreakerState.FORCED_OPEN, BALANCE)

    with pytest.raises(CircuitOpenError):
        made.run(BALANCE)
    assert made.report(HEALTH).ok


def test_a_forced_host_holds_all_until_it_is_let_go(rig: Make) -> None:
    """B-49."""
    made = rig([FINE])
    made.client.force_breaker(BreakerState.FORCED_OPEN)
    assert made.report(HEALTH).error is E.BREAKER_HELD

    made.client.force_breaker(None)

    assert made.report(HEALTH).ok


def test_a_client_without_breakers_has_none_to_force(rig: Make) -> None:
    with pytest.raises(ValueError, match="no breakers"):
        rig([], breakers=None).client.force_breaker(BreakerState.FORCED_OPEN)


# Many at once


def test_sixteen_threads_count_exactly() -> None:
    """B-71."""
    time = FakeTime()
    client = Client(
        base_url="https://gw.example",
        transport=httpx.MockTransport(
            lambda _: httpx.Response(200, json={"status": "ok"})
        ),
        clock=time.clock,
        now=time.now,
    )

    def work() -> None:
        for _ in range(50):
            client.health()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stats = client.get_stats()
    assert (stats["total_requests"], stats["total_errors"]) == (800, 0)


def cancelled_at(step: int) -> tuple[bool, int, bool]:
    """Cancel a call that is a half-open trial after `step` turns of the loop."""
    time = FakeTime()
    scenes = iter([500] * 5 + [200] * 2)
    open_requests = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal open_requests
        open_requests += 1
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return httpx.Response(next(scenes), json={"status": "ok"})
        finally:
            open_requests -= 1

    async def main() -> tuple[bool, bool]:
        client = AsyncClient(
            base_url="https://gw.example",
            transport=httpx.MockTransport(answer),
            sleep=time.sleep_async,
            clock=time.clock,
            now=time.now,
            retry=RetryPolicy(max_retries=0),
        )
        for _ in range(5):
            await client.report(HEALTH)
        time.elapsed_s += 100
        trial = asyncio.ensure_future(client.report(HEALTH))
        for _ in range(step):
            await asyncio.sleep(0)
        finished = trial.done()
        trial.cancel()
        await asyncio.wait({trial})
        assert finished or trial.cancelled()
        return finished, (await client.report(HEALTH)).ok

    finished, next_is_sent = asyncio.run(main())
    return finished, open_requests, next_is_sent


def test_cancelled_at_any_point_a_call_gives_its_trial_back() -> None:
    """B-70, B-45: the cancellation is passed on, and the next call may be the trial."""
    for step in range(1, 50):
        finished, open_requests, next_is_sent = cancelled_at(step)
        assert open_requests == 0
        assert next_is_sent, step
        if finished:
            break
    else:
        pytest.fail("the call never came to its end")
    assert step > 2


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("timeout", 30, "no option is called 'timeout'; there are address_check,"),
        ("max_retries", 0, "no option is called 'max_retries'"),
        (
            "timeouts_s",
            {"chat_stream": 9},
            "timeouts_s names 'chat_stream'; operations",
        ),
        ("max_connections", 0, "max_connections=0 is no whole number from 1 on"),
        ("max_connections", 2.5, "max_connections=2.5 is no whole number"),
        ("max_connections", None, "max_connections=None is no whole number"),
        ("connect_timeout_s", -1.0, "connect_timeout_s=-1.0 is no number from 0.001"),
        ("connect_timeout_s", float("nan"), "connect_timeout_s=nan"),
        ("max_body_bytes", 0, "max_body_bytes=0 is no whole number"),
        ("proxy", "proxy.example:3128", "the proxy must be http://host:port"),
        (
            "proxy",
            "socks5://u:hidden-password@h:1",
            "the proxy must be http://host:port",
        ),
        ("proxy", "http://[::1:9", "the proxy must be http://host:port"),
    ],
)
def test_what_a_client_would_pass_over_is_refused(
    client: type[Client] | type[AsyncClient], name: str, value: object, told: str
) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises((TypeError, ValueError), match=re.escape(told)) as raised:
        client(base_url="https://gw.example", **options)

    assert "hidden-password" not in str(raised.value)
