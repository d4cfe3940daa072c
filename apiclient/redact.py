"""Keep secrets and control characters out of everything that people or logs see."""

import base64
import html
import json
import re
from collections.abc import Callable, Iterator
from math import inf
from typing import NoReturn
from urllib.parse import quote

DETAIL_LIMIT = 500  # characters of remote text that are worth a row in a table
# No more of a text is looked at: a megabyte of it would take a quarter of a second in which
# no other thread runs, and nobody is shown what is behind these.
_MOST_CHARACTERS = 8192
_HIDDEN = "[hidden]"
_SHORTEST_KEY = 4  # hiding shorter "keys" would only blank out ordinary text
_SHORTEST_PIECE = 6  # so much of a key at the end of a text that was cut is hidden

# Secrets that a server may repeat: the gateway's own texts have held provider keys in
# URLs, and its team answers hold the virtual key.
_PATTERNS = (
    (re.compile(r"\bsk-[A-Za-z0-9_\-]{2,}"), f"sk-{_HIDDEN}"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s'\",;]+"), rf"\1 {_HIDDEN}"),
    (
        re.compile(
            r"(?i)(virtual_key|api[_-]?key|x-admin-key|master_key|password|secret)"
            r"(\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\s\"'&,;}\\]+"
        ),
        rf"\1\2{_HIDDEN}",
    ),
    (re.compile(r"(?i)([?&](?:key|token|access_token)=)[^&\s\"'<>]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{_HIDDEN}@"),
)
# What only hides or reorders text vanishes, so that a key split by it is whole again:
# C0 without white space, DEL, C1, zero width, bidi marks, fillers, variation selectors,
# tags.
_CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")


def hides_text(text: str) -> bool:
    """Say whether the text holds a mark that only hides, reorders or does not show."""
    return _CONTROLS.search(text) is not None


class Secret:
    """A text that shows itself only to `reveal`.

    Its repr, str and format hide it, and it refuses to be pickled, so that neither a log
    line nor a queued task can carry it by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN!r})"

    def __str__(self) -> str:
        return _HIDDEN

    def __format__(self, spec: str) -> str:
        return format(_HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


def visible(text: str) -> str:
    """Return remote `text` without what hides, reorders or colours it, or moves a cursor.

    White space stays, but for the carriage return.
    """
    return _CONTROLS.sub("", _ANSI.sub("", text.replace("\r", "")))


def redact(text: str, *secrets: str, limit: int = DETAIL_LIMIT) -> str:
    """Return remote `text` fit to be stored and shown.

    The given secrets, as servers spell what they repeat, and everything that looks like
    one are hidden, control characters and terminal escapes are gone, white space is
    single spaces, and at most `limit` characters remain, all of the first 8,192.
    """
    text = _CONTROLS.sub("", _ANSI.sub("", text[:_MOST_CHARACTERS]))
    for secret in secrets:
        if len(secret) >= _SHORTEST_KEY:
            for spelling in _spellings(secret):
                text = _hidden(text, spelling)
    for pattern, hidden in _PATTERNS:
        text = pattern.sub(hidden, text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def repeats(text: str, secret: str) -> bool:
    """Return whether `text` holds a secret, as servers spell what they repeat."""
    return finder(secret)(text)


def finder(*secrets: str) -> Callable[[str], bool]:
    """Return what tells of many texts whether one holds a secret, in any spelling."""
    keys = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
    # No spelling is shorter, and hardly any text is as long as a key.
    shortest = min(map(len, keys), default=inf)
    sought = [spelling.lower() for each in keys for spelling in _spellings(each)]

    def finds(text: str) -> bool:
        if len(text) < shortest:
            return False
        lower = text.lower()
        return any(spelling in lower for spelling in sought)

    return finds


def _spellings(secret: str) -> list[str]:
    """Return how a server may spell a secret: in addresses, JSON, HTML, Python, hex, base64.

    The longest first: a shorter one may be a part of it.
    """
    raw = secret.encode()
    doubled = secret.replace("\\", "\\\\")
    found = {secret, quote(secret), quote(secret, safe=""), html.escape(secret)}
    found |= {json.dumps(secret)[1:-1], raw.hex(), "%" + raw.hex("%")}
    found |= {doubled, doubled.replace("'", "\\'")}
    return sorted({*found, *_coded(raw)}, key=len, reverse=True)


def _coded(raw: bytes) -> Iterator[str]:
    """Yield what base64 makes of some bytes, whatever stands before and behind them.

    Six bits are a letter: one that they share with their neighbours is left out.
    """
    for lead in range(3):
        first, last = -(-lead * 8 // 6), (lead + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(lead) + raw)[first:last].decode()


def _hidden(text: str, spelling: str) -> str:
    """Hide a spelling of a secret, in upper or lower case, and its piece at the end.

    Half of it may be all that is left of a long text that was cut before.
    """
    sought, lower = spelling.lower(), text.lower()
    if len(lower) != len(text):  # a few letters are two in lower case
        sought, lower = spelling, text
    kept, start = [], 0
    while (place := lower.find(sought, start)) >= 0:
        kept.append(text[start:place])
        start = place + len(sought)
    rest, lower = text[start:], lower[start:]
    for length in range(min(len(sought) - 1, len(lower)), _SHORTEST_PIECE - 1, -1):
        if lower.endswith(sought[:length]):
            rest = rest[:-length] + _HIDDEN
            break
    return _HIDDEN.join([*kept, rest])


def check_virtual_key(text: str) -> str:
    """Return `text` when it can be sent as a bearer token, else raise ValueError.

    The message never holds the key: a key with a newline, as read from a file, is the
    usual fault, and the HTTP library would print it in clear.
    """
    if not text:
        raise ValueError("the virtual key is empty")
    if text != text.strip():
        raise ValueError("the virtual key begins or ends with white space")
    if any(not "!" <= character <= "~" for character in text):
        raise ValueError(
            "the virtual key holds a character that is not printable ASCII"
        )
    return text
