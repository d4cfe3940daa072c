"""The listening socket of the web server."""

import socket
import struct
import sys

import pytest

from dashboard.management.address import STALLED_S, Bind, listen


@pytest.mark.skipif(sys.platform != "linux", reason="connections inherit it on Linux")
@pytest.mark.parametrize("option", [socket.SO_RCVTIMEO, socket.SO_SNDTIMEO])
def test_a_connection_that_stands_still_is_given_up(option: int) -> None:
    """C-20: else a few strangers who say half of a request hold all threads for ever."""
    server, bound = listen(Bind("127.0.0.1", 0))
    with server, socket.create_connection((bound.host, bound.port)):
        connection, _ = server.accept()
        with connection:
            limit = connection.getsockopt(socket.SOL_SOCKET, option, 16)

    assert struct.unpack("ll", limit) == (STALLED_S, 0)
