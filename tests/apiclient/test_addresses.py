import asyncio
import gc
import socket
import threading
import time
import weakref

import pytest

from apiclient.addresses import Resolver, ResolverBusyError, check_address

ALWAYS = [
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd00:42::42",
    "fd00:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%eth0",
    "224.0.0.1",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:1:a9:fe:a9fe::",
    "64:ff9b:1:0:a9:fea9:fe00:0",
    "::a9fe:a9fe",
    "::ffff:0:a9fe:a9fe",
    "192.0.0.192",
    "2002:a9fe:a9fe::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "255.255.255.255",
    "::1",
    "::",
    "fd12::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "::127.0.0.1",
    "::ffff:0:7f00:1",
    "fec0::1",
    "3fff::1",
    "5f00::1",
    "192.0.0.8",
    "240.0.0.1",
    "198.18.0.1",
    "2002:7f00:1::1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", ALWAYS)
def test_metadata_link_local_and_multicast_are_refused_always(address: str) -> None:
    """C-06."""
    assert check_address(address, allow_private=True)
    assert check_address(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_are_a_choice(address: str) -> None:
    """C-06."""
    assert check_address(address, allow_private=True) is None
    assert check_address(address, allow_private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_ones_are_allowed(address: str) -> None:
    assert check_address(address, allow_private=False) is None


def test_a_literal_needs_no_look_up() -> None:
    assert Resolver(most=1).look_up("::1", 80, 0.0) == ["::1"]


def test_a_look_up_that_hangs_ends_at_its_time_and_only_so_many_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B-13: getaddrinfo cannot be cancelled."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(5) and [])
    resolver = Resolver(most=1)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        resolver.look_up("slow.example", 80, 0.05)
    with pytest.raises(ResolverBusyError):
        resolver.look_up("other.example", 80, 0.05)
    release.set()

    assert time.monotonic() - began < 1


def test_a_name_whose_server_hangs_keeps_no_other_from_being_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B-13: whoever asks for it again waits for the look-up that is under way."""
    release = threading.Event()

    def found(host: str, *_: object, **__: object) -> list[object]:
        if host == "slow.example":
            release.wait(5)
        return [(0, 0, 0, "", ("203.0.113.7", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    resolver = Resolver(most=2)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            resolver.look_up("slow.example", 80, 0.02)
        with pytest.raises(TimeoutError):
            asyncio.run(resolver.look_up_async("slow.example", 80, 0.02))

    assert resolver.look_up("good.example", 80, 1.0) == ["203.0.113.7"]
    assert asyncio.run(resolver.look_up_async("good.example", 80, 1.0)) == [
        "203.0.113.7"
    ]
    release.set()
    assert resolver.look_up("slow.example", 80, 1.0) == ["203.0.113.7"]


def test_of_a_look_up_that_failed_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B-13: what it raised would hold those who waited for it, with their keys."""

    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror("no such name")

    class Held:
        """Something that a caller has at hand."""

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    resolver = Resolver(most=1)

    def ask() -> weakref.ref[Held]:
        held = Held()
        with pytest.raises(socket.gaierror):
            resolver.look_up("bad.example", 80, 1.0)
        return weakref.ref(held)

    held = ask()
    for thread in threading.enumerate():
        if thread.name == "resolver":
            thread.join()
    gc.collect()
    assert held() is None


def test_a_thread_that_cannot_begin_takes_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(most=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        for _ in range(2):
            with pytest.raises(ResolverBusyError):
                resolver.look_up("localhost", 80, 0.05)

    assert resolver.look_up("localhost", 80, 5.0)
