"""Find what a text repeats of a secret, in whichever way somebody reads it.

Of a secret's letters and digits no eight in a row may be left in what people see: whatever
stands between them that is neither, in upper or lower case, in hex or base64, and also for
whoever reads the escapes in the text, or leaves its tags out.
"""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from string import ascii_lowercase, digits

from apiclient.readings import readings

# A megabyte of text would take a quarter of a second in which no other thread runs, and
# nobody is shown what is behind these characters.
MOST_CHARACTERS = 8192
SHORTEST_SECRET = 4  # hiding shorter "secrets" would only blank out ordinary text
_MOST_READINGS = 64  # honest texts have a dozen; one of more is not looked through
_RUN = 8  # so many signs, letters and digits, of a secret in a row tell it
_TELLING = 2  # of them are in no word: one may stand behind a team's id by chance
# Words that a secret is put together of, as a team's id; what is made at random is none,
# nor so long.
_WORD = re.compile(r"[A-Za-z][a-z]{1,14}[0-9]{0,2}|[0-9]{1,2}|20[0-9]{2}|[-_.]")
_NO_SIGNS = bytes(set(range(128)) - set((ascii_lowercase + digits).encode()))


@lru_cache(maxsize=256)
def finder(*secrets: str) -> Callable[[str], bool]:
    """Return what tells of many texts whether one repeats a secret, or eight of its signs.

    Of a text its first 8,192 characters count. A secret of less than eight signs is found
    only where it stands as it is.
    """
    whole = [_plain(each) for each in secrets if len(each) >= SHORTEST_SECRET]
    runs = {run for each in secrets for run in _runs(each)}
    # Of nothing but words no run is sought, but all together.
    words = [each for each in map(_signs, whole) if len(each) >= _RUN]

    def tells(signs: bytes) -> bool:
        return not runs.isdisjoint(_parts(signs)) or any(
            each in signs for each in words
        )

    def finds(text: str) -> bool:
        for number, told in enumerate(readings(text[:MOST_CHARACTERS])):
            if number == _MOST_READINGS:
                return True
            seen = _plain(told)
            if any(each in seen for each in whole):
                return True
            if tells(_signs(seen)) or (not told.isascii() and tells(_signs(told))):
                return True
        return False

    return finds


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
        if words[first : last + 1].count(" ") >= _TELLING:
            yield _signs(secret[first : last + 1])
    raw = secret.encode(errors="ignore")
    yield from _parts(_signs(raw.hex()))
    for lead in range(3):
        first, last = -(-lead * 8 // 6), (lead + len(raw)) * 8 // 6
        coded = base64.b64encode(bytes(lead) + raw)[first:last].decode()
        yield from _parts(_signs(coded))


def _parts(signs: bytes) -> Iterator[bytes]:
    return (signs[at : at + _RUN] for at in range(len(signs) - _RUN + 1))


def _plain(text: str) -> str:
    """Return a text in lower case, wide, round and mathematical letters as plain ones."""
    return text.lower() if text.isascii() else "".join(map(_plain_sign, text))


@lru_cache(maxsize=4096)
def _plain_sign(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign).lower()


def _signs(text: str) -> bytes:
    """Return the letters and digits of ASCII, in lower case."""
    return text.encode("ascii", "ignore").lower().translate(None, _NO_SIGNS)
