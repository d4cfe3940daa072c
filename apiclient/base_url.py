"""The gateway's address: checked once, in one canonical form."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](:\d*)?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class BaseURL:
    """Where the gateway lives: everything before `/health` or `/api`."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def netloc(self) -> str:
        """Return `host` or `host:port`; the name under which its breakers are kept."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port == _DEFAULT_PORTS[self.scheme]:
            return host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.prefix}"


@lru_cache(maxsize=1000)
def parse_base_url(text: str) -> BaseURL:
    """Return the address in `text`, with or without a trailing `/` or `/api`.

    Raises ValueError with one sentence that says what is wrong and never repeats
    credentials.
    """
    if not text or text != text.strip() or re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError(
            "the base URL is empty or holds white space, control characters or a backslash"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(
            "the base URL cannot be read: check its host and port"
        ) from None
    _check_parts(parts)
    host = _checked_host(parts.hostname or "")
    if port == 0:
        raise ValueError("the base URL's port is 0; use 1 to 65535")
    return BaseURL(
        scheme=parts.scheme,
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        prefix=_checked_prefix(parts.path),
    )


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("the base URL must begin with https:// or http://")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise ValueError(
            "the base URL holds credentials; leave out everything up to the @"
        )
    if "[" in parts.netloc and not _BRACKETED.fullmatch(parts.netloc):
        raise ValueError("the base URL's host is not a valid IPv6 address")
    if parts.query or parts.fragment:
        raise ValueError("the base URL must not have a query (?…) or a fragment (#…)")


def _checked_host(host: str) -> str:
    if not host:
        raise ValueError("the base URL has no host")
    if ":" in host:
        try:
            return str(IPv6Address(host))
        except AddressValueError:
            raise ValueError(
                "the base URL's host is not a valid IPv6 address"
            ) from None
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("the base URL's host is not a valid name") from None
    labels = ascii_host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the base URL's host is not a valid name")
    if _NUMERIC.fullmatch(labels[-1]):
        return _checked_ipv4(ascii_host)
    return ascii_host


def _checked_ipv4(host: str) -> str:
    """Return the host that can only be meant as an IPv4 address, in its one spelling.

    Resolvers read 0177.0.0.1, 127.1 and 2130706433 as loopback, other readers do not.
    """
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise ValueError(
            "the base URL's host is not a valid IPv4 address: write four decimal numbers"
        ) from None


def _checked_prefix(path: str) -> str:
    prefix = path.rstrip("/")
    while prefix.endswith("/api"):
        prefix = prefix.removesuffix("/api").rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~%+-]+)*", prefix):
        raise ValueError("the base URL's path holds an unexpected character")
    if {".", ".."} & set(prefix.split("/")):
        raise ValueError("the base URL's path must not hold . or .. segments")
    return prefix
