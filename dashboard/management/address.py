"""The address that `--bind` names, taken before anything else is done."""

import contextlib
import errno
import ipaddress
import socket
import struct
import sys
import time
from dataclasses import dataclass

from dashboard.management.edge import UsageError

# A supervisor that was just killed leaves its port free some moments later.
RETRY_S = 1.5
# For so long a connection may stand still in the middle of a request or its answer.
STALLED_S = 15


@dataclass(frozen=True, slots=True)
class Bind:
    """Where the web server listens; port 0 means any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Bind":
        """Return the address in `text`, or refuse it with one sentence."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isascii() and port.isdigit()):
            raise UsageError(f"--bind {text!r} is not HOST:PORT; write 127.0.0.1:8000.")
        if int(port) > 65535:
            raise UsageError(f"--bind {text!r}: the port must be at most 65535.")
        return cls(host, int(port))

    @property
    def is_wildcard(self) -> bool:
        """Say whether it means all addresses of the machine."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_unspecified
        return False

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine itself reaches it."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False

    @property
    def reachable_host(self) -> str:
        """Return a host by which this machine itself reaches the server."""
        if self.is_wildcard:
            return "::1" if ":" in self.host else "127.0.0.1"
        return self.host

    @property
    def url(self) -> str:
        host = self.reachable_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def listen(bind: Bind) -> tuple[socket.socket, Bind]:
    """Return a listening socket and the address it got; refuse a port in use."""
    deadline_s = time.monotonic() + RETRY_S
    while True:
        try:
            return _listen(bind)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                why = error.strerror or error
                raise UsageError(
                    f"--bind {bind.host}:{bind.port}: cannot listen there ({why}); name "
                    "an address of this machine and a port that you may use."
                ) from None
            if time.monotonic() >= deadline_s:
                raise UsageError(
                    f"--bind {bind.host}:{bind.port}: the port is in use; stop what "
                    f"listens there, or choose another, as {bind.host}:{bind.port + 1}."
                ) from None
        time.sleep(0.1)


def _bound_waits(server: socket.socket) -> None:
    """Let no thread wait for a visitor that says nothing, or takes nothing, for long.

    Every connection inherits it from the listening socket; gunicorn sets no such limit.
    """
    if sys.platform == "linux":
        whole = struct.pack("ll", STALLED_S, 0)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, whole)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, whole)


def _listen(bind: Bind) -> tuple[socket.socket, Bind]:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bound_waits(server)
        server.bind((bind.host, bind.port))
        server.listen(512)
    except OSError:
        server.close()
        raise
    return server, Bind(bind.host, server.getsockname()[1])
