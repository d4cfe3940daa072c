"""One call of a health check, by each kind of client, with little time."""

import asyncio
from collections.abc import Callable
from typing import Any

from apiclient import (
    AsyncClient,
    CallReport,
    Client,
    Operation,
    RetryPolicy,
)
from apiclient.options import Options
from tests.apiclient.calls import HEALTH

DEADLINE_S = 0.4
Ask = Callable[..., CallReport[object]]


def ask_sync(
    url: str, operation: Operation[object] = HEALTH, times: int = 1, **options: object
) -> CallReport[object]:
    settings = Options(retry=RetryPolicy(max_retries=0), breakers=None)
    settings.update(options)  # type: ignore[typeddict-item]  # a test's options
    with Client(base_url=url, **settings) as client:
        for _ in range(times - 1):
            client.report(operation, deadline_s=DEADLINE_S)
        return client.report(operation, deadline_s=DEADLINE_S)


def ask_async(
    url: str, operation: Operation[object] = HEALTH, times: int = 1, **options: object
) -> CallReport[object]:
    settings = Options(retry=RetryPolicy(max_retries=0), breakers=None)
    settings.update(options)  # type: ignore[typeddict-item]  # a test's options

    async def run() -> CallReport[object]:
        async with AsyncClient(base_url=url, **settings) as client:
            for _ in range(times - 1):
                await client.report(operation, deadline_s=DEADLINE_S)
            return await client.report(operation, deadline_s=DEADLINE_S)

    return asyncio.run(run())


def ask_fresh(url: str, *args: Any, **options: Any) -> CallReport[object]:
    """As the prober does."""
    return ask_sync(url, *args, **{"fresh_connections": True, **options})
