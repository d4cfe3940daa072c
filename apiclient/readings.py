"""Read a text as those do who come after us: browsers, terminals, addresses and programs.

Each decoder reads a text from its beginning to its end, as the real ones do. What one of
them leaves may be read by the next: JSON in an address in a page.
"""

import html
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

# What begins an escape, a tag or a colour of a terminal.
MARKS = frozenset("%&\\<\x1b\x9b")
_LAYERS = 3  # so many decoders may read one after the other

# An escape of an escape, as often as anybody likes, and the zeros before a number.
_DEEPER = re.compile(r"(?i)(%)(?:25)+|(&)(?:amp;)+|(&#x?)0+(?=[0-9a-f])|(\\)\\+")
# No character has such a number, and one of thousands of digits would be refused.
_NO_CHARACTER = re.compile(r"&#[0-9]{9,}")
# What JSON, JavaScript, C and Python make of a backslash; "%u" is JavaScript's, too.
_ESCAPE = re.compile(
    r"(?:\\u|%u)(?P<unit>[0-9A-Fa-f]{4})|\\U(?P<long>[0-9A-Fa-f]{8})"
    r"|\\[ux]\{0*(?P<braced>[0-9A-Fa-f]{1,6})\}|\\x(?P<byte>[0-9A-Fa-f]{2})"
    r"|\\(?P<octal>[0-7]{1,3})|\\[abefnrtv]|\\(?P<itself>.)",
    re.DOTALL,
)
_TAG = re.compile(r"<[^<>]*>")
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]"
)


def readings(text: str) -> Iterator[str]:
    """Yield a text as it is, and whatever up to three decoders read in it one after another."""
    found = layer = {text}
    yield text
    for _ in range(_LAYERS):
        if all(MARKS.isdisjoint(each) for each in layer):
            break
        shallow = {_DEEPER.sub(_shallow, each) for each in layer}
        layer = {decode(each) for each in shallow for decode in _DECODERS} - found
        found |= layer
        yield from layer


def _shallow(found: re.Match[str]) -> str:
    return found[found.lastindex or 0]


def _of_address(text: str) -> str:
    return unquote(text, errors="ignore") if "%" in text else text


def _of_page(text: str) -> str:
    return html.unescape(_NO_CHARACTER.sub("\ufffd", text)) if "&" in text else text


def _of_string(text: str) -> str:
    if "\\" not in text and "%u" not in text:
        return text
    text = _ESCAPE.sub(_meant, text)
    # Two halves of UTF-16 are one letter.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def _meant(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind is None:
        return ""
    if kind == "itself":
        return found[kind]
    number = int(found[kind], 8 if kind == "octal" else 16)
    return chr(number) if number <= 0x10FFFF else ""


def _bare(text: str) -> str:
    return _TERMINAL.sub("", _TAG.sub("", text))


_DECODERS: tuple[Callable[[str], str], ...] = (
    _of_address,
    _of_page,
    _of_string,
    _bare,
)
