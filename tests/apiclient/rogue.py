"""A server on loopback that does to each connection what a script says, byte by byte."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Script = Callable[[socket.socket], None]

OK_BODY = b'{"status":"healthy","service":"x"}'
OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(OK_BODY), OK_BODY)
)


class Rogue:
    """Runs one script per connection; the last one is used for all that follow."""

    def __init__(self, scripts: list[Script]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._scripts = scripts
        self._open: list[socket.socket] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._open.append(connection)
            threading.Thread(
                target=self._play, args=(script, connection), daemon=True
            ).start()

    def _play(self, script: Script, connection: socket.socket) -> None:
        try:
            script(connection)
        except OSError:
            return
        finally:
            connection.close()

    def stop(self) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join(2)


@contextmanager
def rogue(*scripts: Script) -> Iterator[Rogue]:
    server = Rogue(list(scripts))
    try:
        yield server
    finally:
        server.stop()


def request_of(connection: socket.socket) -> bytes:
    """Read one request; what is left unread would turn a close into a reset."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    while length is not None and len(body) < int(length[1]):
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    if not chunk:
        raise OSError
    return chunk


def sends(*parts: bytes, keep_open: bool = False) -> Script:
    """Answer the first request with `parts`, then close, or stay silent."""

    def script(connection: socket.socket) -> None:
        request_of(connection)
        for part in parts:
            connection.sendall(part)
        if keep_open:
            connection.settimeout(5)
            connection.recv(1)

    return script


def drips(
    head: bytes, drop: bytes, pause_s: float = 0.02, for_s: float = 5.0
) -> Script:
    """Send `head`, then `drop` again and again."""

    def script(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(head)
        pause = threading.Event()
        for _ in range(int(for_s / pause_s)):
            connection.sendall(drop)
            pause.wait(pause_s)

    return script


def resets(*parts: bytes) -> Script:
    """Send `parts`, then reset the connection instead of closing it."""

    def script(connection: socket.socket) -> None:
        request_of(connection)
        for part in parts:
            connection.sendall(part)
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    return script


def silent(connection: socket.socket) -> None:
    """Take what comes and say nothing."""
    connection.settimeout(5)
    while connection.recv(65536):
        pass


def keeps_alive(answers: int) -> Script:
    """Answer so many requests on one connection, then close it without notice."""

    def script(connection: socket.socket) -> None:
        for _ in range(answers):
            request_of(connection)
            connection.sendall(OK)

    return script


def over_tls(context: ssl.SSLContext, script: Script) -> Script:
    def secured(connection: socket.socket) -> None:
        # Else its first answer waits for its tickets to be acknowledged: 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(connection, server_side=True) as stream:
            script(stream)

    return secured
