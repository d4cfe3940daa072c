"""C-05: a key is found however a text spells it, for whoever reads it, and in nothing else."""

import json
import random
from collections.abc import Callable
from urllib.parse import quote

import msgspec
import pytest

from apiclient import operations
from apiclient.redact import redact, repeats

KEY = "vk+of/acme=0123456789abcdefghij"
WIDE = "".join(chr(ord(each) - 0x21 + 0xFF01) for each in KEY[11:21])
MATHEMATICAL = "".join(chr(0x1D7CE + number) for number in range(10))
# Eight signs of it or ten, as readers of whole standards read them.
ODD = {
    "names longer than most": f"{KEY[11:15]}&ZeroWidthSpace;{KEY[15:19]}",
    "more zeros than digits": "".join(f"&#{ord(x):020};" for x in KEY[11:19]),
    "more zeros, for JavaScript": "".join(f"\\u{{{ord(x):020x}}}" for x in KEY[11:19]),
    "more zeros, for C": "".join(f"\\x{ord(x):06x}" for x in KEY[11:19]),
    "parted by a digit of C": f"{KEY[23:27]}\\x9{KEY[27:]}",
    "parted by no number": f"{KEY[11:15]}&#{'9' * 50};{KEY[15:19]}",
    "two signs in one": "\u246b\u325e5678",
    "two signs in one, escaped": "&#9323;&#x325E;5678",
    "parted by letters that are none": "\u00aa".join(KEY[11:21]),
    "parted by one that lower case makes one": "\u212a".join(KEY[11:21]),
    "parted by them, escaped": "&ordf;".join(KEY[11:21]),
    "accented": "\u0301".join(KEY[21:]),
    "wide, in an address": quote(WIDE),
    "mathematical, in JSON": json.dumps(MATHEMATICAL),
    "mathematical, in an old address": json.dumps(MATHEMATICAL).replace("\\", "%"),
    "mathematical, in Python": ascii(MATHEMATICAL),
    "mathematical, in JSON in JSON": json.dumps(json.dumps(MATHEMATICAL)),
    "tags in what escapes it": "".join(f"&#<b>{ord(x)}" for x in KEY[11:21]),
    "a comment with a tag in it": f"{KEY[11:15]}<!-- <b>x -->{KEY[15:19]}",
    "a colour of millions": f"{KEY[11:15]}\\u001b[38;2;255;100;100m{KEY[15:19]}",
    "the cursor": f"{KEY[11:15]}\\u001b[?25h{KEY[15:19]}",
    "for JavaScript and HTML": "".join(f"&\\#{ord(x)};" for x in KEY[11:19]),
    "for JavaScript, and its end": f"{KEY[12:19]}&#5\\6; &#11\\8; %7\\8 {KEY[:2]}",
    "what is no escape of JavaScript": r"45678\x39\a\x62",
    "what is no escape of Python": r"456789\U00000061bcd\efghij"[6:],
    "an octal number of JavaScript": r"01\x323\774567",
    "an escape of an escape and one": r"5\x3678\\x39\\abcde",
    "a percent sign and an escape": "a=0%31%25234567",
    "parted by no number, that would be one": r"&&#999999999#0123&#52;567",
    "parted by no letter of UTF-8": "&%ff#0123&#52;%3567",
    "parted by half a letter": r"&\ud800#0123&#52;\u003567",
    "parted by a line, that would be one": r"&\n#0123&#52;\u003567",
    "a tag in a tag": "0123<a<b>4567",
    "a tag behind an escape": r"0123\u001b<b>4567",
    "a colour for shells": r"0123\e[35m4567",
    "a colour, and what is none": r"01\u001b[35m23\u001b4567",
    "a colour, and one of few terminals": r"01\u001b[35m23\x9b4567",
    "a field that hides the end of a tag": "0123<api_key=a>x y>4567",
    "a tag that is cut": f"01<b>23<4567{' y' * 400}>",
    "a tag, and what is none": "01<b>2< 3 >45<b>67",
    "a string of a terminal": r"0123\u001bPx\u001b\\4567",
    "a title with another end": r"0123\u009dx\u009c4567",
    "strings, for who knows none": r"01\u001bP23\u001bP4567",
    "a colour that was broken off": r"0123\u001b[3\u00184567",
    "a title of a terminal": f"{KEY[11:15]}\\u001b]0;x\\u0007{KEY[15:19]}",
}


@pytest.mark.parametrize("told", ODD.values(), ids=ODD)
def test_no_odd_spelling_hides_a_key(told: str) -> None:
    team = msgspec.json.encode({"team_id": "acme", "organization_id": told})

    assert redact(told, KEY) == "[hidden]"
    told_of = operations.get_team("acme").value_of(team, KEY)
    assert told_of.organization_id.startswith("[hid")


