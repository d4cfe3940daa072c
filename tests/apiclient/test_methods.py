"""Each method of both clients asks what it is named after."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from apiclient import AsyncClient, Client, NotFoundError
from tests.apiclient.fakes import JOB

CHAT = [{"role": "user", "content": "Hi"}]
# The method, its arguments, and the request that it is short for.
ASKS: Mapping[str, tuple[tuple[object, ...], dict[str, object], str]] = {
    "health": ((), {}, "GET /health"),
    "get_team": ((), {}, "GET /api/teams/acme"),
    "list_teams": ((), {}, "GET /api/teams"),
    "balance": ((), {}, "GET /api/credits/teams/acme/balance"),
    "team_transactions": ((), {}, "GET /api/credits/teams/acme/transactions"),
    "team_usage": (("2026-03",), {}, "GET /api/teams/acme/usage"),
    "check_credits": ((3,), {}, "POST /api/credits/teams/acme/check"),
    "create_job": (("chat",), {"user_id": "u"}, "POST /api/jobs/create"),
    "get_job": ((JOB,), {}, f"GET /api/jobs/{JOB}"),
    "complete_job": ((JOB, "completed"), {}, f"POST /api/jobs/{JOB}/complete"),
    "llm_call": (
        (JOB,),
        {"model": "m", "messages": CHAT},
        f"POST /api/jobs/{JOB}/llm-call",
    ),
    "create_and_call": (
        ("chat",),
        {"model": "m", "messages": CHAT},
        "POST /api/jobs/create-and-call",
    ),
}

# Streams and job blocks have tests of their own.
OTHERS = {
    "run",
    "report",
    "get_stats",
    "metrics",
    "report_stream",
    "chat_stream",
    "create_and_call_stream",
    "job",
    "read",
    "team_id",
    "force_breaker",
    "send_completions",
}


class Gone:
    """A gateway that knows nothing, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(404, json={"detail": "not here"})


@pytest.mark.parametrize("name", ASKS)
def test_a_method_asks_its_endpoint(name: str) -> None:
    arguments, named, request = ASKS[name]
    gateway = Gone()

    with (
        Client(
            base_url="https://gw.example",
            team_id="acme",
            virtual_key="sk-1",
            transport=httpx.MockTransport(gateway),
        ) as client,
        pytest.raises(NotFoundError),
    ):
        getattr(client, name)(*arguments, **named)

    assert gateway.asked == [request]


@pytest.mark.parametrize("name", ASKS)
def test_the_async_method_asks_the_same(name: str) -> None:
    arguments, named, request = ASKS[name]
    gateway = Gone()

    async def ask() -> None:
        async with AsyncClient(
            base_url="https://gw.example",
            team_id="acme",
            virtual_key="sk-1",
            transport=httpx.MockTransport(gateway),
        ) as client:
            await getattr(client, name)(*arguments, **named)

    with pytest.raises(NotFoundError):
        asyncio.run(ask())

    assert gateway.asked == [request]


def test_no_method_is_left_out() -> None:
    for client, closing in ((Client, "close"), (AsyncClient, "aclose")):
        public = {name for name in vars(client) if not name.startswith("_")}
        assert public - {*OTHERS, closing} == set(ASKS)
