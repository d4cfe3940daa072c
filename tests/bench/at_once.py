"""Many calls in flight: one client of ours against one shared httpx pool."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx

from apiclient import AsyncClient, Client, operations

_CALLS = 300
_ROUNDS = 7


def at_once(url: str) -> Iterator[tuple[str, float]]:
    """Yield a name and the ratio of our wall time to httpx's, medians over rounds."""
    for flight in (1, 10, 100):
        yield f"sync, {flight} in flight", _threads(url, flight)
        yield f"asyncio, {flight} in flight", asyncio.run(_tasks(url, flight))


def _threads(url: str, flight: int) -> float:
    path, health = f"{url}/health", operations.health()
    limits = httpx.Limits(max_connections=flight, max_keepalive_connections=flight)
    with (
        httpx.Client(trust_env=False, limits=limits, timeout=30) as raw,
        Client(base_url=url) as ours,
        ThreadPoolExecutor(flight) as pool,
    ):

        def wave(call: Callable[[int], object]) -> float:
            began = time.perf_counter()
            list(pool.map(call, range(_CALLS)))
            return time.perf_counter() - began

        return _ratio(
            [
                (wave(lambda _: ours.run(health)), wave(lambda _: raw.get(path).json()))
                for _ in range(_ROUNDS)
            ]
        )


async def _tasks(url: str, flight: int) -> float:
    path, health = f"{url}/health", operations.health()
    limits = httpx.Limits(max_connections=flight, max_keepalive_connections=flight)

    async def wave(call: Callable[[], Awaitable[object]]) -> float:
        left = iter(range(_CALLS))

        async def work() -> None:
            for _ in left:
                await call()

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(flight)))
        return time.perf_counter() - began

    async with (
        httpx.AsyncClient(trust_env=False, limits=limits, timeout=30) as raw,
        AsyncClient(base_url=url) as ours,
    ):
        pairs = [
            (await wave(lambda: ours.run(health)), await wave(lambda: raw.get(path)))
            for _ in range(_ROUNDS)
        ]
    return _ratio(pairs)


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return statistics.median(ours / raw for ours, raw in pairs[1:])
