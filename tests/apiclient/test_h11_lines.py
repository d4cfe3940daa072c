"""Our patterns of lines say of each line what h11's own say."""

import random
import re

import pytest
from h11 import _abnf as abnf

from apiclient.h11_lines import CHUNK_HEADER, HEADER_FIELD

PATTERNS = {
    "header": (abnf.header_field, HEADER_FIELD, b"aX-:: \t\r\n\0\xff", b"X:", b""),
    "chunk": (abnf.chunk_header, CHUNK_HEADER, b"09aFg; \t\r\n\0\xff", b"1", b"\r\n"),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_lines_are_read_as_h11_reads_them(name: str) -> None:
    text, ours, signs, start, end = PATTERNS[name]
    theirs = re.compile(text.encode())
    draw = random.Random(3)  # noqa: S311  # lines, no secrets

    taken = 0
    for _ in range(20_000):
        line = start + bytes(draw.choices(signs, k=draw.randrange(8))) + end
        told, found = theirs.fullmatch(line), ours.fullmatch(line)
        assert (told is None) == (found is None), line
        if told and found:
            taken += 1
            for group in ours.groupindex:
                assert told[group] == found[group], line

    assert taken > 1000
