"""Find what a text repeats of a secret, in whichever way it may be read.

Of a secret's letters and digits no eight in a row may be left in what people see: whatever
stands between them that is neither, in upper or lower case, in hex or base64, and whichever
of the escapes in the text are read, also those that other escapes spell.
"""

import base64
import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache

from apiclient.readings import SIGNS, is_ambiguous, plain, signs, ways_of

# A megabyte of text would take a quarter of a second in which no other thread runs, and
# nobody is shown what is behind these characters.
MOST_CHARACTERS = 8192
SHORTEST_SECRET = 4  # hiding shorter "secrets" would only blank out ordinary text
_RUN = 8  # so many signs of a secret in a row tell it
_RUN_IN_HEX, _RUN_IN_BASE64 = 16, 10  # these hold as many
_TELLING = 2  # of them are in no word: one may stand behind a team's id by chance
# Words that a secret is put together of, as a team's id; what is made at random is none,
# nor so long.
_WORD = re.compile(r"[A-Za-z][a-z]{1,14}[0-9]{0,2}|[0-9]{1,2}|20[0-9]{2}|[-_.]")
# Between these stands what is not shown: a tag, or the title of a terminal.
_OPENING, _CLOSING = frozenset("<\x1b"), frozenset(">\x1b\x07\x9c")


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
        whole = [plain(each) for each in secrets if len(each) >= SHORTEST_SECRET]
        self._whole = whole
        self._shortest = min(_RUN, *map(len, whole)) if whole else MOST_CHARACTERS + 1
        self._own = {run for each in secrets for run in _runs(each)}
        self._runs = self._own.union(*(_coded(each, _RUN, _RUN) for each in secrets))
        self._secrets = secrets
        # Of nothing but words no run is sought, but all together.
        self._words = [each for each in map(signs, whole) if len(each) >= _RUN]

    def finds(self, text: str) -> bool:
        if len(text) < self._shortest and text.isascii():
            return False
        text = text[:MOST_CHARACTERS]
        seen = plain(text)
        if any(each in seen for each in self._whole):
            return True
        if any(map(self._tells, {signs(seen), signs(text)})):
            return True
        return is_ambiguous(text) and self._escaped.is_in(text)

    def _tells(self, told: bytes) -> bool:
        return not self._runs.isdisjoint(_parts(told)) or any(
            each in told for each in self._words
        )

    @cached_property
    def _escaped(self) -> "_Automaton":
        # Of a text with many ways to be read some tell any four characters in hex.
        coded = set[bytes]().union(
            *(_coded(each, _RUN_IN_HEX, _RUN_IN_BASE64) for each in self._secrets)
        )
        return _Automaton([*self._own, *coded, *self._words])


def _runs(secret: str) -> Iterator[bytes]:
    """Yield what tells a secret; words in it do not."""
    words = "".join(
        each if _WORD.fullmatch(each) else " " * len(each)
        for each in re.split(r"([-_.])", secret)
    )
    places = [at for at, each in enumerate(secret) if each.isascii() and each.isalnum()]
    for first, last in zip(places, places[_RUN - 1 :], strict=False):
        if words[first : last + 1].count(" ") >= _TELLING:
            yield signs(secret[first : last + 1])


def _coded(secret: str, in_hex: int, in_base64: int) -> Iterator[bytes]:
    """Yield what tells a secret in hex and base64, in runs of so many signs.

    Eight of them are four characters in hex, and six in base64. Six bits are a letter of
    base64: one that is shared with what stands around the secret is left out.
    """
    raw = secret.encode(errors="ignore")
    yield from _parts(signs(raw.hex()), in_hex)
    for lead in range(3):
        first, last = -(-lead * 8 // 6), (lead + len(raw)) * 8 // 6
        coded = base64.b64encode(bytes(lead) + raw)[first:last].decode()
        yield from _parts(signs(coded), in_base64)


def _parts(told: bytes, length: int = _RUN) -> list[bytes]:
    return [told[at : at + length] for at in range(len(told) - length + 1)]


class _Automaton:
    """Looks for some words in all that a text with escapes may be read as, at once.

    It is "shift-and" (Baeza-Yates and Gonnet, 1992): each sign of each word is a bit, set
    at a place of the text where the word up to that sign may have been read before.
    """

    def __init__(self, words: list[bytes]) -> None:
        self._masks = dict.fromkeys(SIGNS.decode(), 0)
        self._starts = self._ends = 0
        bit = 1
        for word in words:
            self._starts |= bit
            for sign in word.decode():
                self._masks[sign] |= bit
                bit <<= 1
            self._ends |= bit >> 1

    def is_in(self, text: str) -> bool:
        """Return whether a text tells one of the words, or can be read in too many ways."""
        ways = ways_of(text)
        if ways is None:
            return True
        read, unseen = [0] * len(ways), 0
        for at, here in enumerate(ways):
            for meant, end in here:
                now = read[at] | (unseen if meant in _CLOSING else 0)
                unseen |= now if meant in _OPENING else 0
                for sign in meant:
                    if sign in self._masks:
                        now = (now << 1 | self._starts) & self._masks[sign]
                        if now & self._ends:
                            return True
                read[end] |= now
        return False
