"""Sockets for httpcore that keep to the deadline of the exchange they serve.

httpcore hands a timeout to the network backend exactly as it came with the request. So
our timeouts are floats that know their exchange: each connect, read and write is cut to
what is left of it, and leaves its time there. A server that drips a byte at a time,
or sends 1xx answers for ever, thereby ends at the deadline.
"""

import os
import select
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from apiclient.addresses import AddressCheck, Resolver, ResolverBusyError
from apiclient.report import Phases


class AddressRefusedError(httpcore.ConnectError):
    """The name leads to no address that may be connected to."""


class TLSFailedError(httpcore.ConnectError):
    """The certificate or the handshake is wrong."""


class Exchange:
    """The clock of one request on the wire: its deadline, and when each phase ended.

    `deadline` and all moments are seconds of `clock`, which is monotonic.
    """

    __slots__ = (
        "began",
        "clock",
        "connected",
        "deadline",
        "ended",
        "first_byte",
        "secured",
        "sent",
    )

    def __init__(self, clock: Callable[[], float], timeout_s: float) -> None:
        self.clock = clock
        self.deadline = clock() + timeout_s
        self.began: float | None = None
        self.connected: float | None = None
        self.secured: float | None = None
        self.sent: float | None = None
        self.first_byte: float | None = None
        self.ended: float | None = None

    @property
    def reused(self) -> bool:
        """Whether the request went out on a connection that was already there."""
        return self.connected is None and self.sent is not None

    def begin_again(self) -> None:
        """Forget a try on a connection that the server had already closed."""
        self.began = self.connected = self.secured = self.sent = self.first_byte = None

    def latency_s(self) -> float:
        """Return the seconds from the first connect or write to the end."""
        ended = self.clock() if self.ended is None else self.ended
        return 0.0 if self.began is None else max(ended - self.began, 0.0)

    def phases(self) -> Phases:
        ended = self.clock() if self.ended is None else self.ended
        return Phases(
            connect_s=_between(self.began, self.connected),
            tls_s=_between(self.connected, self.secured),
            first_byte_s=_between(self.sent, self.first_byte),
            body_s=_between(self.first_byte, ended),
        )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(end - start, 0.0)


class Budget(float):
    """A timeout in seconds that knows its exchange."""

    __slots__ = ("exchange",)
    exchange: Exchange

    @classmethod
    def of(cls, seconds: float, exchange: Exchange) -> "Budget":
        budget = cls(seconds)
        budget.exchange = exchange
        return budget


def _clamp(
    timeout: float | None, expired: type[httpcore.TimeoutException]
) -> tuple[float, Exchange]:
    """Return the seconds that are left, and the exchange; raise `expired` at zero."""
    if not isinstance(timeout, Budget):
        raise TypeError("the request came without the timeouts of an Exchange")
    exchange = timeout.exchange
    left_s = min(float(timeout), exchange.deadline - exchange.clock())
    if left_s <= 0:
        raise expired("the deadline passed")
    return left_s, exchange


def _short(error: BaseException) -> str:
    """Return what the operating system or OpenSSL says, without its file and line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS error").replace("_", " ").lower()
    if isinstance(error, socket.gaierror):
        return error.strerror or "unknown name"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


class SocketStream(httpcore.NetworkStream):
    """A socket whose every wait is clamped."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s, exchange = _clamp(timeout, httpcore.ReadTimeout)
        try:
            self._socket.settimeout(left_s)
            chunk = self._socket.recv(max_bytes)
        except TimeoutError:
            raise httpcore.ReadTimeout("no answer in time") from None
        except OSError as error:
            raise httpcore.ReadError(_short(error)) from error
        if exchange.first_byte is None and chunk:
            exchange.first_byte = exchange.clock()
        return chunk

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            left_s, exchange = _clamp(timeout, httpcore.WriteTimeout)
            if exchange.began is None:
                exchange.began = exchange.clock()
            exchange.sent = exchange.clock()
            try:
                self._socket.settimeout(left_s)
                buffer = buffer[self._socket.send(buffer) :]
            except TimeoutError:
                raise httpcore.WriteTimeout("the request was not taken") from None
            except OSError as error:
                raise httpcore.WriteError(_short(error)) from error
            exchange.sent = exchange.clock()

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s, exchange = _clamp(timeout, httpcore.ConnectTimeout)
        try:
            # Python holds the whole handshake to the socket's timeout.
            self._socket.settimeout(left_s)
            secured = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname
            )
        except TimeoutError:
            self.close()
            raise httpcore.ConnectTimeout("the TLS handshake took too long") from None
        except ssl.SSLError as error:
            self.close()
            raise TLSFailedError(_short(error)) from error
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(f"TLS handshake: {_short(error)}") from error
        exchange.secured = exchange.clock()
        return SocketStream(secured)

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
            case "is_readable":
                return _is_readable(self._socket)
            case "socket":
                return self._socket
            case _:
                return None


