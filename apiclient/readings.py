"""Read a text as those do who come after us: browsers, terminals, addresses and programs.

Each decoder reads a text from its beginning to its end, as the real ones do. What one of
them leaves may be read by the next: JSON in an address in a page.
"""

import html
import re
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import unquote

# What begins an escape, a tag or a colour of a terminal.
MARKS = frozenset("%&\\<\x1b\x9b")
_LAYERS = 3  # so many decoders may read one after the other

# An escape of an escape, as often as anybody likes.
_DEEPER = re.compile(r"(?i)(%)(?:25)+|(&)(?:amp;)+|(\\)\\+")
_ZEROS = re.compile(r"(?i)(&#x?)0+(?=[0-9a-f])")
# No character has such a number, and one of thousands of digits would be refused.
_NO_CHARACTER = re.compile(r"&#[0-9]{9,};?")
_NONE = "\ufffd"
_OLD_ADDRESS = re.compile(r"%(?:u([0-9A-Fa-f]{4})|([0-9A-Fa-f]{2}))")
_BYTE = "(?P<byte>[0-9A-Fa-f]{2})"
_BYTE_OF_C = "0*(?P<byte>[0-9A-Fa-f]{1,2})"  # it takes as many digits as there are
_WIDE = "U(?P<wide>[0-9A-Fa-f]{8})"
_WIDE_OF_SCRIPT = r"u\{0*(?P<wide>[0-9A-Fa-f]{1,6})\}"
_CONTROLS = dict(zip("abefnrtv", "\a\b\x1b\f\n\r\t\v", strict=True))
_TAG = re.compile("<[^>]*>")
_BROWSERS_TAG = re.compile("<[A-Za-z/!?][^>]*>")
_SMALL_TAG = re.compile("<[^<>]*>")
_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_SHORT_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]")
# With titles and other strings, which are not shown. Some signs break any of them off.
_CODE = re.compile(
    r"(?:\x1b\[|\x9b)[^@-~\x18\x1a\x1b\x80-\x9f]*[@-~\x18\x1a]"
    r"|(?:\x1b\]|\x9d)[^\x07\x18\x1a\x1b\x80-\x9f]*(?:\x07|\x1b\\)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x18\x1a\x1b\x80-\x9f]*(?:\x1b\\)?"
    r"|\x1b[ -/]*[0-~]"
)


def readings(text: str) -> Iterator[str]:
    """Yield a text as it is, and whatever up to three decoders read in it one after another."""
    yield text
    if MARKS.isdisjoint(text):
        return
    layer = {text, _DEEPER.sub(_shallow, text)}
    found = {text}
    for _ in range(_LAYERS):
        yield from layer - found
        found |= layer
        layer = {decode(each) for each in layer for decode in _DECODERS} - found
    yield from layer


def _shallow(found: re.Match[str]) -> str:
    return found[found.lastindex or 0]


def _of_address(text: str) -> str:
    return unquote(text) if "%" in text else text


def _of_old_address(text: str) -> str:
    """Read as JavaScript's `unescape`."""
    if "%u" not in text:
        return text
    return _joined(
        _OLD_ADDRESS.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    )


def _of_page(text: str) -> str:
    if "&" not in text:
        return text
    return html.unescape(_NO_CHARACTER.sub(_NONE, _ZEROS.sub(r"\1", text)))


def _strings(
    byte: str, wide: str, octal: str, controls: str, itself: str
) -> Callable[[str], str]:
    """Return what reads the strings of a language by what its backslashes may stand before."""
    escape = re.compile(
        rf"\\(?:u(?P<unit>[0-9A-Fa-f]{{4}})|x{byte}|{wide}|(?P<octal>{octal})"
        rf"|(?P<control>[{controls}])|(?P<itself>{itself}))",
        re.DOTALL,
    )

    def read(text: str) -> str:
        return _joined(escape.sub(_meant, text)) if "\\" in text else text

    return read


def _joined(text: str) -> str:
    """Put two halves of UTF-16 together: they are one letter."""
    halves = text.encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "surrogatepass")


def _meant(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    told = found[kind]
    if kind == "itself":
        return told
    if kind == "control":
        return _CONTROLS[told]
    number = int(told, 8 if kind == "octal" else 16)
    return chr(number) if number <= 0x10FFFF else _NONE


def _untagged(tag: re.Pattern[str], text: str) -> str:
    """Leave out tags that may hold what begins another."""
    tagged, end, rest = text.rpartition(">")  # behind it no tag ends
    return tag.sub("", tagged + end) + rest


_DECODERS: tuple[Callable[[str], str], ...] = (
    _of_address,
    _of_old_address,
    _of_page,
    # JavaScript, and JSON; Python; C and shells
    _strings(_BYTE, _WIDE_OF_SCRIPT, "[0-3]?[0-7]{1,2}", "bfnrtv", "."),
    _strings(_BYTE, _WIDE, "[0-7]{1,3}", "abfnrtv", r"[\\'\"]"),
    _strings(_BYTE_OF_C, _WIDE, "[0-7]{1,3}", "abefnrtv", "."),
    partial(_untagged, _TAG),
    partial(_untagged, _BROWSERS_TAG),
    partial(_SMALL_TAG.sub, ""),
    partial(_COLOUR.sub, ""),
    partial(_SHORT_CODE.sub, ""),
    partial(_CODE.sub, ""),
)
