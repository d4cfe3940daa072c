"""What every client can be given besides its address and key."""

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import TypedDict
from urllib.parse import urlsplit

import httpx

from apiclient.addresses import AddressCheck, address_check
from apiclient.base_url import BaseURL, parse_base_url
from apiclient.breaker import BreakerPolicy, BreakerStore
from apiclient.completions import CompletionStore
from apiclient.events import Hooks
from apiclient.metrics import Metrics
from apiclient.operations import NAMES
from apiclient.retry import RetryPolicy
from apiclient.stores import RetryBudget

CONNECT_TIMEOUT_S = 5.0
_LEAST = {"max_connections": 1, "connect_timeout_s": 0.001, "max_body_bytes": 1}
_WHOLE = frozenset({"max_connections", "max_body_bytes"})


class Options(TypedDict, total=False):
    """Everything has the guide's default.

    `breakers` is the store to share (None: no breaker; left out: one of its own).
    `retry_budget` bounds retries per host (left out: it does not). `completions` keeps
    what could not be sent of jobs' ends. `fallback_urls` are other base URLs of the same
    gateway, tried in turn when one cannot be reached or answers 503; they get the key,
    too. `proxy` is the URL of an HTTP proxy: the environment's is never used.
    `max_connections` (10) are as many calls as are under way at once; a stream is one,
    and with asyncio each event loop has as many.
    `timeouts_s` overrides the seconds of one attempt by operation name. `address_check`
    replaces the policy that `allow_private` chooses. `clock` is monotonic, `now` the
    aware UTC time, `draw` a number on [0, 1), `new_id` a fresh request id.
    """

    retry: RetryPolicy
    retry_budget: RetryBudget | None
    breakers: BreakerStore | None
    breaker_policy: BreakerPolicy
    hooks: Hooks
    fallback_urls: Sequence[str | BaseURL]
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    allow_private: bool
    address_check: AddressCheck
    fresh_connections: bool
    max_connections: int
    connect_timeout_s: float
    timeouts_s: Mapping[str, float]
    max_body_bytes: int
    metrics: Metrics
    completions: CompletionStore
    clock: Callable[[], float]
    now: Callable[[], datetime]
    draw: Callable[[], float]
    new_id: Callable[[], str]


def check(options: Options) -> None:
    """Raise for what would be passed over in silence, or hold up every call.

    A name that is no option is a TypeError, as for any function; a value is a ValueError.
    """
    if unknown := options.keys() - Options.__annotations__.keys():
        known = ", ".join(sorted(Options.__annotations__))
        raise TypeError(f"no option is called {_listed(unknown)}; there are {known}")
    if unknown := options.get("timeouts_s", {}).keys() - NAMES:
        known = ", ".join(sorted(NAMES))
        raise ValueError(
            f"timeouts_s names {_listed(unknown)}; operations are called {known}"
        )
    for name, least in _LEAST.items():
        value = options.get(name, least)
        fits = isinstance(value, int | float) and value >= least
        if not fits or (name in _WHOLE and not isinstance(value, int)):
            kind = "whole number" if name in _WHOLE else "number"
            raise ValueError(f"{name}={value!r} is no {kind} from {least:g} on")
    _check_proxy(options.get("proxy"))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))


def _check_proxy(proxy: str | None) -> None:
    """Refuse what is no proxy's URL, unshown: it may hold a password."""
    if proxy is None:
        return
    with suppress(ValueError):
        parts = urlsplit(proxy)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return
    raise ValueError("the proxy must be http://host:port or https://host:port")


def bases_of(base_url: str | BaseURL, options: Options) -> tuple[BaseURL, ...]:
    """Return the base URLs in their order; raises ValueError for what is none."""
    given = (base_url, *options.get("fallback_urls", ()))
    return tuple(
        each if isinstance(each, BaseURL) else parse_base_url(each) for each in given
    )


@cache
def default_ssl_context() -> ssl.SSLContext:
    """Return the one context of this process: loading the CA bundle takes 25 ms."""
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Who answers with a prime of ten thousand bits has OpenSSL reckon for a second, in one
    # call, whatever the deadline. No browser speaks these any more.
    kept = (each["name"] for each in context.get_ciphers() if each["kea"] != "kx-dhe")
    context.set_ciphers(":".join(kept))
    return context


def checks_addresses(options: Options) -> AddressCheck:
    return options.get("address_check") or address_check(
        allow_private=options.get("allow_private", True)
    )


def ssl_context_for(
    bases: Sequence[BaseURL], options: Options
) -> ssl.SSLContext | None:
    """Return the context to use; plain http needs none and pays for none."""
    given = options.get("ssl_context")
    if given is None and any(base.scheme == "https" for base in bases):
        return default_ssl_context()
    return given
