"""The same GET through other people's resilience libraries, where they are installed."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import httpx

Call = Callable[[], object]


def wrapped(url: str) -> dict[str, Call]:
    raw = httpx.Client(trust_env=False)
    path = f"{url}/health"

    def get() -> object:
        return raw.get(path).raise_for_status().json()

    makers: dict[str, Callable[[Any, Call, str], Call]] = {
        "tenacity": _tenacity,
        "stamina": _stamina,
        "pybreaker": _pybreaker,
        "openai": _openai,
    }
    return {
        f"httpx + {name}" if name != "openai" else "openai client.get": make(
            import_module(name), get, url
        )
        for name, make in makers.items()
        if find_spec(name) is not None
    }


def _tenacity(module: Any, get: Call, url: str) -> Call:
    retried: Call = module.retry(
        stop=module.stop_after_attempt(4),
        wait=module.wait_exponential_jitter(1, 32),
        retry=module.retry_if_exception_type(httpx.HTTPError),
    )(get)
    return retried


def _stamina(module: Any, get: Call, url: str) -> Call:
    retried: Call = module.retry(on=httpx.HTTPError, attempts=4)(get)
    return retried


def _pybreaker(module: Any, get: Call, url: str) -> Call:
    breaker = module.CircuitBreaker(fail_max=5, reset_timeout=60)
    return lambda: breaker.call(get)


def _openai(module: Any, get: Call, url: str) -> Call:
    client = module.OpenAI(base_url=url, api_key="sk-none", max_retries=3)
    return lambda: client.get("/health", cast_to=object)
