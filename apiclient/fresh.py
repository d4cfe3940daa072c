"""An httpx transport that opens a connection for each request and closes it after it.

Such a request needs no pool, no locks and no state between two requests: a prober's costs
half as much as through httpcore's pool. What HTTP/1.1 is, h11 knows, as it does there.
"""

import ssl
from collections.abc import Iterator

import h11
import httpcore
import httpx

from apiclient.faults import CAUGHT, translated
from apiclient.network import SocketBackend

_READ_BYTES = 65_536
_MOST_HEAD_BYTES = 102_400
_HEADS = (h11.Response, h11.InformationalResponse)
# Interim answers; not 101, which is the last of HTTP.
_PASSED_OVER = frozenset({100, *range(102, 200)})
_PORTS = {"http": 80, "https": 443}


class FreshTransport(httpx.BaseTransport):
    """Requests need the timeouts of `transport.timeouts()` as their extension."""

    def __init__(
        self, ssl_context: ssl.SSLContext | None, backend: SocketBackend
    ) -> None:
        self._ssl_context = ssl_context
        self._backend = backend

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            dialogue = _Dialogue(self._connected(request), request)
            head = dialogue.ask(request)
        except CAUGHT as error:
            raise translated(error) from error
        return httpx.Response(
            head.status_code, headers=head.headers.raw_items(), stream=dialogue
        )

    def _connected(self, request: httpx.Request) -> httpcore.NetworkStream:
        url, timeout = request.url, request.extensions["timeout"]["connect"]
        if url.scheme not in _PORTS:
            raise httpcore.UnsupportedProtocol("only http and https are spoken")
        host = url.raw_host.decode("ascii")
        port = url.port or _PORTS[url.scheme]
        stream = self._backend.connect_tcp(host, port, timeout)
        if url.scheme == "http":
            return stream
        context = self._ssl_context or httpcore.default_ssl_context()
        context.set_alpn_protocols(["http/1.1"])
        return stream.start_tls(context, host, timeout)


class _Dialogue(httpx.SyncByteStream):
    """One request and its answer on one connection; iterated, the answer's body."""

    def __init__(self, stream: httpcore.NetworkStream, request: httpx.Request) -> None:
        self._stream = stream
        self._timeouts = request.extensions["timeout"]
        self._state = h11.Connection(
            h11.CLIENT, max_incomplete_event_size=_MOST_HEAD_BYTES
        )

    def ask(self, request: httpx.Request) -> h11.Response | h11.InformationalResponse:
        """Send the request and return the head of its answer; failing, close."""
        try:
            self._send(request)
            while True:
                event = self._event()
                if isinstance(event, _HEADS) and event.status_code not in _PASSED_OVER:
                    return event
        except BaseException:
            self.close()
            raise

    def _send(self, request: httpx.Request) -> None:
        body = request.read()
        try:
            head = h11.Request(
                method=request.method,
                target=request.url.raw_path,
                headers=request.headers.raw,
            )
            events = [head, *([h11.Data(body)] if body else []), h11.EndOfMessage()]
            said = b"".join(self._state.send(event) or b"" for event in events)
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        try:
            self._stream.write(said, self._timeouts["write"])
        except httpcore.WriteError:
            # A server may answer, and hang up, before it was told everything.
            return

    def _event(self) -> object:
        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event
            heard = self._stream.read(_READ_BYTES, self._timeouts["read"])
            if not heard and self._state.their_state is h11.SEND_RESPONSE:
                raise httpcore.RemoteProtocolError(
                    "Server disconnected without sending a response."
                )
            self._state.receive_data(heard)

    def __iter__(self) -> Iterator[bytes]:
        try:
            while isinstance(event := self._event(), h11.Data):
                yield bytes(event.data)
        except CAUGHT as error:
            raise translated(error) from error

    def close(self) -> None:
        self._stream.close()
