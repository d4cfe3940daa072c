"""Which addresses may be connected to, and name look-ups that keep to a deadline."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

AddressCheck = Callable[[str], str | None]
"""Given a numeric address, returns why it is refused, or None."""

# What hands a machine its credentials.
_METADATA = tuple(
    ip_network(text)
    for text in (
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::/32",
        "fd00:42::42",
        "fd00:a9fe:a9fe::/48",
        "fd20:ce::/64",
    )
)
# Forms of IPv6 that carry an IPv4 address in their last 32 bits: compatible, translated,
# and NAT64 with the well-known prefix.
_CARRIERS = tuple(
    ip_network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
# NAT64 with the local prefix carries one in any of these bytes (RFC 6052), as long as the
# network has chosen its prefix.
_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
_PLACES = ((12, 13, 14, 15), (9, 10, 11, 12), (7, 9, 10, 11), (6, 7, 9, 10))
# Everything else of IPv6 is reserved, site-local or a network's own.
_GLOBAL_UNICAST = ip_network("2000::/3")
# Special purposes that Python 3.11 does not know: protocol assignments, relays of 6to4,
# documentation.
_SPECIAL = tuple(
    ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")
)
_MOST_LOOKUPS = 32  # a name server that hangs may hold so many threads, never more
_POLL_S = 0.01


@lru_cache(maxsize=1000)
def check_address(text: str, *, allow_private: bool) -> str | None:
    """Return why the numeric address `text` is refused, or None when it is allowed.

    Metadata services, link-local and multicast addresses are refused always; private,
    loopback and other addresses that are not public unless `allow_private`. An IPv4
    address inside an IPv6 one is judged as itself.
    """
    for address in _readings(ip_address(text.partition("%")[0])):
        if any(address in network for network in _METADATA):
            return "it is a cloud metadata service"
        if address.is_link_local:
            return "it is a link-local address"
        if address.is_multicast:
            return "it is a multicast address"
        if not allow_private and not _is_public(address):
            return "it is a private or loopback address"
    return None


def _readings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return what an address may mean: itself, or those inside it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address in _LOCAL_NAT64:
        packed = address.packed
        return [address, *(IPv4Address(bytes(packed[n] for n in p)) for p in _PLACES)]
    return [_unwrapped(address)]


def _unwrapped(address: IPv6Address) -> IPv4Address | IPv6Address:
    inner = address.ipv4_mapped or address.sixtofour
    # :: and ::1 are addresses of their own.
    if int(address) > 1 and any(address in carrier for carrier in _CARRIERS):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        inner = address.teredo[1]
    return inner or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in _SPECIAL)


def address_check(*, allow_private: bool) -> AddressCheck:
    return partial(check_address, allow_private=allow_private)


class ResolverBusyError(Exception):
    """No look-up more may run, or no thread more can begin: our own congestion."""


class Resolver:
    """Looks names up in threads of its own, since a look-up cannot be interrupted.

    A name that is being looked up is waited for, not asked for again: one whose server
    hangs would soon hold all the threads, and no other name be found.
    """

    def __init__(self, most: int = _MOST_LOOKUPS) -> None:
        self._most = most
        self.free_all()

    def free_all(self) -> None:
        """Give all permits back: after a fork their threads are in the parent."""
        self._free = threading.BoundedSemaphore(self._most)
        self._latest: dict[tuple[str, int], Future[list[str]]] = {}

    def look_up(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Return the numeric addresses of `host`, in the resolver's order.

        Raises TimeoutError, ResolverBusyError, or OSError when there are none.
        """
        if literal := _literal(host):
            return [literal]
        until = time.monotonic() + timeout_s
        future = self._under_way(host, port)
        if future is None:
            if not self._free.acquire(timeout=max(timeout_s, 0.0)):
                raise ResolverBusyError
            future = self._begin(host, port)
        return future.result(timeout=max(until - time.monotonic(), 0.0))

    async def look_up_async(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Do the same without holding up the event loop."""
        if literal := _literal(host):
            return [literal]
        until = time.monotonic() + timeout_s
        while (future := self._under_way(host, port)) is None:
            if self._free.acquire(blocking=False):
                future = self._begin(host, port)
                break
            if time.monotonic() >= until:
                raise ResolverBusyError
            await asyncio.sleep(_POLL_S)
        async with asyncio.timeout(max(until - time.monotonic(), 0.0)):
            return await asyncio.wrap_future(future)

    def _under_way(self, host: str, port: int) -> "Future[list[str]] | None":
        future = self._latest.get((host, port))
        return None if future is None or future.done() else future

    def _begin(self, host: str, port: int) -> "Future[list[str]]":
        future: Future[list[str]] = Future()
        # Running it cannot be cancelled by one of those who wait for it.
        future.set_running_or_notify_cancel()
        self._latest[host, port] = future
        try:
            threading.Thread(
                target=self._run,
                args=(future, host, port),
                daemon=True,
                name="resolver",
            ).start()
        except RuntimeError:  # the machine has no thread left
            self._forget(future, host, port)
            raise ResolverBusyError from None
        return future

    def _run(self, future: "Future[list[str]]", host: str, port: int) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001  # or all would wait for it for ever
            future.set_exception(error)
        else:
            future.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        finally:
            self._forget(future, host, port)

    def _forget(self, future: "Future[list[str]]", host: str, port: int) -> None:
        """Keep nothing of a look-up: what it raised holds those who waited, and their keys."""
        if self._latest.get((host, port)) is future:
            self._latest.pop((host, port), None)
        self._free.release()


@lru_cache(maxsize=1000)
def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        return None
