"""Get the one useful sentence, and the field errors, out of any error body."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from apiclient.redact import redact
from apiclient.report import FieldError

PLAIN_LIMIT = 4096  # characters that the rules look at; people are shown fewer
_SHOWN_FIELDS = 20
# Bounded, so that no page makes the search slower than its length.
_TITLE = re.compile(r"(?is)<(?:title|h1)[^>]{0,300}>(.{0,300}?)</(?:title|h1)>")
_TAG = re.compile(r"<[^>]{0,300}>")
_ESCAPED_CONTROL = re.compile(r"\\u(00[01][0-9a-f])")
# A 422's item repeats what was sent in these, prompts and keys included.
_ECHOES = frozenset({"input", "ctx"})


@dataclass(frozen=True, slots=True)
class Detail:
    """`text` is redacted and short; `plain` is longer, for the rules only, never shown."""

    text: str
    plain: str = ""
    field_errors: tuple[FieldError, ...] = ()


def read_detail(
    headers: Mapping[str, str], body: bytes, *secrets: str, whole: bool = True
) -> Detail:
    """Return what an error body says, whatever it is made of."""
    try:
        plain, items = _parts(headers, body, secrets, whole=whole)
        fields = tuple(_field_errors(items, secrets))
    except RecursionError:  # nested just as deep as it could still be decoded
        plain, fields = _plain(body), ()
    if fields:
        plain = "; ".join(f"{each.path}: {each.message}" for each in fields)
    plain = plain[:PLAIN_LIMIT]
    return Detail(redact(plain, *secrets), plain, fields)


def said(headers: Mapping[str, str], body: bytes, *secrets: str) -> str:
    """Return the error that a 2xx body spells out, or ""; never the body as it is."""
    if _is_html(headers, body):
        return redact(_html_text(body, secrets), *secrets, limit=200)
    try:
        text = _spelled_out(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        return ""
    return redact(text, *secrets, limit=200)


def _spelled_out(document: object) -> str:
    match document:
        case (
            {"detail": str() as text}
            | {"error": str() as text}
            | {"error": {"message": str() as text}}
        ):
            return text
        case _:
            return ""


def _parts(
    headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], *, whole: bool
) -> tuple[str, Iterable[object]]:
    if _is_html(headers, body):
        return _html_text(body, secrets), ()
    try:
        document: object = msgspec.json.decode(body) if whole else None
    except (ValueError, RecursionError):
        document = None
    if document is None:
        return _plain(body), ()
    detail = document.get("detail") if isinstance(document, dict) else None
    if isinstance(detail, list):
        items = [_without_echoes(item) for item in detail[:_SHOWN_FIELDS]]
        return _compact(items), items
    return _sentence(document), ()


def _plain(body: bytes) -> str:
    """Return what is no JSON as text, up to where it repeats what was sent."""
    text = body[: 4 * PLAIN_LIMIT].decode("utf-8", "replace")
    return text.partition('"input"')[0]


def _is_html(headers: Mapping[str, str], body: bytes) -> bool:
    start = body[:256].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html")) or (
        start.startswith(b"<") and "html" in headers.get("content-type", "").lower()
    )


def _html_text(body: bytes, secrets: tuple[str, ...]) -> str:
    found = _TITLE.search(body[:16_384].decode("utf-8", "replace"))
    title = " ".join(_untagged(found[0], secrets).split()) if found else ""
    return f"HTML error page: {title}" if title else "HTML error page"


def _untagged(text: str, secrets: tuple[str, ...]) -> str:
    """Return the text without its tags, which part words; one may read as a secret."""
    return _TAG.sub(" ", redact(text, *secrets, limit=len(text)))


def _sentence(document: object) -> str:
    """Return the message of a JSON body: the guide's `detail`, or its usual cousins."""
    match document:
        case str():
            return document
        case {"detail": {} as inner} | {"error": {} as inner} if inner:
            return _sentence(inner)
        case (
            {"detail": str() as text}
            | {"message": str() as text}
            | {"error": str() as text}
            | {"msg": str() as text}
            | {"title": str() as text}
        ):
            return text
        case _:
            return _compact(document)


def _without_echoes(item: object) -> object:
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if name not in _ECHOES}


def _compact(document: object) -> str:
    """Return JSON with its controls as they are, for `redact` to find."""
    text = msgspec.json.encode(document).decode()
    return _ESCAPED_CONTROL.sub(lambda found: chr(int(found[1], 16)), text)


def _field_errors(
    items: Iterable[object], secrets: Iterable[str]
) -> Iterable[FieldError]:
    """Yield what a 422's items say, without `input`, which repeats what was sent."""

    def short(text: str, limit: int) -> str:
        # A list has room for many long texts, and each takes its time.
        return redact(text[: 2 * limit], *secrets, limit=limit)

    for item in items:
        if isinstance(item, dict) and isinstance(item.get("msg"), str):
            yield FieldError(
                path=short(_path(item.get("loc")), 200),
                message=short(item["msg"], 300),
                type=short(str(item.get("type", "")), 100),
            )


def _path(location: object) -> str:
    if not isinstance(location, list):
        location = [location] if isinstance(location, str | int) else []
    return ".".join(str(part) for part in location if isinstance(part, str | int))
