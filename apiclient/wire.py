"""Requests as they go out: to any of the base URLs, with the key of the moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import httpx

from apiclient.base_url import BaseURL
from apiclient.classify import Answer, Verdict
from apiclient.exchange import Exchange
from apiclient.operations import Operation
from apiclient.redact import Secret, check_virtual_key
from apiclient.report import Streamed
from apiclient.retry import Repeat
from apiclient.steps import Look, Send, Sent, Sources
from apiclient.transport import timeouts

VERSION = "0.1.0"
_Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to be sent, and the clock that goes along with it."""

    request: httpx.Request
    exchange: Exchange
    started_at: datetime
    secrets: Callable[[], tuple[str, ...]] = tuple

    def sent(
        self,
        answer: Answer | None = None,
        fault: Verdict | None = None,
        *,
        streamed: Streamed | None = None,
        begun: bool = False,
    ) -> Sent:
        """Return what became of it, now that its exchange has ended."""
        exchange = self.exchange
        exchange.ended = exchange.clock()
        expires = exchange.certificate_expires
        return Sent(
            started_at=self.started_at,
            latency_s=exchange.latency_s(),
            answer=answer,
            fault=fault,
            phases=exchange.phases(),
            streamed=streamed,
            begun=begun,
            certificate_expires_at=(
                None
                if expires is None
                else datetime.fromtimestamp(min(expires, _LATEST), UTC)
            ),
            secrets=self.secrets(),
        )


# A certificate may end with the year 9999, which in the zones east of UTC is over by then.
_LATEST = datetime(9998, 12, 31, tzinfo=UTC).timestamp()


class Wire:
    """The base URLs and the key of one client, made into requests."""

    def __init__(
        self,
        bases: Sequence[BaseURL],
        key: str | Secret | None,
        sources: Sources,
        *,
        connect_timeout_s: float,
        measured: bool,
    ) -> None:
        self.bases = tuple(str(base) for base in bases)
        self.hosts = tuple(base.netloc for base in bases)
        self.has_key = key is not None
        self.secrets: tuple[str, ...] = ()
        self._sources = sources
        self._connect_timeout_s = connect_timeout_s
        self._measured = measured
        self._authorization: _Headers = []
        if key is not None:
            self.renew(key)

    def base_of(self, host: str) -> str:
        return self.bases[self.hosts.index(host)]

    def renew(self, key: str | Secret) -> None:
        """Use another key from now on; all that there were stay hidden in texts."""
        checked = check_virtual_key(key.reveal() if isinstance(key, Secret) else key)
        self.secrets = (checked, *(each for each in self.secrets if each != checked))
        self._authorization = [(b"Authorization", f"Bearer {checked}".encode())]

    def prepare(
        self, step: Send | Look, operation: Operation[object], request_id: str
    ) -> Prepared:
        """Return the request of a step; the whole exchange has `step.timeout_s`."""
        exchange = Exchange(self._sources.clock, step.timeout_s)
        if not self._measured:
            exchange.began = self._sources.clock()
        request = httpx.Request(
            operation.method,
            _url(f"{self.bases[step.base]}{operation.path}"),
            headers=self._headers(step, operation, request_id),
            # Given a stream, httpx takes the headers as they are and adds none.
            stream=httpx.ByteStream(operation.body or b""),
            extensions={
                "timeout": timeouts(exchange, self._connect_timeout_s, step.timeout_s)
            },
        )
        return Prepared(request, exchange, self._sources.now(), lambda: self.secrets)

    def _headers(
        self, step: Send | Look, operation: Operation[object], request_id: str
    ) -> _Headers:
        accepted = b"text/event-stream" if operation.streams else b"application/json"
        headers = [
            (b"Host", self.hosts[step.base].encode()),
            (b"Accept", accepted),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", _USER_AGENT),
            (b"X-Request-ID", request_id.encode()),
        ]
        if operation.sends_key:
            headers += self._authorization
        if isinstance(step, Send) and step.number > 0:
            headers.append((b"X-Attempt", str(step.number + 1).encode()))
        if operation.method != "GET":
            body = operation.body or b""
            headers.append((b"Content-Length", str(len(body)).encode()))
            headers.append(
                (b"Idempotency-Key", _idempotency_key(operation, request_id))
            )
        if operation.body is not None:
            headers.append((b"Content-Type", b"application/json"))
        return headers


# Reading one costs a twentieth of a whole call, and a prober's clients live for one.
_url = lru_cache(maxsize=1000)(httpx.URL)
_USER_AGENT = f"gatewatch-apiclient/{VERSION}".encode()


def _idempotency_key(operation: Operation[object], request_id: str) -> bytes:
    """Return one key per call, the same in all its attempts.

    Two calls that complete a job in the same way are one, so theirs is the same.
    """
    if operation.repeat is Repeat.COMPLETE:
        return f"{operation.job_id}:{operation.wanted_status}".encode()
    return request_id.encode()
