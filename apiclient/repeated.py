"""Find what a text repeats of a secret, in whichever way it may be read.

Of a secret's letters and digits no eight in a row may be left in what people see: whatever
stands between them that is neither, in upper or lower case, in hex or base64, and whichever
of the escapes in the text are read, also those that other escapes spell.
"""

import base64
import html
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from string import ascii_lowercase, digits

# A megabyte of text would take a quarter of a second in which no other thread runs, and
# nobody is shown what is behind these characters.
MOST_CHARACTERS = 8192
SHORTEST_SECRET = 4  # hiding shorter "secrets" would only blank out ordinary text
# What begins an escape, a tag or a colour of a terminal.
MARKS = frozenset("%&\\<\x1b\x9b")

_RUN = 8  # so many signs of a secret in a row tell it
_SIGNS = (ascii_lowercase + digits).encode()
_NO_SIGNS = bytes(set(range(128)) - set(_SIGNS))
# Words that a secret is put together of, as a team's id; what is made at random is none,
# nor so long.
_WORD = re.compile(r"[A-Za-z][a-z]{1,14}[0-9]{0,2}|[0-9]{1,2}|20[0-9]{2}|[-_.]")

# Every escape of addresses, HTML, JSON, C, Python and JavaScript, in lower case, numbers
# without what ends them.
_ESCAPE = re.compile(
    r"(?:(?:%|\\x)(?=..\Z)|(?:%u|\\u(?:0000)?)(?=....\Z)|\\[ux]\{|&#x)(?P<hex>[0-9a-f]{1,8})"
    r"|&#(?P<decimal>[0-9]{1,10})|\\(?P<octal>[0-7]{1,3})"
    r"|&(?P<name>[a-z][0-9a-z]*;?)|\\[a-z]|(?:\x1b\[|\x9b)[0-9;]*[a-z]"
)
_BASES = {"hex": 16, "decimal": 10, "octal": 8}
_IN_ESCAPES = frozenset(_SIGNS.decode() + "#;{}[")
_LONGEST_ESCAPE = 12

# What may be read at each place of a text, and where that ends.
_Ways = list[list[tuple[str, int]]]


@lru_cache(maxsize=256)
def finder(*secrets: str) -> Callable[[str], bool]:
    """Return what tells of many texts whether one repeats a secret, or eight of its signs.

    Of a text its first 8,192 characters count. A secret of less than eight signs is found
    only where it stands as it is.
    """
    return _Search(secrets).finds


