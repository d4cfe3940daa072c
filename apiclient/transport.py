"""httpx transports over httpcore's public API.

No redirects, cookies, proxies or environment: those live in httpx's clients, which are
not used. One client's pool is never shared with another's, because surplus bytes of one
answer would become the next one's.
"""

import asyncio
import os
import ssl
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

import httpcore
import httpx

from apiclient.addresses import AddressCheck, Resolver
from apiclient.async_network import AsyncSocketBackend
from apiclient.exchange import Budget, Exchange
from apiclient.faults import CAUGHT, translated
from apiclient.fresh import FreshTransport
from apiclient.h11_lines import hurry_h11
from apiclient.network import SocketBackend
from apiclient.pools import AsyncPool, AsyncProxy, Pool, Proxy

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WRITE_TIMEOUT_S = 10.0
POOL_TIMEOUT_S = 2.0
# Uvicorn, as the gateway is served by, closes a connection that nobody used for 5 s. Who
# uses it at that moment gets no answer, and does not know whether he was charged.
KEPT_S = 3.0
_EARLY = "the answer was there before its question"
hurry_h11()
_RESOLVER = Resolver()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_RESOLVER.free_all)


def timeouts(
    exchange: Exchange, connect_s: float, timeout_s: float
) -> dict[str, float]:
    """Return httpx's `timeout` extension; each value knows its exchange."""
    connect_s = min(connect_s, timeout_s)
    return {
        "connect": Budget.of(connect_s, exchange),
        "read": Budget.of(timeout_s, exchange),
        "write": Budget.of(min(WRITE_TIMEOUT_S, timeout_s), exchange),
        "pool": Budget.of(min(POOL_TIMEOUT_S, connect_s), exchange),
    }


class _Pool(TypedDict):
    """What httpcore's pools of both kinds are given alike."""

    ssl_context: ssl.SSLContext | None
    max_connections: int
    max_keepalive_connections: int
    keepalive_expiry: float


def wire_transport(
    ssl_context: ssl.SSLContext | None,
    check: AddressCheck,
    *,
    fresh_connections: bool = False,
    max_connections: int = 10,
    proxy: str | None = None,
) -> httpx.BaseTransport:
    """Return the transport of a client; only its own requests go through it."""
    if fresh_connections and proxy is None:
        return FreshTransport(ssl_context, SocketBackend(check, _RESOLVER))
    return WireTransport(
        ssl_context,
        check,
        fresh_connections=fresh_connections,
        max_connections=max_connections,
        proxy=proxy,
    )


class WireTransport(httpx.BaseTransport):
    """A pool of connections of one client.

    With `fresh_connections` each request opens its own. Requests need the timeouts of
    `timeouts()` as their extension. Through a `proxy` only the proxy's own address is
    checked: it is the one that looks the gateway up.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None,
        check: AddressCheck,
        *,
        fresh_connections: bool = False,
        max_connections: int = 10,
        proxy: str | None = None,
    ) -> None:
        options = _Pool(
            ssl_context=ssl_context,
            max_connections=max_connections,
            max_keepalive_connections=0 if fresh_connections else max_connections,
            keepalive_expiry=KEPT_S,
        )
        backend = SocketBackend(check, _RESOLVER)
        self._make: Callable[[], Pool] = (
            partial(Pool, network_backend=backend, **options)
            if proxy is None
            else partial(Proxy, proxy, network_backend=backend, **options)
        )
        self._pool = self._make()
        self._process = os.getpid()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raw = _raw(request)
        if self._process != os.getpid():
            # After a fork the old connections are the parent's, too. The process is noted
            # last: a second thread must not take them meanwhile.
            self._pool, self._process = self._make(), os.getpid()
        while True:
            try:
                response = self._pool.handle_request(raw)
                if _came_early(request):
                    response.close()
                    raise httpcore.RemoteProtocolError(_EARLY)
            except CAUGHT as error:
                if _was_stale(request, error):
                    continue
                raise translated(error) from error
            assert isinstance(response.stream, Iterable)
            return httpx.Response(
                response.status, headers=response.headers, stream=_Body(response.stream)
            )

    def close(self) -> None:
        self._pool.close()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the requests of one event loop get their connections, and the door to it."""

    pool: AsyncPool
    door: asyncio.Lock

    async def handed_over(
        self, request: httpx.Request, raw: httpcore.Request
    ) -> httpcore.Response:
        exchange, door, pool = _exchange_of(request), self.door, self.pool
        if exchange is None:
            return await pool.handle_async_request(raw)
        await _enter(door, request.extensions["timeout"], exchange)
        exchange.on_begin = door.release
        try:
            return await pool.handle_async_request(raw)
        finally:
            if exchange.on_begin is not None:
                exchange.on_begin = None
                pool.unmake()
                door.release()


