"""What the failures of a transport mean: httpcore's as httpx's, and both as classes."""

from collections.abc import Mapping
from types import MappingProxyType

import httpcore
import httpx

from apiclient.bodies import BodyTooLargeError, UnreadableBodyError
from apiclient.classify import Verdict
from apiclient.network import AddressRefusedError, TLSFailedError
from apiclient.taxonomy import ErrorClass


class TLSFailureError(httpx.ConnectError):
    """TLS could not be set up."""


class RefusedAddressError(httpx.ConnectError):
    """The address policy forbids the connection."""


_TRANSLATIONS: Mapping[type[Exception], type[httpx.TransportError]] = MappingProxyType(
    {
        TLSFailedError: TLSFailureError,
        AddressRefusedError: RefusedAddressError,
        httpcore.PoolTimeout: httpx.PoolTimeout,
        httpcore.ConnectTimeout: httpx.ConnectTimeout,
        httpcore.ReadTimeout: httpx.ReadTimeout,
        httpcore.WriteTimeout: httpx.WriteTimeout,
        httpcore.ConnectError: httpx.ConnectError,
        httpcore.ReadError: httpx.ReadError,
        httpcore.WriteError: httpx.WriteError,
        httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
        httpcore.LocalProtocolError: httpx.LocalProtocolError,
        httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
        httpcore.ProxyError: httpx.ProxyError,
    }
)
CAUGHT = tuple(_TRANSLATIONS)

# What may come out of a transport; the first match wins, so subclasses come first.
_MEANINGS: tuple[tuple[type[Exception], ErrorClass], ...] = (
    (RefusedAddressError, ErrorClass.CONFIG),
    (TLSFailureError, ErrorClass.TLS_FAILED),
    (httpx.PoolTimeout, ErrorClass.POOL_EXHAUSTED),
    (httpx.ConnectTimeout, ErrorClass.CONNECT_TIMEOUT),
    (httpx.TimeoutException, ErrorClass.TIMEOUT),
    (httpx.ConnectError, ErrorClass.CONNECT_FAILED),
    (httpx.ProxyError, ErrorClass.CONNECT_FAILED),
    (httpx.NetworkError, ErrorClass.CONNECTION_LOST),
    (httpx.RemoteProtocolError, ErrorClass.PROTOCOL),
    (httpx.DecodingError, ErrorClass.DECODE),
    (httpx.TooManyRedirects, ErrorClass.REDIRECT),
    (BodyTooLargeError, ErrorClass.TOO_LARGE),
    (UnreadableBodyError, ErrorClass.DECODE),
    (httpx.TransportError, ErrorClass.CONFIG),  # local protocol, unsupported scheme
    (httpx.InvalidURL, ErrorClass.CONFIG),
    (UnicodeError, ErrorClass.CONFIG),
    (httpx.HTTPError, ErrorClass.PROTOCOL),
    (httpx.StreamError, ErrorClass.PROTOCOL),
)
FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, BodyTooLargeError,
          UnreadableBodyError, UnicodeError)  # fmt: skip
_CUT_SHORT = ("peer closed connection", "Server disconnected")
_TLS_WORDS = ("SSL", "TLS", "CERTIFICATE")


def fault_of(error: Exception) -> Verdict:
    """Return what an exception out of a transport means.

    The texts of our own faults are not kept: a header that cannot be sent is quoted in
    them, and that is where the key would be.
    """
    kind = next((kind for type_, kind in _MEANINGS if isinstance(error, type_)), None)
    if kind is None:
        raise error
    text = str(error)
    if kind is ErrorClass.PROTOCOL and text.startswith(_CUT_SHORT):
        kind = ErrorClass.CONNECTION_LOST
    elif kind is ErrorClass.CONNECT_FAILED and any(word in text for word in _TLS_WORDS):
        kind = _foreign_tls(error)
    elif kind is ErrorClass.CONFIG and not isinstance(error, RefusedAddressError):
        text = f"the request cannot be sent: {type(error).__name__}"
    return Verdict(kind, detail=text or type(error).__name__)


def _foreign_tls(error: Exception) -> ErrorClass:
    """Tell TLS from other connect errors for transports that only say it in words."""
    ours = str(error).startswith("TLS handshake: ")
    return ErrorClass.CONNECT_FAILED if ours else ErrorClass.TLS_FAILED


def translated(error: Exception) -> httpx.TransportError:
    """Return what httpx calls one of the exceptions in CAUGHT."""
    return _TRANSLATIONS[type(error)](str(error))
