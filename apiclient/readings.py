"""Find everything that a text may be read as: its letters, and what its escapes stand for.

Which escapes a reader, a browser or a program reads nobody knows, nor in which order. So
each is left as it is and read, also one that others spell.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html.entities import html5
from itertools import product
from string import ascii_lowercase, digits

SIGNS = (ascii_lowercase + digits).encode()
_NO_SIGNS = bytes(set(range(128)) - set(SIGNS))
# What begins an escape, a tag or a colour of a terminal.
_MARKS = frozenset("%&\\<\x1b\x9b")
# Every escape of addresses, HTML, JSON, C, Python, JavaScript and terminals, in lower case
# and without what ends it, and the bytes of UTF-8 and halves of UTF-16 that others spell.
_ESCAPE = re.compile(
    r"(?:%(?=..\Z)|(?:%u|\\u)(?=....\Z)|\\u(?=.{8}\Z)|\\x|\\[ux]\{|&#x)(?P<hex>[0-9a-f]*)"
    r"|&#(?P<decimal>[0-9]*)|\\(?P<octal>[0-7]{1,3})|&(?P<name>[a-z][0-9a-z]*)|\\[a-z]"
    r"|(?P<utf8>[\xc2-\xf4][\x80-\xbf]{1,3})|(?P<utf16>[\ud800-\udbff][\udc00-\udfff])"
    r"|(?:\x1b\[|\x9b)[@-~]|\x1b[0-~]"
)
_BEGUN = re.compile(
    r"%(?:[0-9a-f]{0,2}|u[0-9a-f]{0,4})|\\(?:[a-z]?|[0-7]{0,3}|u[0-9a-f]{0,8})"
    r"|(?:\\x|\\[ux]\{|&#x?)[0-9a-f]*|&(?:[a-z][0-9a-z]{0,30})?"
    r"|[\xc2-\xf4][\x80-\xbf]{0,3}|[\ud800-\udbff][\udc00-\udfff]?"
    r"|(?:\x1b\[|\x9b)[@-~]?|\x1b[0-~]?"
)
# What says nothing: a number's first zeros, its digits beyond the largest, which colour, and
# a backslash that JSON in JSON puts between the parts of a letter, or JavaScript leaves out
# before what it does not know ("\#", "\8", "\a").
_IDLE = re.compile(
    r"(?<=[#x{])0+|(?<=[0-9a-f]{8})[0-9a-f]+"
    r"|(?:(?<=\x1b\[)|(?<=\x9b))[ -?]+|(?<=\x1b)[ -/]+"
    r"|(?<=[%&#\x80-\x9a\x9c-\uffff])\\|(?<=[%#x{][0-9a-f])\\|(?<=(?:u00|&#1)[0-9a-f])\\"
)
# Of these numbers every reader takes the next digit, too. "\x" has two, or as many as there are.
_NUMBER = re.compile(r"(?i)&#[0-9]+|&#x[0-9a-f]+|\\[ux]\{[0-9a-f]+|\\[0-7]{2,3}")
_HALF = re.compile(r"(?i)\\x[0-9a-f]{2}|.?\\x[0-9a-f]")
_TAG = "<>"  # is read as nothing, also in an escape
_BASES = {"hex": 16, "decimal": 10, "octal": 8}
# Of those that differ in nothing but their case, the one for a sign of ASCII.
_NAMES = {
    name.rstrip(";").lower(): meant
    for name, meant in sorted(html5.items(), key=lambda item: item[1].isascii())
}
_MOST_STEPS = 8  # for each character; honest texts take up to six

# What may be read at each place of a text, and where that ends.
_Way = tuple[str, int]
Ways = list[set[_Way]]


def is_ambiguous(text: str) -> bool:
    """Return whether a text can be read in several ways, which takes long to look through."""
    seen = plain(text)
    return not _MARKS.isdisjoint(seen) or signs(seen) != signs(text)


def plain(text: str) -> str:
    """Return a text in lower case, wide, round and mathematical letters as plain ones."""
    return text.lower() if text.isascii() else "".join(map(_plain_sign, text))


@lru_cache(maxsize=4096)
def _plain_sign(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign).lower()


def signs(text: str) -> bytes:
    """Return the letters and digits of ASCII, in lower case."""
    return text.encode("ascii", "ignore").lower().translate(None, _NO_SIGNS)


def ways_of(text: str) -> Ways | None:
    """Return what may be read at each place: itself, an escape as it is meant, no tag.

    There may be too many ways to look for all of them.
    """
    steps = iter(range(_MOST_STEPS * len(text)))
    ways: Ways = [
        {(meant, end) for meant in _meanings(sign)} for end, sign in enumerate(text, 1)
    ]
    ways.append(set())
    known: dict[_Way, set[_Way]] = {}
    tag_end = len(text)
    for here in reversed(ways):
        new = list(here)
        for way, _ in zip(new, steps, strict=False):  # which grows
            if way[0] == ">":
                tag_end = way[1]
            if way not in known:
                known[way] = {(_TAG, tag_end)} if way[0] == "<" else set()
                for escape, end in _begun(way, ways, steps):
                    meant = _meant(escape)
                    if _goes_on(escape, end, text):
                        # Only a text that is cut here is read so: what is seen counts.
                        meant = frozenset(filter(_is_seen, meant))
                    known[way].update(product(meant, _ends(escape, end, ways)))
            unknown = known[way] - here
            here.update(unknown)
            new += unknown
    return ways if any(steps) else None


def _begun(way: _Way, ways: Ways, steps: Iterator[int]) -> set[_Way]:
    """Return each escape, or its first signs, that a sign begins, and where that ends."""
    begun = {way} if _BEGUN.fullmatch(way[0]) else set()
    longer = list(begun)
    while longer:
        escape, end = longer.pop()
        for (sign, after), _ in zip(ways[end], steps, strict=False):
            way = (escape if sign == _TAG else _longer(escape, sign)), after
            if way[0] and way not in begun:
                begun.add(way)
                longer.append(way)
    return begun


@lru_cache(maxsize=4096)
def _longer(escape: str, sign: str) -> str:
    """Return a longer beginning of an escape, "" where a sign makes it none."""
    longer = _IDLE.sub("", escape + sign)
    return longer if sign and _BEGUN.fullmatch(longer) else ""


def _goes_on(escape: str, end: int, text: str) -> bool:
    """Return whether the next digit is part of a number, for whoever reads it."""
    if escape.startswith("\\x") and "{" not in escape:
        return _HALF.fullmatch(text, max(end - 3, 0), end + 1) is not None
    return _NUMBER.fullmatch(escape + text[end : end + 1]) is not None


def _is_seen(sign: str) -> bool:
    return sign != "" and sign.isascii() and sign.isprintable()


def _ends(escape: str, end: int, ways: Ways) -> list[int]:
    """Return where an escape ends, with or without what ends it."""
    terminator = "}" if "{" in escape else ";" if escape[0] == "&" else None
    return [end] + [after for sign, after in ways[end] if sign == terminator]


@lru_cache(maxsize=4096)
def _meant(escape: str) -> frozenset[str]:
    """Return what an escape may stand for, nothing for what is none."""
    found = _ESCAPE.fullmatch(escape)
    if found is None:
        return frozenset()
    kind = found.lastgroup
    meant = found[kind] if kind else ""
    if kind == "name":
        return _meanings(_NAMES[meant]) if meant in _NAMES else frozenset()
    if kind == "utf8":
        meant = meant.encode("latin-1").decode(errors="ignore")
    elif kind == "utf16":
        meant = meant.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    elif kind:
        number = int(meant or "0", _BASES[kind])
        meant = chr(number) if number <= sys.maxunicode else ""
    return _meanings(meant)


@lru_cache(maxsize=4096)
def _meanings(text: str) -> frozenset[str]:
    """Return what a text is for a reader: itself, and what its letters look like."""
    if text.isascii():
        return frozenset({text.lower()})
    return frozenset({text, plain(text).encode("ascii", "ignore").decode()} - {""})
