"""The decoder of server-sent events: B-60 and B-61."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiclient.sse import Event, EventTooLongError, SSEDecoder


def events(*chunks: bytes) -> list[str]:
    decoder = SSEDecoder()
    return [event.data for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_each_line_end_of_the_specification_ends_a_line(line_end: bytes) -> None:
    """B-60."""
    stream = line_end.join([b"data: a", b"data: b", b"", b"data: c", b"", b""])

    assert events(stream) == ["a\nb", "c"]


@pytest.mark.parametrize(
    "mark", ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1d", "\x1e"]
)
def test_nothing_else_ends_a_line(mark: str) -> None:
    """B-60: str.splitlines cuts there, and with it httpx's iter_lines."""
    assert events(f"data: a{mark}b\n\n".encode()) == [f"a{mark}b"]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b": a comment\n\n", []),
        (b"\n\n\n", []),
        (b"event: ping\n\n", []),  # no data, not dispatched
        (b"data\n\n", [""]),  # no colon: a field with an empty value
        (b"data:\n\n", [""]),
        (b"data:  two spaces\n\n", [" two spaces"]),
        (b"data:no space\n\n", ["no space"]),
        (b"datax: y\nDATA: z\n\n", []),  # unknown fields
        (b"data: a\n: between\ndata: b\n\n", ["a\nb"]),
        (b"data: never ended", []),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", ["a"]),  # only one, at the start
        (b"data: bad \xff byte\n\n", ["bad \ufffd byte"]),
        ("data: grün ✓\n\n".encode(), ["grün ✓"]),
    ],
)
def test_a_stream_is_read_as_specified(stream: bytes, expected: list[str]) -> None:
    """B-60."""
    assert events(stream) == expected


def test_the_name_belongs_to_one_event_only() -> None:
    decoder = SSEDecoder()

    read = decoder.feed(b"event: error\ndata: a\n\ndata: b\n\n")

    assert read == [Event("a", "error"), Event("b", "message")]


def test_an_id_with_nul_and_a_retry_that_is_no_number_are_ignored() -> None:
    """B-60: `retry` takes ASCII digits only, `id` no NUL."""
    decoder = SSEDecoder()

    decoder.feed(b"id: 7\nretry: 250\n\nid: a\0b\nretry: -1\nretry: 1e3\n")
    decoder.feed("retry: \uff14\n".encode())

    assert (decoder.last_event_id, decoder.retry_ms) == ("7", 250)


PIECES = st.sampled_from(
    [
        b"data: a",
        b"data:",
        b"data: \xc3\xa9\xe2\x9c\x93",
        b"event: error",
        b": keepalive",
        b"id: 1",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b" ",
        b":",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=4)).map(b"".join), st.data())
def test_any_split_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    """B-60: line ends, the BOM and characters may all be cut by the network."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]

    assert events(*chunks) == events(stream)
    assert events(*(bytes([byte]) for byte in stream)) == events(stream)


def test_a_line_without_end_stops_at_its_cap() -> None:
    """B-61."""
    decoder = SSEDecoder(max_line_bytes=100)
    decoder.feed(b"data: " + b"x" * 94)

    with pytest.raises(EventTooLongError):
        decoder.feed(b"x")


def test_a_long_line_in_one_chunk_stops_as_well() -> None:
    """B-61."""
    with pytest.raises(EventTooLongError):
        SSEDecoder(max_line_bytes=100).feed(b"data: " + b"x" * 95 + b"\n")


def test_an_event_of_many_lines_stops_at_its_cap() -> None:
    """B-61."""
    with pytest.raises(EventTooLongError):
        SSEDecoder(max_event_bytes=100).feed(b"data: 12345678\n" * 12)


def test_a_long_line_in_small_parts_is_joined_once() -> None:
    """B-61: the work grows with the bytes; `buffer += chunk` would copy 2.5 GB here."""
    decoder = SSEDecoder(max_line_bytes=10_000_000, max_event_bytes=10_000_000)
    for _ in range(1000):
        decoder.feed(b"x" * 5000)

    assert {len(part) for part in decoder._parts} == {5000}
