"""The asyncio server: sockets and HTTP framing around a `Gateway`."""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote

import h11

from dashboard.simulator.answers import Answer, detail
from dashboard.simulator.control import PREFIX, Control
from dashboard.simulator.delivery import Wire
from dashboard.simulator.faults import FaultKind
from dashboard.simulator.gateway import Gateway, Outcome
from dashboard.simulator.requests import Request

MOST_BODY_BYTES = 1 << 20
READ_BYTES = 1 << 16
# The real server drops a connection that is idle this long.
KEEP_ALIVE_S = 5.0
_LISTEN_LOOK_S = 0.05
_BROKEN = Answer(
    status=400,
    body=b"Invalid HTTP request received.",
    content_type="text/plain; charset=utf-8",
)


def utc_now() -> datetime:
    """Return the wall clock's time: the default at the edge."""
    return datetime.now(UTC)  # noqa: TID251 - the one place that names the clock


class Server:
    """Listens on one address; a `refuse` fault takes the listening away and back.

    Start and stop it in one event loop. After `stop` no task and no socket is left.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        now: Callable[[], datetime] = utc_now,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.gateway = gateway
        self.host = host
        self.port = port
        self._now = now
        self._keep_alive_s = keep_alive_s
        self._control = Control(gateway)
        self._listener: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._door = asyncio.Lock()
        self._count = 0

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. OSError when the address is taken or not ours."""
        self._placeholder = self._bound()
        self.port = self._placeholder.getsockname()[1]
        await self._listen()
        self._keeper = asyncio.create_task(self._keep_listening())

    async def stop(self) -> None:
        """End all connections, without waiting for answers that are on their way."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._refuse(hold_port=False)

    async def look_at_faults(self) -> None:
        """Listen or refuse, as the faults have it now."""
        async with self._door:
            refuses = any(
                one.fault.kind is FaultKind.REFUSE for one in self.gateway.faults()
            )
            if refuses and self._listener is not None:
                await self._refuse(hold_port=True)
            elif not refuses and self._listener is None:
                await self._listen()

    async def _keep_listening(self) -> None:
        while True:
            await asyncio.sleep(_LISTEN_LOOK_S)
            await self.look_at_faults()

    async def _listen(self) -> None:
        sock = self._placeholder or self._bound()
        self._placeholder = None
        self._listener = await asyncio.start_server(
            self._connected, sock=sock, backlog=1024
        )

    async def _refuse(self, *, hold_port: bool) -> None:
        """Close the door and every connection; keep the port by a mute socket."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None
        if hold_port:
            self._placeholder = self._bound()
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if listener is not None:
            await listener.wait_closed()

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
        except OSError:
            sock.close()
            raise
        return sock

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._connections[task] = writer
        self._count += 1
        try:
            await self._converse(reader, writer, self._count)
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            # The peer left, idled, or we stop: each ends this connection and no more.
            writer.transport.abort()
        finally:
            del self._connections[task]
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        conn = h11.Connection(h11.SERVER)
        wire = Wire(conn, reader, writer, now=self._now, stands=self.gateway.stands)
        address = writer.get_extra_info("peername")
        if address is None:
            # It left before we could ask who it was.
            return
        while True:
            try:
                request = await self._receive(conn, reader, writer)
            except h11.RemoteProtocolError:
                await wire.deliver(Outcome(_BROKEN), head_only=False)
                return
            if request is None:
                return
            outcome = self._outcome(request, str(address[0]), number)
            again = await wire.deliver(outcome, head_only=request.method == "HEAD")
            if not again or conn.our_state is not h11.DONE:
                return
            if conn.their_state is not h11.DONE:
                return
            conn.start_next_cycle()

    def _outcome(self, request: Request, peer: str, number: int) -> Outcome:
        if len(request.body) > MOST_BODY_BYTES:
            return Outcome(detail(413, "Request Entity Too Large"))
        if request.path.startswith(PREFIX):
            return Outcome(self._control.handle(request, peer))
        return self.gateway.handle(request, connection=number)

    async def _receive(
        self,
        conn: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Request | None:
        """Return the next request whole, or None when the client has left."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = conn.next_event()
            if event is h11.NEED_DATA:
                if conn.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    writer.write(conn.send(go_on) or b"")
                async with asyncio.timeout(self._keep_alive_s):
                    conn.receive_data(await reader.read(READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                if len(body) <= MOST_BODY_BYTES:
                    body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body))
            else:
                return None


def is_loopback(host: str) -> bool:
    """Tell whether an address reaches this machine only. ValueError if it is none."""
    return ip_address(host).is_loopback


def _request(head: h11.Request, body: bytes) -> Request:
    path, _, query = head.target.decode("latin-1").partition("?")
    return Request(
        method=head.method.decode("ascii"),
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={k.decode("latin-1"): v.decode("latin-1") for k, v in head.headers},
        body=body,
    )
