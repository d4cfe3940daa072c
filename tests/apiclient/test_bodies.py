import gzip
import tracemalloc
import zlib

import pytest

from apiclient.bodies import BodyTooLargeError, UnreadableBodyError, decoded

PLAIN = b'{"status": "healthy"}' * 10
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(PLAIN) + RAW.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (PLAIN, ""),
        (PLAIN, "identity"),
        (gzip.compress(PLAIN), " GZIP "),
        (gzip.compress(PLAIN), "x-gzip"),
        (zlib.compress(PLAIN), "deflate"),
        (RAW_DEFLATE, "deflate"),
    ],
)
def test_known_codings_are_undone(body: bytes, coding: str) -> None:
    """B-51."""
    assert decoded(body, coding, 10_000) == PLAIN


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(PLAIN)[:-9], "gzip"),
        (gzip.compress(PLAIN) + b"more", "gzip"),
        (b"junk", "gzip"),
        (b"", "gzip"),
        (b"", "deflate"),
        (PLAIN, "br"),
        (PLAIN, "gzip, gzip"),
        (PLAIN, "nonsense"),
    ],
)
def test_damaged_cut_unknown_and_stacked_ones_are_not(body: bytes, coding: str) -> None:
    """B-51."""
    with pytest.raises(UnreadableBodyError):
        decoded(body, coding, 10_000)


def test_a_bomb_is_stopped_at_the_cap() -> None:
    """B-50, B-51: before it unfolds, so that it takes no memory either."""
    bomb = gzip.compress(bytes(50_000_000), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            decoded(bomb, "gzip", 1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4_000_000
