"""Blocking sockets for httpcore that keep to the deadline of their exchange."""

import os
import select
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import httpcore

from apiclient.addresses import AddressCheck, Resolver, ResolverBusyError
from apiclient.exchange import Exchange, clamp

T = TypeVar("T")
_Left = Callable[[], float]
"""Returns the seconds that are left, and raises when there are none."""

_PIECE_BYTES = 65_536


class AddressRefusedError(httpcore.ConnectError):
    """The name leads to no address that may be connected to."""


class TLSFailedError(httpcore.ConnectError):
    """The certificate or the handshake is wrong."""


def short(error: BaseException) -> str:
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


def certificate_expiry(secured: ssl.SSLSocket | ssl.SSLObject) -> float | None:
    """Return when the server's certificate ends, in seconds since the epoch."""
    try:
        certificate = secured.getpeercert()  # empty when it was not verified
    except (ssl.SSLError, UnicodeError):  # a name in it that Python cannot read
        return None
    until = certificate.get("notAfter") if certificate else None
    return float(ssl.cert_time_to_seconds(until)) if isinstance(until, str) else None


class SocketStream(httpcore.NetworkStream):
    """A socket whose every wait is clamped."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        exchange = clamp(timeout, httpcore.ReadTimeout)[1]
        try:
            chunk = self._received(max_bytes, _left(timeout, httpcore.ReadTimeout))
        except TimeoutError:
            raise httpcore.ReadTimeout("no answer in time") from None
        except OSError as error:
            raise httpcore.ReadError(short(error)) from error
        if exchange.first_byte is None and chunk:
            exchange.first_byte = exchange.clock()
        return chunk

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        exchange = clamp(timeout, httpcore.WriteTimeout)[1]
        if exchange.began is None:
            exchange.began = exchange.clock()
        exchange.sent = exchange.clock()
        self._note(exchange)
        try:
            self._send(buffer, _left(timeout, httpcore.WriteTimeout))
        except TimeoutError:
            raise httpcore.WriteTimeout("the request was not taken") from None
        except OSError as error:
            raise httpcore.WriteError(short(error)) from error
        exchange.sent = exchange.clock()

    def _received(self, max_bytes: int, left: _Left) -> bytes:
        self._socket.settimeout(left())
        return self._socket.recv(max_bytes)

    def _send(self, data: bytes, left: _Left) -> None:
        while data:
            self._socket.settimeout(left())
            data = data[self._socket.send(data) :]

    def _note(self, exchange: Exchange) -> None:
        """Note what is known of the connection."""

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s, exchange = clamp(timeout, httpcore.ConnectTimeout)
        until = exchange.clock() + left_s
        try:
            secured = TLSStream(self._socket, ssl_context, server_hostname)
            # All its turns together have the time of one wait.
            secured.shake_hands(lambda: _left_until(until, exchange.clock))
        except TimeoutError:
            self.close()
            raise httpcore.ConnectTimeout("the TLS handshake took too long") from None
        except ssl.SSLError as error:
            self.close()
            raise TLSFailedError(short(error)) from error
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(f"TLS handshake: {short(error)}") from error
        exchange.secured = exchange.clock()
        return secured

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "is_readable":
                return _is_readable(self._socket)
            case "socket":
                return self._socket
            case _:
                return None


class TLSStream(SocketStream):
    """TLS over a socket, whose every wait is clamped.

    OpenSSL is handed what comes piece by piece. Left alone with the socket it reads on for
    as long as a server sends what is no data, whatever the deadline.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, host: str | None
    ) -> None:
        super().__init__(sock)
        self._heard, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._heard, self._said, server_hostname=host)
        self._expires: float | None = None

    def shake_hands(self, left: _Left) -> None:
        self._driven(self._tls.do_handshake, left)
        self._expires = certificate_expiry(self._tls)

    def _received(self, max_bytes: int, left: _Left) -> bytes:
        try:
            return self._driven(partial(self._tls.read, max_bytes), left)
        except ssl.SSLEOFError:
            return b""

    def _send(self, data: bytes, left: _Left) -> None:
        while data:
            data = data[self._driven(partial(self._tls.write, data), left) :]

    def _driven(self, act: Callable[[], T], left: _Left) -> T:
        """Do what takes several turns: say what OpenSSL has to say, hear the next piece."""
        while True:
            try:
                done = act()
            except ssl.SSLWantReadError:
                self._say(left)
            except ssl.SSLError:
                with suppress(OSError):  # why, to a peer that may have left
                    self._say(left)
                raise
            else:
                self._say(left)
                return done
            if piece := super()._received(_PIECE_BYTES, left):
                self._heard.write(piece)
            else:
                self._heard.write_eof()

    def _say(self, left: _Left) -> None:
        super()._send(self._said.read(), left)

    def _note(self, exchange: Exchange) -> None:
        exchange.certificate_expires = self._expires

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._tls
            case "is_readable" if self._heard.pending or self._tls.pending():
                return True
            case _:
                return super().get_extra_info(info)


def _left(timeout: float | None, expired: type[httpcore.TimeoutException]) -> _Left:
    """Return what tells the seconds that are left, and raises `expired` at zero."""
    return lambda: clamp(timeout, expired)[0]


def _left_until(until: float, clock: Callable[[], float]) -> float:
    left_s = until - clock()
    if left_s <= 0:
        raise TimeoutError
    return left_s


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
        left_s, exchange = clamp(timeout, httpcore.ConnectTimeout)
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
    raise httpcore.ConnectError(short(failure)) from failure


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
    return httpcore.ConnectError(f"name look-up failed: {short(error)}")