class AsyncWireTransport(httpx.AsyncBaseTransport):
    """The same for asyncio.

    Requests are handed to the pool one by one, each until it has its connection: the pool
    offers an idle one to all that come before it is taken, and of ten calls at once each
    would be turned away three times.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None,
        check: AddressCheck,
        *,
        fresh_connections: bool = False,
        max_connections: int = 10,
        proxy: str | None = None,
    ) -> None:
        options = _Pool(
            ssl_context=ssl_context,
            max_connections=max_connections,
            max_keepalive_connections=0 if fresh_connections else max_connections,
            keepalive_expiry=KEPT_S,
        )
        backend = AsyncSocketBackend(check, _RESOLVER)
        self._make: Callable[[], AsyncPool] = (
            partial(AsyncPool, network_backend=backend, **options)
            if proxy is None
            else partial(AsyncProxy, proxy, network_backend=backend, **options)
        )
        # A connection is of use in its own loop only; many threads may each run one.
        self._places: dict[asyncio.AbstractEventLoop, _Place] = {}

    def _place(self) -> _Place:
        loop = asyncio.get_running_loop()
        place = self._places.get(loop)
        if place is None:
            for ended in [each for each in list(self._places) if each.is_closed()]:
                self._places.pop(ended, None)
            place = self._places[loop] = _Place(self._make(), asyncio.Lock())
        return place

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raw, place = _raw(request), self._place()
        while True:
            try:
                response = await place.handed_over(request, raw)
                if _came_early(request):
                    await response.aclose()
                    raise httpcore.RemoteProtocolError(_EARLY)
            except CAUGHT as error:
                if _was_stale(request, error):
                    continue
                raise translated(error) from error
            assert isinstance(response.stream, AsyncIterable)
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=_AsyncBody(response.stream),
            )

    async def aclose(self) -> None:
        """Close the connections of the running loop; those of one that ended are dead."""
        place = self._places.pop(asyncio.get_running_loop(), None)
        if place is not None:
            await place.pool.aclose()


async def _enter(
    door: asyncio.Lock, timeouts: dict[str, float], exchange: Exchange
) -> None:
    """Wait for the door, and take that off the time for a connection.

    Who is in the door leaves it when its own time is up, so nobody waits for longer.
    """
    until = exchange.clock() + timeouts["pool"]
    await door.acquire()
    timeouts["pool"] = Budget.of(max(until - exchange.clock(), 0.0), exchange)


def _raw(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _exchange_of(request: httpx.Request) -> Exchange | None:
    budget = request.extensions.get("timeout", {}).get("read")
    return budget.exchange if isinstance(budget, Budget) else None


def _came_early(request: httpx.Request) -> bool:
    """Return whether the answer was left over from the one before: nothing was read.

    A server that is out of step would thereby answer each request with the last one's.
    """
    exchange = _exchange_of(request)
    return exchange is not None and exchange.reused and exchange.first_byte is None


def _was_stale(request: httpx.Request, error: Exception) -> bool:
    """Return whether a kept connection was closed under us before it said a word.

    A safe request is then sent again at once: every such try uses up one connection, so
    there is an end. Others are left to the retry policy.
    """
    exchange = _exchange_of(request)
    if request.method not in _SAFE_METHODS or exchange is None:
        return False
    broken = isinstance(
        error, httpcore.ReadError | httpcore.WriteError | httpcore.RemoteProtocolError
    )
    if not broken or not exchange.reused or exchange.first_byte is not None:
        return False
    exchange.begin_again()
    return True


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except CAUGHT as error:
            raise translated(error) from error

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except CAUGHT as error:
            raise translated(error) from error

    async def aclose(self) -> None:
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()
