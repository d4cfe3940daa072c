"""The texts of an answer about teams: first the secrets in them are hidden, then they are cut."""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from apiclient.payloads import UnreadableError
from apiclient.readings import MARKS
from apiclient.redact import HIDDEN, redact, visible
from apiclient.repeated import finder

STATUS_LIMIT = 100
MOST_TEXTS = 200  # a team with more models than this is not believed
_TEXT_LIMIT = 255
_MOST_ESCAPED = 20_000  # characters of texts with what escapes others


def decoded(body: bytes, secrets: tuple[str, ...]) -> object:
    """Return the document of a body, the secrets that its texts repeat hidden.

    They are looked for before anything is cut or hidden that only looks like a secret:
    nobody would know what is left of one. Raises UnreadableError for what is no JSON.
    """
    try:
        document: object = msgspec.json.decode(body)
        return _without(document, _hider(secrets)) if secrets else document
    except (ValueError, RecursionError):
        raise UnreadableError("the answer is not valid JSON") from None


def _hider(secrets: tuple[str, ...]) -> Callable[[str], str]:
    """Return what hides the secrets in a text; more texts than it may are hidden whole.

    Each takes a hundredth of a millisecond, and a body has room for tens of thousands. To
    read the escapes of a text takes up to three for each character.
    """
    finds, found, looked_at = finder(*secrets), 0, 0

    @lru_cache(maxsize=256)  # what is in each item, as an id, counts once
    def hide(sent: str) -> str:
        nonlocal found, looked_at
        told = sent if sent.isprintable() else visible(sent)
        marked = not MARKS.isdisjoint(told)
        if marked:
            looked_at += len(told)
            if looked_at > _MOST_ESCAPED:
                return HIDDEN
        if finds(told):
            found += 1
            if found > MOST_TEXTS:
                return HIDDEN
            sent = told = redact(told, *secrets, limit=len(told))
        if (marked or sent != told) and any(map(finds, _cut(sent) | _cut(told))):
            return HIDDEN
        return sent  # with its odd signs: an id without them may be another's

    return hide


def _cut(told: str) -> set[str]:
    """Return what may be shown of a text: what is cut off may have ended a tag in it."""
    return {text(told), sentence(told), redact(told, limit=STATUS_LIMIT)} - {told}


def _without(document: object, hide: Callable[[str], str]) -> object:
    match document:
        case str():
            return hide(document)
        case list():
            return [_without(each, hide) for each in document]
        case dict():
            return {
                _without(name, hide): _without(value, hide)
                for name, value in document.items()
            }
        case _:
            return document


def text(value: object) -> str:
    """Return a text as it may be stored and shown; "" for what is none."""
    if not isinstance(value, str):
        return ""
    # A team's names are the same in each answer, and redacting one is not cheap.
    known = len(value) <= _TEXT_LIMIT
    return _redacted(value) if known else redact(value, limit=_TEXT_LIMIT)


def texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(filter(None, map(text, value[:MOST_TEXTS])))


def exact(value: object) -> str:
    """Hide an id that cannot be told as it is: without its odd signs it may be another's."""
    told = text(value)
    return told if told in ("", value) else HIDDEN


def sentence(value: object) -> str:
    """Return a text that people typed, cut between two words.

    Half of a key at its end would be no key that anybody who knows it could still hide.
    """
    told = redact(value, limit=len(value)) if isinstance(value, str) else ""
    if len(told) <= _TEXT_LIMIT:
        return told
    return f"{told[:_TEXT_LIMIT].rpartition(' ')[0]}…"


@lru_cache(maxsize=1000)
def _redacted(value: str) -> str:
    return redact(value, limit=_TEXT_LIMIT)
