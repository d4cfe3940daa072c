"""asyncio sockets for httpcore that keep to the deadline of their exchange."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
from anyio import CancelScope

from apiclient.addresses import AddressCheck, Resolver, ResolverBusyError
from apiclient.exchange import clamp
from apiclient.network import (
    TLSFailedError,
    allowed,
    certificate_expiry,
    lookup_failure,
    short,
)


class AsyncSocketStream(httpcore.AsyncNetworkStream):
    """The same promises over httpcore's own async stream, whose waits are total."""

    def __init__(
        self, stream: httpcore.AsyncNetworkStream, expires: float | None = None
    ) -> None:
        self._stream = stream
        self._expires = expires

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s, exchange = clamp(timeout, httpcore.ReadTimeout)
        try:
            chunk = await self._stream.read(max_bytes, timeout=left_s)
        except httpcore.ReadTimeout:
            raise httpcore.ReadTimeout("no answer in time") from None
        except httpcore.ReadError as error:
            raise httpcore.ReadError(_root(error)) from error
        except ssl.SSLError as error:  # anyio lets it through
            raise httpcore.ReadError(short(error)) from error
        if exchange.first_byte is None and chunk:
            exchange.first_byte = exchange.clock()
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        left_s, exchange = clamp(timeout, httpcore.WriteTimeout)
        exchange.begin()
        exchange.sent = exchange.clock()
        exchange.certificate_expires = self._expires
        try:
            await self._stream.write(buffer, timeout=left_s)
        except httpcore.WriteTimeout:
            raise httpcore.WriteTimeout("the request was not taken") from None
        except httpcore.WriteError as error:
            raise httpcore.WriteError(_root(error)) from error
        except ssl.SSLError as error:
            raise httpcore.WriteError(short(error)) from error
        exchange.sent = exchange.clock()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left_s, exchange = clamp(timeout, httpcore.ConnectTimeout)
        try:
            secured = await self._stream.start_tls(ssl_context, server_hostname, left_s)
        except asyncio.CancelledError:
            with CancelScope(shield=True):
                await self._stream.aclose()
            raise
        except httpcore.ConnectTimeout:
            raise httpcore.ConnectTimeout("the TLS handshake took too long") from None
        except httpcore.ConnectError as error:
            raise _handshake_failure(error) from error
        exchange.secured = exchange.clock()
        ssl_object = secured.get_extra_info("ssl_object")
        expires = certificate_expiry(ssl_object) if ssl_object else None
        return AsyncSocketStream(secured, expires)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < 10:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _root(error: BaseException) -> str:
    systemic = [each for each in _causes(error) if isinstance(each, OSError)]
    return short(systemic[-1]) if systemic else "the connection broke"


def _handshake_failure(error: httpcore.ConnectError) -> httpcore.ConnectError:
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return TLSFailedError(short(cause))
        if isinstance(cause, OSError):
            return httpcore.ConnectError(f"TLS handshake: {short(cause)}")
    return TLSFailedError("unexpected eof while reading")


class AsyncSocketBackend(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only, through anyio."""

    def __init__(self, check: AddressCheck, resolver: Resolver) -> None:
        self._check = check
        self._resolver = resolver
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left_s, exchange = clamp(timeout, httpcore.ConnectTimeout)
        exchange.begin()
        until = exchange.clock() + left_s
        try:
            found = await self._resolver.look_up_async(host, port, left_s)
        except (ResolverBusyError, OSError, UnicodeError) as error:
            raise lookup_failure(error) from None
        addresses = allowed(found, self._check)
        stream = await self._connected(addresses, port, until, exchange.clock)
        exchange.connected = exchange.clock()
        return AsyncSocketStream(stream)

    async def _connected(
        self, addresses: list[str], port: int, until: float, clock: Callable[[], float]
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectTimeout("no connection in time")
        for index, address in enumerate(addresses):
            left_s = until - clock()
            if left_s <= 0:
                break
            share_s = left_s / (len(addresses) - index)
            try:
                return await self._backend.connect_tcp(address, port, timeout=share_s)
            except httpcore.ConnectTimeout:
                failure = httpcore.ConnectTimeout("no connection in time")
            except httpcore.ConnectError as error:
                failure = httpcore.ConnectError(_root(error))
        raise failure