class _Search:
    """Looks for some secrets in texts."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        whole = [_plain(each) for each in secrets if len(each) >= SHORTEST_SECRET]
        self._whole = whole
        self._shortest = min(_RUN, *map(len, whole)) if whole else MOST_CHARACTERS + 1
        self._runs = {run for each in secrets for run in _runs(each)}
        # Of nothing but words no run is sought, but all together.
        self._words = [each for each in map(_signs, whole) if len(each) >= _RUN]

    def finds(self, text: str) -> bool:
        if len(text) < self._shortest:
            return False
        text = _plain(text[:MOST_CHARACTERS])
        if any(each in text for each in self._whole):
            return True
        signs = _signs(text)
        runs = [signs[at : at + _RUN] for at in range(len(signs) - _RUN + 1)]
        if not self._runs.isdisjoint(runs) or any(
            each in signs for each in self._words
        ):
            return True
        return not MARKS.isdisjoint(text) and self._escaped.is_in(text)

    @cached_property
    def _escaped(self) -> "_Automaton":
        return _Automaton([*self._runs, *self._words])


def _plain(text: str) -> str:
    """Return a text in lower case, wide, round and mathematical letters as plain ones."""
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).lower()


def _signs(plain: str) -> bytes:
    """Return the letters and digits of ASCII."""
    return plain.encode("ascii", "ignore").translate(None, _NO_SIGNS)


def _runs(secret: str) -> Iterator[bytes]:
    """Yield what tells a secret, also in hex and base64; words in it do not.

    In base64 eight signs are six characters, and in hex four. Six bits are a letter of
    base64: one that is shared with what stands around the secret is left out.
    """
    words = "".join(
        each if _WORD.fullmatch(each) else " " * len(each)
        for each in re.split(r"([-_.])", secret)
    )
    places = [at for at, each in enumerate(secret) if each.isascii() and each.isalnum()]
    for first, last in zip(places, places[_RUN - 1 :], strict=False):
        if " " in words[first : last + 1]:
            yield _signs(secret[first : last + 1].lower())
    raw = secret.encode(errors="ignore")
    coded = [raw.hex()]
    for lead in range(3):
        first, last = -(-lead * 8 // 6), (lead + len(raw)) * 8 // 6
        coded.append(base64.b64encode(bytes(lead) + raw)[first:last].decode())
    for signs in map(_signs, map(str.lower, coded)):
        for at in range(len(signs) - _RUN + 1):
            yield signs[at : at + _RUN]


class _Automaton:
    """Looks for some words in all that a text with escapes may be read as, at once.

    It is "shift-and" (Baeza-Yates and Gonnet, 1992): each sign of each word is a bit, set
    at a place of the text where the word up to that sign may have been read before.
    """

    def __init__(self, words: list[bytes]) -> None:
        self._masks = dict.fromkeys(_SIGNS.decode(), 0)
        self._starts = self._ends = 0
        bit = 1
        for word in words:
            self._starts |= bit
            for sign in word.decode():
                self._masks[sign] |= bit
                bit <<= 1
            self._ends |= bit >> 1

    def is_in(self, text: str) -> bool:
        ways = _ways(text)
        read = [0] * len(ways)
        for at, here in enumerate(ways):
            for sign, end in here:
                now = read[at]
                if sign in self._masks:
                    now = (now << 1 | self._starts) & self._masks[sign]
                    if now & self._ends:
                        return True
                read[end] |= now
        return False


def _ways(text: str) -> _Ways:
    """Return what may be read at each place: itself, an escape as it is meant, no tag."""
    ways: _Ways = [[(sign, end)] for end, sign in enumerate(text, 1)]
    ways.append([])
    tag_end = 0
    for here in reversed(ways):
        for sign, end in here:  # which grows: what is read may begin another escape
            if sign == ">":
                tag_end = end
            elif sign == "<" and tag_end:
                here.append(("", tag_end))
            elif sign in MARKS:
                here.extend(_escapes(sign, end, ways))
    return ways


def _escapes(mark: str, start: int, ways: _Ways) -> Iterator[tuple[str, int]]:
    """Yield what a mark may be the beginning of, its rest read from `start` on."""
    longer = [(mark, start)]
    while longer:
        escape, end = longer.pop()
        meant = _meant(escape)
        if meant is not None:
            yield meant, _terminated(escape, end, ways)
        if len(escape) < _LONGEST_ESCAPE:
            for sign, after in ways[end]:
                if sign in _IN_ESCAPES:
                    longer.append((escape + sign, after))


def _terminated(escape: str, end: int, ways: _Ways) -> int:
    """Return where an escape ends together with what ends it, where that follows."""
    terminator = "}" if "{" in escape else ";" if escape[0] == "&" else ""
    if not terminator:
        return end
    return next((after for sign, after in ways[end] if sign == terminator), end)


@lru_cache(maxsize=4096)
def _meant(escape: str) -> str | None:
    """Return the ASCII character that an escape stands for, "" for any other, None for none."""
    found = _ESCAPE.fullmatch(escape)
    if found is None:
        return None
    kind, meant = found.lastgroup, ""
    if kind == "name":
        meant = html.unescape(f"&{found[kind]}")
    elif kind is not None:
        number = int(found[kind], _BASES[kind])
        meant = chr(number) if number <= sys.maxunicode else ""
    meant = _plain(meant)
    return meant if meant.isascii() and len(meant) == 1 else ""
