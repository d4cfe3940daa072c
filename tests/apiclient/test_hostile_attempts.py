"""How often a request goes out over real sockets, at which spacing, and what it charges.

The table is that of docs/client.md, "Retries", written down a second time. B-10, B-22,
S-60, S-71, S-80, B-80.
"""

import json
import logging
import re
import socket
import struct
import traceback
from collections.abc import Callable

import pytest

from apiclient import APIError, Client, Operation, RetryPolicy, operations
from tests.apiclient.asking import DEADLINE_S
from tests.apiclient.fakes import JOB, KEY
from tests.apiclient.rogue import rogue

pytestmark = pytest.mark.hostile

CHAT = [{"role": "user", "content": "Hi"}]
GET: Operation[object] = operations.balance("acme")
CREATE: Operation[object] = operations.create_job("acme", "t")
CALL: Operation[object] = operations.llm_call(JOB, model="m", messages=CHAT)
COMPLETE: Operation[object] = operations.complete_job(JOB, "completed")
CHARGED: Operation[object] = operations.create_and_call(
    "acme", "t", model="m", messages=CHAT
)
KINDS = {"GET": GET, "create": CREATE, "call": CALL, "complete": COMPLETE, "charged": CHARGED}  # fmt: skip

Fault = Callable[[socket.socket], None]


def answer(status: int, body: bytes = b'{"detail": "no"}') -> bytes:
    head = b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def says(*parts: bytes) -> Fault:
    def fault(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return fault


def resets(connection: socket.socket) -> None:
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CUT = HEAD + b"Content-Length: 99\r\n\r\n{"
# What the server does: the requests that go out of GET and create, llm-call, complete,
# and create-and-call, with two retries.
ATTEMPTS: dict[str, tuple[Fault, tuple[int, int, int, int]]] = {
    "reset": (resets, (3, 3, 3, 1)),
    "closed": (says(), (3, 3, 3, 1)),
    "cut": (says(CUT), (3, 3, 3, 1)),
    "bad chunk": (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ"), (3, 3, 3, 1)),
    "rubbish": (says(b"rubbish\r\n\r\n"), (3, 3, 3, 1)),
    "500": (says(answer(500)), (3, 3, 3, 3)),
    "500 text": (says(answer(500, b"Internal Server Error")), (3, 3, 3, 3)),
    "502 page": (says(answer(502, b"<html>bad</html>")), (3, 3, 3, 1)),
    "503 page": (says(answer(503, b"<html>down</html>")), (3, 3, 3, 3)),
    "504": (says(answer(504)), (3, 3, 3, 1)),
    "524": (says(answer(524)), (3, 3, 3, 1)),
    "429": (says(answer(429)), (3, 3, 3, 3)),
    "408": (says(answer(408)), (3, 3, 3, 1)),
    "400": (says(answer(400)), (1, 1, 1, 1)),
    "401": (says(answer(401)), (1, 1, 1, 1)),
    "404": (says(answer(404)), (1, 1, 1, 1)),
    "422": (says(answer(422)), (1, 1, 1, 1)),
    "501": (says(answer(501)), (1, 1, 1, 1)),
    "redirect": (says(answer(307)), (1, 1, 1, 1)),
    "200 page": (says(answer(200, b"<html>hello</html>")), (1, 1, 1, 1)),
    "200 NaN": (says(answer(200, b'{"status": NaN}')), (1, 1, 1, 1)),
    "200 too large": (says(HEAD + b"Content-Length: 9999999\r\n\r\n"), (1, 1, 1, 1)),
    "never 500": (
        says(answer(500, b'{"detail": "No provider credentials configured for x"}')),
        (1, 1, 1, 1),
    ),
}


def whole(connection: socket.socket) -> bytes:
    received = b""
    while True:
        head, found, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        if found and len(body) >= int(length[1] if length else 0):
            return received
        chunk = connection.recv(65536)
        if not chunk:
            raise OSError
        received += chunk


class Ledger:
    """A gateway that does `fault` to every request but a look at a job; it keeps count."""

    def __init__(self, fault: Fault, *, applies: bool = False) -> None:
        self.asked: list[str] = []
        self.charges = 0
        self._fault = fault
        self._applies = applies

    def script(self, connection: socket.socket) -> None:
        asked = whole(connection)
        line = asked.partition(b" HTTP")[0].decode()
        self.asked.append(line)
        if line.startswith("GET /api/jobs/"):
            state = "COMPLETED" if self.charges else "IN_PROGRESS"
            body = json.dumps({"job_id": JOB, "status": state}).encode()
            connection.sendall(answer(200, body))
            return
        if self._applies:
            self.charges += 1
        self._fault(connection)

    def sent(self, operation: Operation[object]) -> int:
        return self.asked.count(f"{operation.method} {operation.path}")


def client_of(url: str) -> Client:
    return Client(
        base_url=url,
        team_id="acme",
        virtual_key=KEY,
        retry=RetryPolicy(max_retries=2, base_s=0.004),
        draw=lambda: 0.5,
        breakers=None,
        max_body_bytes=100_000,
    )


ROWS = [
    pytest.param(fault, kind, (counts[0], *counts)[place], id=f"{name}-{kind}")
    for name, (fault, counts) in ATTEMPTS.items()
    for place, kind in enumerate(KINDS)
]


@pytest.mark.parametrize(("fault", "kind", "attempts"), ROWS)
def test_each_request_goes_out_as_often_as_the_table_says(
    fault: Fault, kind: str, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    operation, ledger = KINDS[kind], Ledger(fault)
    with (
        rogue(ledger.script) as server,
        client_of(server.url) as client,
        pytest.raises(APIError) as caught,
    ):
        client.run(operation)
    error = caught.value
    factor = 2 if error.status_code == 503 else 1
    waits = [0.0, 0.004 * factor, 0.008 * factor]
    shown = [str(error), repr(error), repr(error.report), repr(caplog.records)]
    shown += traceback.format_exception(error)
    shown += [repr(vars(record)) for record in caplog.records]

    assert ledger.sent(operation) == error.attempts == attempts, error
    assert [each.wait_s for each in error.report.attempts] == waits[:attempts]
    assert error.elapsed < DEADLINE_S
    assert KEY not in "".join(shown)


LOST = ["reset", "closed", "cut", "bad chunk", "rubbish", "502 page", "504", "408"]


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("kind", ["complete", "charged"])
def test_what_was_applied_is_charged_once(name: str, kind: str) -> None:
    """B-22, X-14: the answer was lost, and the job had been charged."""
    ledger = Ledger(ATTEMPTS[name][0], applies=True)
    with rogue(ledger.script) as server, client_of(server.url) as client:
        report = client.report(KINDS[kind])

    assert ledger.charges == 1
    assert report.ok == (kind == "complete")
    assert report.ambiguous == (kind == "charged")
