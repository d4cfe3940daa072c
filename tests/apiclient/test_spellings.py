"""C-06: however an address is spelled, a private or metadata one is not reached.

What a spelling means is decided by the resolver, so every case goes the whole way: the
base URL's check, the look-up and the check of what is about to be connected to.
"""

import socket

import pytest

from apiclient import CallReport, Client, ErrorClass, Operation, RetryPolicy, operations
from tests.apiclient.rogue import OK, rogue, sends

pytestmark = pytest.mark.hostile
HEALTH: Operation[object] = operations.health()

LOOPBACK = [
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "172.16.0.1",
    "100.64.0.1",
    "[fd00::1]",
    "[fec0::1]",
    "private.example",
    "mixed-up.example",
]
METADATA = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "100.100.100.200",
    "metadata.example",
]
NUMBERS = [
    "127.1",
    "127.0.1",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "10.1",
    "0xa.1",
    "3232235777",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.169.254.",
]
UNREADABLE = [
    *NUMBERS,
    "[::1%lo]",
    "[::1%25lo]",
    "user@127.0.0.1",
    "good.example@127.0.0.1",
    "good.example\\@127.0.0.1",
    "good.example#@127.0.0.1",
    "good.example?@127.0.0.1",
    "127.0.0.1%00.example",
    "127.0.0.1 .example",
    "127.0.0.1\n.example",
    "[::1].example",
    "127..1",
    "\u24db\u24deocalhost\u0000",
]
NAMES = {
    "private.example": ["10.0.0.7"],
    "mixed-up.example": ["::ffff:192.168.0.1", "127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
}


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the example names their addresses; the rest is the system's own resolver."""
    real = socket.getaddrinfo

    def fake(
        host: str, port: int, *hints: int, **more: int
    ) -> list[tuple[object, ...]]:
        found = NAMES.get(host)
        if found is None:
            return list(real(host, port, *hints, **more))
        return [(2, 1, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", fake)


def report(url: str, *, allow_private: bool = False) -> CallReport[object]:
    with Client(
        base_url=url,
        allow_private=allow_private,
        retry=RetryPolicy(max_retries=0),
        breakers=None,
    ) as client:
        return client.report(HEALTH, deadline_s=2.0)


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_private_address_is_not_reached_by_any_spelling(host: str) -> None:
    with rogue(sends(OK)) as server:
        answer = report(f"http://{host}:{server.port}")

        assert server.connections == 0
    assert answer.error in {ErrorClass.CONFIG, ErrorClass.CONNECT_FAILED}
    assert not answer.ok


@pytest.mark.parametrize("host", METADATA)
@pytest.mark.parametrize("allow_private", [False, True])
def test_a_metadata_service_is_refused_always(host: str, allow_private: bool) -> None:  # noqa: FBT001
    answer = report(f"http://{host}", allow_private=allow_private)

    assert answer.error in {ErrorClass.CONFIG, ErrorClass.CONNECT_FAILED}
    if answer.error is ErrorClass.CONFIG:
        assert "is refused" in answer.detail


@pytest.mark.parametrize("host", UNREADABLE)
def test_what_two_readers_would_read_differently_is_no_address(host: str) -> None:
    with pytest.raises(ValueError, match="the base URL"):
        report(f"http://{host}:8000")


def test_an_allowed_private_address_is_reached() -> None:
    with rogue(sends(OK)) as server:
        assert report(server.url, allow_private=True).ok


def test_a_name_that_changes_is_judged_by_what_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: one look-up for each connection, and its answer is both."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    seen: list[str] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        seen.append(address[0])
        raise ConnectionRefusedError

    def fake(host: str, port: int, **_: int) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    monkeypatch.setattr(socket, "create_connection", connect)
    first = report("http://rebinding.example")
    second = report("http://rebinding.example")

    assert seen == ["8.8.8.8"]
    assert first.error is ErrorClass.CONNECT_FAILED
    assert second.error is ErrorClass.CONFIG


def test_a_redirect_is_an_error_and_is_not_followed() -> None:
    with rogue(sends(OK)) as inner:
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {inner.url}/\r\n"
        moved = f"{head}Content-Length: 0\r\n\r\n".encode()
        with rogue(sends(moved)) as outer:
            answer = report(outer.url, allow_private=True)

        assert inner.connections == 0
    assert answer.error is ErrorClass.REDIRECT
