"""What hooks hear of a call, and that they break none."""

import logging
from collections.abc import Callable, Iterator

import httpx
import pytest

from apiclient import (
    AttemptEvent,
    BreakerState,
    CallReport,
    Hooks,
    Operation,
    RetryEvent,
    Transition,
    operations,
)
from tests.apiclient.fakes import (
    KEY,
    AsyncRig,
    Rig,
    Scene,
    SyncRig,
    detail,
    fails,
    says,
)

BALANCE: Operation[object] = operations.balance("acme")
GOOD = says(200, {"team_id": "acme", "credits_remaining": 5, "status": "active"})
DOWN = detail(500, "Internal server error")

Make = Callable[..., Rig]


@pytest.fixture(params=[SyncRig, AsyncRig], ids=["sync", "async"])
def rig(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def forever(scene: Callable[[], Scene]) -> Iterator[Callable[[], Scene]]:
    while True:
        yield scene


class Heard:
    def __init__(self) -> None:
        self.attempts: list[AttemptEvent] = []
        self.retries: list[RetryEvent] = []
        self.results: list[CallReport[object]] = []
        self.changes: list[Transition] = []
        self.hooks = Hooks(
            on_attempt=self.attempts.append,
            on_retry=self.retries.append,
            on_result=self.results.append,
            on_breaker=self.changes.append,
        )


def test_hooks_hear_every_attempt_retry_and_result(rig: Make) -> None:
    """B-74: under OpenTelemetry's names."""
    heard = Heard()
    made = rig([DOWN, GOOD], hooks=heard.hooks)

    made.report(BALANCE)

    assert [each.attributes for each in heard.attempts] == [
        {
            "http.request.method": "GET",
            "url.template": "/api/credits/teams/{team_id}/balance",
            "server.address": "gw.example",
            "http.response.status_code": 500,
            "error.type": "server_error",
        },
        {
            "http.request.method": "GET",
            "url.template": "/api/credits/teams/{team_id}/balance",
            "server.address": "gw.example",
            "http.request.resend_count": 1,
            "http.response.status_code": 200,
        },
    ]
    assert [(each.wait_s, each.failed.attempt.number) for each in heard.retries] == [
        (1.0, 1)
    ]
    assert [each.ok for each in heard.results] == [True]


def test_a_retry_names_the_host_that_failed(rig: Make) -> None:
    """B-74, B-24: not the first one, once another has been asked."""
    heard = Heard()
    refused = fails(httpx.ConnectError, "refused")
    made = rig(
        [refused, DOWN, GOOD],
        hooks=heard.hooks,
        fallback_urls=["https://two.example"],
    )

    made.report(BALANCE)

    hosts = [each.failed.host for each in heard.retries]
    assert hosts == [each.host for each in heard.attempts[:2]]
    assert hosts == ["gw.example", "two.example"]


def test_a_hook_hears_of_the_breaker(rig: Make) -> None:
    """B-49, B-74."""
    heard = Heard()
    made = rig(forever(DOWN), hooks=heard.hooks)
    for _ in range(2):
        made.report(BALANCE)

    assert [each.after for each in heard.changes] == [BreakerState.OPEN]


def test_a_hook_that_raises_breaks_nothing(
    rig: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """B-74: it is logged."""

    def broken(event: object) -> None:
        raise RuntimeError("the hook's own fault")

    hooks = Hooks(broken, broken, broken, broken)
    made = rig([DOWN, GOOD], hooks=hooks)

    with caplog.at_level(logging.ERROR, "apiclient"):
        assert made.report(BALANCE).ok

    assert {record.message for record in caplog.records} == {"hook.failed"}


def test_no_hook_is_told_the_key(rig: Make) -> None:
    """B-74, B-80."""
    heard = Heard()
    made = rig([detail(401, f"bad key {KEY}")], hooks=heard.hooks)
    made.report(BALANCE)

    assert KEY not in repr((heard.attempts, heard.results))
