"""A key that is refused is renewed once, by what the caller provides."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from apiclient import (
    AuthenticationError,
    Client,
    ErrorClass,
    Operation,
    operations,
)
from tests.apiclient.fakes import (
    KEY,
    AsyncRig,
    Rig,
    Scene,
    SyncRig,
    Tape,
    detail,
    says,
)

E = ErrorClass
BALANCE: Operation[object] = operations.balance("acme")
GOOD = says(200, {"team_id": "acme", "credits_remaining": 5, "status": "active"})

Make = Callable[..., Rig]


def forever(scene: Callable[[], Scene]) -> Iterator[Callable[[], Scene]]:
    while True:
        yield scene


def with_keys(kind: type[Rig], tape: Tape, *keys: str) -> tuple[Rig, list[str]]:
    asked: list[str] = []
    supply = iter(keys)

    def provide() -> str:
        key = next(supply)
        asked.append(key)
        return key

    async def provide_async() -> str:
        return provide()

    provider = provide if kind is SyncRig else provide_async
    return kind(tape, key_provider=provider), asked


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_a_refused_key_is_renewed_once_and_then_used(kind: type[Rig]) -> None:
    """S-11: at once, and for the calls after it, too."""
    made, asked = with_keys(kind, [detail(401, "expired"), GOOD, GOOD], "sk-new-1")

    assert made.report(BALANCE, max_retries=0).ok
    assert made.report(BALANCE).ok

    sent = [each.headers["authorization"] for each in made.gateway.requests]
    assert sent == [f"Bearer {KEY}", "Bearer sk-new-1", "Bearer sk-new-1"]
    assert asked == ["sk-new-1"]
    assert made.time.waits == []


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_the_same_key_is_not_tried_again(kind: type[Rig]) -> None:
    """S-11: only when it really changed."""
    made, _ = with_keys(kind, [detail(401, "revoked")], KEY)

    assert made.report(BALANCE).error is E.AUTH_FAILED
    assert len(made.gateway.requests) == 1


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_a_second_refusal_is_the_last(kind: type[Rig]) -> None:
    """S-11: never a loop."""
    made, asked = with_keys(kind, forever(detail(401, "no")), "sk-2", "sk-3")

    assert made.report(BALANCE).error is E.AUTH_FAILED
    assert asked == ["sk-2"]


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_a_provider_that_fails_hides_nothing(kind: type[Rig]) -> None:
    """S-11: the 401 stands."""
    made, _ = with_keys(kind, [detail(401, "no")])  # its supply is empty at once

    with pytest.raises(AuthenticationError):
        made.run(BALANCE)


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_a_new_key_that_cannot_be_sent_hides_nothing_either(
    kind: type[Rig], caplog: pytest.LogCaptureFixture
) -> None:
    """S-11, B-81: read from a file, with its line break; the log says so, unshown."""
    made, _ = with_keys(kind, [detail(401, "no")], "sk-new-1\n")

    with pytest.raises(AuthenticationError):
        made.run(BALANCE)

    [refused] = [each for each in caplog.records if "key_provider" in each.message]
    assert "white space" in str(vars(refused)["reason"])
    assert "sk-new-1" not in str(vars(refused))


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_no_attempt_begins_when_the_time_is_up(kind: type[Rig]) -> None:
    """B-11: the first took all of it, and another would have none."""
    made, _ = with_keys(kind, [detail(401, "no"), GOOD], "sk-new-1")
    made.gateway.took_s = 60.0

    report = made.report(BALANCE, deadline_s=60.0)

    assert report.error is E.AUTH_FAILED
    assert len(report.attempts) == 1


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_old_and_new_key_are_both_hidden(kind: type[Rig]) -> None:
    """B-80."""
    echoes = [detail(401, KEY), detail(401, f"{KEY} and plainkey-2")]
    made, _ = with_keys(kind, echoes, "plainkey-2")

    report = made.report(BALANCE)

    assert "plainkey-2" not in repr(report)
    assert KEY not in repr(report)


def test_a_key_that_another_call_brought_is_hidden_too() -> None:
    """B-80: a call under way is sent again with it, and may hear of it."""

    def answer(request: httpx.Request) -> httpx.Response:
        key = request.headers["authorization"].removeprefix("Bearer ")
        refused = key == "plainkey-1" and "teams/other" in request.url.path
        return httpx.Response(401 if refused else 500, json={"detail": f"no {key}"})

    def call_another(_: float) -> None:
        client.report(operations.balance("other"), max_retries=0)

    client = Client(
        base_url="https://gateway.example",
        virtual_key="plainkey-1",
        key_provider=lambda: "plainkey-2",
        transport=httpx.MockTransport(answer),
        sleep=call_another,
    )

    report = client.report(BALANCE, max_retries=1)

    assert [each.detail for each in report.attempts] == ["no [hidden]"] * 2


@pytest.mark.parametrize("kind", [SyncRig, AsyncRig])
def test_other_refusals_ask_for_no_key(kind: type[Rig]) -> None:
    made, asked = with_keys(kind, [detail(403, "Team access is paused.")], "sk-2")
    made.report(BALANCE)

    assert asked == []
