"""Keep secrets and control characters out of everything that people or logs see."""

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import groupby
from math import inf
from operator import itemgetter
from typing import NoReturn
from urllib.parse import quote, unquote

DETAIL_LIMIT = 500  # characters of remote text that are worth a row in a table
# No more of a text is looked at: a megabyte of it would take a quarter of a second in which
# no other thread runs, and nobody is shown what is behind these.
_MOST_CHARACTERS = 8192
HIDDEN = "[hidden]"
_SHORTEST_KEY = 4  # hiding shorter "keys" would only blank out ordinary text
_SHORTEST_PIECE = 6  # so much of a key at the end of a text that was cut is hidden
_SHORTEST_TORN = 8  # a shorter one may stand between two words that are no key
_SHORTEST_RUN = 8  # so much of a key is hidden wherever it stands

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
# What stands in a text that escapes it, or lays it out: never a part of a key.
_ESCAPED = re.compile(
    r"(?i)%u([0-9a-f]{4})|\\+(?:(?-i:U)0000([0-9a-f]{4})|u([0-9a-f]{4})|x([0-9a-f]{2})"
    r"|[ux]\{0*([0-9a-f]{1,4})\}|0?(?P<octal>0[4-7][0-7]|1[0-7]{2})|[0-7]{3}|[bfnrt]|)"
)
_DEEPER = re.compile(r"(?i)(%)(?:25)+|(&)(?:amp;)+|(&#)0+(?=[0-9])")
_NO_PART = re.compile(r"[^!-~]+")
# No character has such a number, and one of thousands of digits would be refused.
_NO_CHARACTER = re.compile(r"&#[0-9]{9,}")
_TAG = re.compile(r"<[^<>]*>")
ESCAPES = frozenset("\\%&")
_LAYERS = 3  # JSON in JSON in an address
# Words that a key is put together of; what is made at random is none, nor so long.
_WORD = re.compile(r"[A-Za-z][a-z]{1,14}[0-9]{0,2}|[0-9]{1,2}|20[0-9]{2}|[-_.]")


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

    The given secrets, as servers spell what they repeat, what is left of one that was
    cut, and everything that looks like one are hidden, control characters and terminal
    escapes are gone, white space is single spaces, and at most `limit` characters remain,
    all of the first 8,192. A text in which a secret is torn or escaped loses its spaces
    with it.
    """
    text = text[:_MOST_CHARACTERS]
    if secrets:
        text = _Search(secrets).hidden_in(text)
    text = _shown(text)
    for pattern, hidden in _PATTERNS:
        text = pattern.sub(hidden, text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def repeats(text: str, secret: str) -> bool:
    """Return whether `text` holds a secret, as servers spell what they repeat."""
    return finder(secret)(text)


def finder(*secrets: str) -> Callable[[str], bool]:
    """Return what tells of many texts whether one holds a secret, in any spelling."""
    return _Search(secrets).finds


class _Search:
    """Looks for some secrets in texts: as they are spelled, and as they may be torn."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keys = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
        # No spelling is shorter, and hardly any text is as long as a key.
        self._shortest = min(map(len, self._keys), default=inf)

    @cached_property
    def _spelled(self) -> list[str]:
        return [each.lower() for key in self._keys for each in _spellings(key)]

    @cached_property
    def _torn(self) -> list[str]:
        torn = [each.lower() for key in self._keys for each in _torn(key)]
        return [each for each in torn if len(each) >= _SHORTEST_TORN]

    @cached_property
    def _runs(self) -> list[str]:
        return [run for key in self._keys for run in _runs(key)]

    @cached_property
    def _marks(self) -> list[str]:
        """A run holds one of these few whole, and hardly any other text does."""
        return [
            key[at : at + _SHORTEST_RUN // 2].lower()
            for key in self._keys
            for at in range(0, len(key) - 3, _SHORTEST_RUN // 2)
        ]

    def finds(self, text: str) -> bool:
        if len(text) < min(self._shortest, _SHORTEST_RUN):
            return False
        if not text.isprintable():
            text = f"{text}\n{_shown(text)}"
        if len(text) >= self._shortest and _holds(text, self._spelled):
            return True
        return any(
            _holds(each, self._torn) or self._has_run(each)
            for each, _ in groupby(_readings(text))
        )

    def hidden_in(self, text: str) -> str:
        if "\x1b" in text or "\x9b" in text:  # an escape takes a letter along
            text = _all_hidden(text, self._spelled)
        text = _all_hidden(_shown(text), self._spelled)
        for _ in range(_LAYERS):  # one way to spell a key may hide another
            told = self._telling(text)
            if told is None:
                return text
            text = self._without_runs(_all_hidden(told, self._torn))
        return HIDDEN

    def _telling(self, text: str) -> str | None:
        """Return the reading of a text that tells a key, or what is left of one."""
        readings = list(dict.fromkeys(_readings(text)))
        whole = (each for each in readings if _holds(each, self._torn))
        return next(whole, None) or next(filter(self._has_run, readings), None)

    def _has_run(self, text: str) -> bool:
        return _holds(text, self._marks) and _holds(text, self._runs)

    def _without_runs(self, text: str) -> str:
        """Hide what is left of a key that was cut."""
        lower, hidden = _lower(text), bytearray(len(text))
        for run in self._runs:
            place = lower.find(run)
            while place >= 0:
                hidden[place : place + len(run)] = b"\1" * len(run)
                place = lower.find(run, place + 1)
        parts = groupby(zip(hidden, text, strict=True), key=itemgetter(0))
        return "".join(
            HIDDEN if is_hidden else "".join(letter for _, letter in part)
            for is_hidden, part in parts
        )


def _shown(text: str) -> str:
    return _CONTROLS.sub("", _ANSI.sub("", text))


def _readings(text: str) -> Iterator[str]:
    """Yield a text as it is, without spaces, and unescaped step by step; all that untagged.

    Keys are ASCII. What is no escape may take letters of one along, so each step counts.
    """
    yield text
    yield (text := _parts(text))
    for _ in range(_LAYERS):
        if ESCAPES.isdisjoint(text):
            break
        escaped = text
        yield (text := _parts(unquote(text)))
        text = html.unescape(_NO_CHARACTER.sub("\ufffd", text))
        yield _parts(text)
        text = _ESCAPED.sub(_unescaped, text)
        yield _parts(text)
        yield (text := _parts(_ANSI.sub("", text)))
        if text == escaped:
            break
    if "<" in text:
        yield _TAG.sub("", text)


def _parts(text: str) -> str:
    return _NO_PART.sub("", _DEEPER.sub(_shallow, text))


def _shallow(found: re.Match[str]) -> str:
    return found[found.lastindex or 0]


def _unescaped(found: re.Match[str]) -> str:
    digits = found[found.lastindex] if found.lastindex else "0"
    return chr(int(digits, 8 if found["octal"] else 16))


def _holds(text: str, spellings: Iterable[str]) -> bool:
    lower = _lower(text)
    return any(spelling in lower for spelling in spellings)


def _lower(text: str) -> str:
    return text.replace("\u0130", "i").lower()  # which would be two in lower case


def _all_hidden(text: str, spellings: Iterable[str]) -> str:
    for spelling in spellings:
        text = _hidden(text, spelling)
    return text


def _torn(secret: str) -> list[str]:
    """Return what of a secret, spelled in whatever way, is left where it is laid bare."""
    raw = secret.encode()
    found = {*_readings(secret), raw.hex(), *_coded(raw)}
    return sorted(found, key=len, reverse=True)


def _runs(secret: str) -> set[str]:
    """Return what tells of a secret that was cut; words in it, as a team's id, do not."""
    words = "".join(
        each if _WORD.fullmatch(each) else " " * len(each)
        for each in re.split(r"([-_.])", secret)
    )
    starts = range(len(secret) - _SHORTEST_RUN + 1)
    ends = ((at, at + _SHORTEST_RUN) for at in starts)
    return {secret[at:end].lower() for at, end in ends if " " in words[at:end]}


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


def _hidden(text: str, sought: str) -> str:
    """Hide a spelling of a secret, given in lower case, and its piece at the end.

    Half of it may be all that is left of a long text that was cut before.
    """
    lower = _lower(text)
    kept, start = [], 0
    while (place := lower.find(sought, start)) >= 0:
        kept.append(text[start:place])
        start = place + len(sought)
    rest, lower = text[start:], lower[start:]
    head = sought[:_SHORTEST_PIECE]
    piece = lower.find(head, max(0, len(lower) - len(sought) + 1))
    while piece >= 0 and not sought.startswith(lower[piece:]):
        piece = lower.find(head, piece + 1)
    if piece >= 0:
        rest = rest[:piece] + HIDDEN
    return HIDDEN.join([*kept, rest])


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