def _is_readable(sock: socket.socket) -> bool:
    """Return whether an idle connection has something to say: it was closed, mostly."""
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class SocketBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, each look-up and connect clamped."""

    def __init__(self, check: AddressCheck, resolver: Resolver) -> None:
        self._check = check
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left_s, exchange = _clamp(timeout, httpcore.ConnectTimeout)
        exchange.began = exchange.clock()
        until = exchange.began + left_s
        try:
            found = self._resolver.look_up(host, port, left_s)
        except (ResolverBusyError, OSError, UnicodeError) as error:
            raise lookup_failure(error) from None
        addresses = allowed(found, self._check)
        sock = _connected(addresses, port, until, exchange.clock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange.connected = exchange.clock()
        return SocketStream(sock)


def _connected(
    addresses: list[str], port: int, until: float, clock: Callable[[], float]
) -> socket.socket:
    """Return a socket to the first address that answers; each gets its share of time."""
    failure: OSError | None = None
    for index, address in enumerate(addresses):
        left_s = until - clock()
        if left_s <= 0:
            break
        try:
            return socket.create_connection(
                (address, port), timeout=left_s / (len(addresses) - index)
            )
        except OSError as error:
            failure = error
    if failure is None or isinstance(failure, TimeoutError):
        raise httpcore.ConnectTimeout("no connection in time")
    raise httpcore.ConnectError(_short(failure)) from failure


def allowed(found: list[str], check: AddressCheck) -> list[str]:
    """Return the addresses that may be connected to, or raise AddressRefusedError."""
    reasons = {address: check(address) for address in found}
    good = [address for address, reason in reasons.items() if reason is None]
    if not good:
        address, reason = next(iter(reasons.items()), ("", "the name has no address"))
        raise AddressRefusedError(f"{address} is refused: {reason}")
    return good


def lookup_failure(error: Exception) -> Exception:
    """Return what a failed look-up is to httpcore."""
    if isinstance(error, ResolverBusyError):
        return httpcore.PoolTimeout("too many name look-ups are stuck")
    if isinstance(error, TimeoutError):
        return httpcore.ConnectTimeout("the name look-up took too long")
    return httpcore.ConnectError(f"name look-up failed: {_short(error)}")


class AsyncSocketStream(httpcore.AsyncNetworkStream):
    """The same promises over httpcore's own async stream, whose waits are total."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s, exchange = _clamp(timeout, httpcore.ReadTimeout)
        try:
            chunk = await self._stream.read(max_bytes, timeout=left_s)
        except httpcore.ReadTimeout:
            raise httpcore.ReadTimeout("no answer in time") from None
        except httpcore.ReadError as error:
            raise httpcore.ReadError(_root(error)) from error
        if exchange.first_byte is None and chunk:
            exchange.first_byte = exchange.clock()
        return chunk

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        left_s, exchange = _clamp(timeout, httpcore.WriteTimeout)
        if exchange.began is None:
            exchange.began = exchange.clock()
        exchange.sent = exchange.clock()
        try:
            await self._stream.write(buffer, timeout=left_s)
        except httpcore.WriteTimeout:
            raise httpcore.WriteTimeout("the request was not taken") from None
        except httpcore.WriteError as error:
            raise httpcore.WriteError(_root(error)) from error
        exchange.sent = exchange.clock()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left_s, exchange = _clamp(timeout, httpcore.ConnectTimeout)
        try:
            secured = await self._stream.start_tls(ssl_context, server_hostname, left_s)
        except httpcore.ConnectTimeout:
            raise httpcore.ConnectTimeout("the TLS handshake took too long") from None
        except httpcore.ConnectError as error:
            raise _handshake_failure(error) from error
        exchange.secured = exchange.clock()
        return AsyncSocketStream(secured)

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
    return _short(systemic[-1]) if systemic else "the connection broke"


def _handshake_failure(error: httpcore.ConnectError) -> httpcore.ConnectError:
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return TLSFailedError(_short(cause))
        if isinstance(cause, OSError):
            return httpcore.ConnectError(f"TLS handshake: {_short(cause)}")
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
        left_s, exchange = _clamp(timeout, httpcore.ConnectTimeout)
        exchange.began = exchange.clock()
        until = exchange.began + left_s
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
