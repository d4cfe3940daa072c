"""Send messages by HTTP as probes are sent: to checked addresses, and never for long.

No redirects are followed, no proxy and no environment is asked, and of the answer's body
no more is read than tells that there was one.
"""

import logging
import ssl
import time
from collections.abc import Mapping
from functools import cache

import httpx

from apiclient import address_check
from apiclient.exchange import Exchange
from apiclient.faults import FAULTS, fault_of
from apiclient.options import default_ssl_context
from apiclient.taxonomy import TABLE, ErrorClass
from apiclient.transport import timeouts, wire_transport
from dashboard.alerts.channels import Answer, Parcel
from dashboard.alerts.models import ChannelKind
from dashboard.pipeline import apprise_posting

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
_CONNECT_S = 5.0
_GONE = 410
# So services, and filters before them, refuse a message for what is in it.
_UNWANTED = frozenset({400, 403, 406, 413, 415, 422})
_MOST_READ = 64 * 1024
# With these the message has surely not been taken.
_NEVER_SENT = frozenset(
    {ErrorClass.CONFIG, ErrorClass.CONNECT_FAILED, ErrorClass.CONNECT_TIMEOUT,
     ErrorClass.TLS_FAILED, ErrorClass.POOL_EXHAUSTED}
)  # fmt: skip


def post(parcel: Parcel, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Post one message; never raises for what the receiver does."""
    if parcel.kind == ChannelKind.APPRISE:
        return apprise_posting.post(parcel)
    return _exchange(
        "POST",
        parcel.url,
        headers=parcel.headers,
        body=parcel.body,
        allow_private=parcel.allow_private,
        timeout_s=timeout_s,
    )


def ping(url: str) -> Answer:
    """Ask an outside watcher's address, so that it knows that we live."""
    return _exchange("GET", url, headers={}, body=b"", allow_private=True)


def _exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    allow_private: bool,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    exchange = Exchange(time.monotonic, timeout_s)
    check = address_check(allow_private=allow_private)
    try:
        request = httpx.Request(
            method,
            url,
            headers=headers,
            content=body,
            extensions={"timeout": timeouts(exchange, _CONNECT_S, timeout_s)},
        )
        with wire_transport(_context(), check, fresh_connections=True) as transport:
            return _answer(transport.handle_request(request))
    except FAULTS as error:
        fault = fault_of(error)
        # Of nonsense its text quotes what was answered, and that may be our address.
        quotes = fault.error in {ErrorClass.PROTOCOL, ErrorClass.DECODE}
        said = TABLE[fault.error].title if quotes else fault.detail
        return Answer(unsure=fault.error not in _NEVER_SENT, error=said)


@cache
def _context() -> ssl.SSLContext:
    """Return the one TLS context: making it costs 25 ms."""
    return default_ssl_context()


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    _read_some(response)
    if response.is_success:
        return Answer(taken=True)
    if response.is_redirect or 300 <= status < 400:
        return Answer(error=f"HTTP {status}: redirects are not followed")
    return Answer(
        gone=status == _GONE,
        unsure=status >= 500,
        unwanted=status in _UNWANTED,
        error=f"HTTP {status}",
    )


def _read_some(response: httpx.Response) -> None:
    """Let a receiver that answers in good faith finish; its status is all we need."""
    read = 0
    try:
        for chunk in response.iter_raw():
            read += len(chunk)
            if read > _MOST_READ:
                break
    except FAULTS:
        logger.info("post.answer_cut_short")
    finally:
        response.close()
