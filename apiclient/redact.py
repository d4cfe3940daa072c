"""Keep secrets and control characters out of everything that people or logs see."""

import re
from typing import NoReturn

from apiclient.repeated import MOST_CHARACTERS, SHORTEST_SECRET, finder

DETAIL_LIMIT = 500  # characters of remote text that are worth a row in a table
HIDDEN = "[hidden]"

# Secrets that a server may repeat: the gateway's own texts have held provider keys in
# URLs, and its team answers hold the virtual key.
_PATTERNS = (
    (re.compile(r"\bsk-[A-Za-z0-9_\-]{2,}"), f"sk-{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer)\s+[^\s'\",;]+"), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"(?i)(virtual_key|api[_-]?key|x-admin-key|master_key|password|secret)"
            r"(\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\s\"'&,;}\\]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(?i)([?&](?:key|token|access_token)=)[^&\s\"'<>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{HIDDEN}@"),
)
# What only hides or reorders text vanishes, so that a key split by it is whole again:
# C0 without white space, DEL, C1, zero width, bidi marks, fillers, variation selectors,
# tags.
_CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]+[0-~]"
)


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
        return f"Secret({HIDDEN!r})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

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

    The given secrets are hidden, and the whole of a text that repeats one, or eight of its
    signs, in another way than as it is; so is everything that looks like a secret. Control
    characters and terminal escapes are gone, white space is single spaces, and at most
    `limit` characters remain, all of the first 8,192.
    """
    searched = _shown(text[:MOST_CHARACTERS])
    if secrets and finder(*secrets)(searched):
        searched = _hidden(searched, secrets)
    text = searched
    for pattern, hidden in _PATTERNS:
        text = pattern.sub(hidden, text)
    text = " ".join(text.split())
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    # What was cut or hidden may have kept a tag or an escape from being one.
    return HIDDEN if secrets and text != searched and finder(*secrets)(text) else text


def repeats(text: str, secret: str) -> bool:
    """Return whether `text` repeats a secret, or eight of its signs, in whatever way."""
    return finder(secret)(_shown(text))


def _shown(text: str) -> str:
    return _CONTROLS.sub("", _ANSI.sub("", text))


def _hidden(text: str, secrets: tuple[str, ...]) -> str:
    left = text
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            left = re.sub(re.escape(secret), HIDDEN, left, flags=re.IGNORECASE)
    return HIDDEN if left == text or finder(*secrets)(left) else left


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