def test_no_number_is_too_long_to_be_looked_through() -> None:
    """Python refuses one of 5,000 digits; what is taken out must not put one together."""
    for text in (f"&#{'1' * 5000}", f"&&#{'9' * 9}#{'1' * 5000}"):
        assert redact(text, KEY, limit=9999) == text


def test_a_text_that_was_escaped_a_thousand_times_is_looked_through() -> None:
    told = "&" + "amp;" * 1000

    assert redact(told, KEY, limit=len(told)) == told
    assert redact(f"{told}#48;{KEY[12:19]}", KEY) == "[hidden]"


CHINESE = "".join(map(chr, range(0x6B8B, 0x6C8B)))


@pytest.mark.parametrize("key", ["sk-qZxW7Rt3Lk9PvB2nXh5Gd8", "vk-team_ZyXwVuTsRqPo4l"])
@pytest.mark.parametrize(
    "escape",
    [str, ascii, quote, json.dumps, lambda told: repr(repr(told.encode()))],
    ids=["not", "for Python", "for an address", "for JSON", "in bytes"],
)
def test_a_long_honest_text_of_any_script_is_shown(
    escape: Callable[[str], str], key: str
) -> None:
    assert redact(escape(CHINESE), key) != "[hidden]"


ENCODERS: dict[str, list[Callable[[int], str]]] = {
    "an address": ["%{:02x}".format, "%u{:04X}".format],
    "a page": ["&#{};".format, "&#x{:X};".format],
    "JavaScript": [
        "\\u{:04x}".format,
        "\\u{{{:x}}}".format,
        "\\x{:02X}".format,
        "\\{:03o}".format,
    ],
    "Python": [
        "\\u{:04x}".format,
        "\\U{:08x}".format,
        "\\x{:02X}".format,
        "\\{:03o}".format,
    ],
}
BEFORE = ["", "100% ", "a\\ ", "R&D ", "5 < 6 ", "it's \\u what? "]
BETWEEN = ["", "", " ", "\n", "-", "\u200b", "\u2026"]
TAGS = ["", "<b>", "<br/>", "</td> <td class='x'>"]


@pytest.mark.parametrize("first", range(0, 300, 20))
def test_no_row_of_encoders_hides_a_key(first: int) -> None:
    """JSON in an address in a page, say, and of each sign nobody knows who escapes it."""
    for seed in range(first, first + 20):
        told = encoded_in_a_row(random.Random(seed))  # noqa: S311  # no secret is made of it

        assert repeats(told, KEY)
        assert redact(told, KEY) == "[hidden]"


def encoded_in_a_row(chance: random.Random) -> str:
    """Return a part of the key as up to three encoders make it, one after the other."""
    # None of them escapes backslashes: a text of two languages would be one of none.
    address, page, *languages = ENCODERS.values()
    encoders = [address, page, chance.choice(languages)]
    encoders = chance.sample(encoders, chance.randint(1, 3))
    between = (
        BETWEEN if len(encoders) == 3 else BETWEEN + TAGS
    )  # of tags one reads, too
    start = chance.randrange(len(KEY) - 12)  # there are three that are no sign
    told = "".join(sign + chance.choice(between) for sign in KEY[start : start + 11])

    for encode in encoders:
        share = chance.choice([0.1, 0.5, 1])
        told = "".join(
            chance.choice(encode)(ord(sign))
            if "!" <= sign <= "~" and chance.random() < share
            else sign
            for sign in told
        )
    return chance.choice(BEFORE) + told


@pytest.mark.parametrize("between", ["\0", "\n", "\x1b", "\x7f", "\xa0", "\xe9"])
@pytest.mark.parametrize(
    "encode", [each for some in ENCODERS.values() for each in some]
)
def test_no_escape_before_a_digit_parts_a_key(
    encode: Callable[[int], str], between: str
) -> None:
    assert repeats(f"{KEY[11:15]}{encode(ord(between))}{KEY[15:19]}", KEY)


def test_words_without_the_key_stay_as_they_are() -> None:
    text = "50% of a&b\\c, see <br> &amp; C:\\new \\u0041 %41"

    assert redact(text, KEY) == text


def test_a_text_that_can_be_read_in_too_many_ways_is_hidden() -> None:
    """Each reading takes its time, in which no other thread runs."""
    chance = random.Random(1)  # noqa: S311  # no secret is made of it
    marks = [
        "%",
        "25",
        "&",
        "amp;",
        "#",
        "\\",
        "u00",
        "5c",
        "x",
        "<",
        ">",
        "38;",
        "\x1b[",
    ]
    told = "".join(chance.choices(marks, k=2000))

    assert redact(told, KEY) == "[hidden]"
