"""Compare the client with raw httpx and others, paired, with an A/A control. Not a test.

    python -m tests.bench.bench_client [rounds]

One process asks a keep-alive server in another process by each variant in random order. The
ratio is the median time of a variant over the median of raw `httpx.Client.get` + `.json()`;
"raw httpx again" is the control and shows the noise. tenacity, stamina, pybreaker and openai
are measured where they are installed (`pip install tenacity stamina pybreaker openai`). Then
come many calls at once, the decoder of streams, and what needs no server.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import httpx

from apiclient import (
    Admit,
    BreakerPolicy,
    BreakerState,
    Client,
    MemoryBreakerStore,
    operations,
)
from apiclient.gate import Gate
from tests.apiclient.rogue import OK_BODY
from tests.bench.at_once import at_once
from tests.bench.bodies import bomb_mib, decoded
from tests.bench.others import wrapped
from tests.bench.serving import serving

_ROUNDS = 2000
_WARM_UP = 100


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS
    with serving() as url:
        times = _paired({**_variants(url), **wrapped(url)}, rounds)
    base_us = statistics.median(times["raw httpx"])
    _line("variant", "median us", "x raw httpx")
    for name, taken in times.items():
        median_us = statistics.median(taken)
        _line(name, f"{median_us:.1f}", f"{median_us / base_us:.3f}")
    with serving() as url:
        for name, ratio in at_once(url):
            _line(name, "", f"{ratio:.3f}")
    for name, mb_s in decoded():
        _line(name, f"{mb_s:.0f} MB/s", "")
    _line("memory for a gzip bomb of 256 MiB", f"{bomb_mib():.1f} MiB", "")
    _line("layer around a transport that answers at once", f"{_layer_us():.1f}", "")
    _line("a whole call held by an open breaker", f"{_held_us():.1f}", "")
    _line("the open breaker's refusal alone", f"{_refusal_us():.1f}", "")


def _variants(url: str) -> dict[str, Callable[[], object]]:
    raw = httpx.Client(trust_env=False)
    ours = Client(base_url=url)
    fresh = Client(base_url=url, fresh_connections=True)
    health = operations.health()
    path = f"{url}/health"

    def raw_fresh() -> object:
        with httpx.Client(trust_env=False, verify=False) as client:  # noqa: S501  # http
            return client.get(path).json()

    return {
        "raw httpx": lambda: raw.get(path).json(),
        "raw httpx again": lambda: raw.get(path).json(),
        "apiclient report": lambda: ours.report(health),
        "apiclient run": lambda: ours.run(health),
        "raw httpx, new client each": raw_fresh,
        "apiclient report, fresh connection": lambda: fresh.report(health),
    }


def _paired(
    variants: dict[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants)
    for number in range(rounds + _WARM_UP):
        random.shuffle(order)
        for name in order:
            began = time.perf_counter()
            variants[name]()
            taken = (time.perf_counter() - began) * 1e6
            if number >= _WARM_UP:
                times[name].append(taken)
    return times


class _Instant(httpx.BaseTransport):
    """Answers without a network, with a response made beforehand."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(OK_BODY))


def _layer_us() -> float:
    transport = _Instant()
    client = Client(base_url="http://gw.example", transport=transport)
    health = operations.health()
    request = httpx.Request("GET", "http://gw.example/health")
    ours = _each_us(lambda: client.report(health))
    return ours - _each_us(lambda: transport.handle_request(request))


def _held_us() -> float:
    class Broken(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

    client = Client(
        base_url="http://gw.example", transport=Broken(), breakers=MemoryBreakerStore()
    )
    health = operations.health()
    for _ in range(5):
        with suppress(httpx.HTTPError):
            client.report(health, max_retries=0)
    return _each_us(lambda: client.report(health))


def _refusal_us() -> float:
    gate = Gate(MemoryBreakerStore(), BreakerPolicy(), lambda: 0.0, lambda: 0.5)
    gate.force("host", BreakerState.FORCED_OPEN)
    return _each_us(lambda: gate.admit(("host",), Admit.NORMAL))


def _each_us(call: Callable[[], object], count: int = 20_000) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - began) / count)
    return best * 1e6


def _line(*cells: str) -> None:
    sys.stdout.write(f"{cells[0]:<48}{cells[1]:>12}{cells[2]:>14}\n")


if __name__ == "__main__":
    main()
