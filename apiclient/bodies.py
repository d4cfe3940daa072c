"""Undo a body's content coding without ever holding more than the caller allows."""

import zlib

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW_DEFLATE = -zlib.MAX_WBITS
_ZLIB_METHOD = 8  # the low nibble of a zlib header's first byte


class UnreadableBodyError(ValueError):
    """The body's coding is unknown, stacked, damaged or cut short."""


class BodyTooLargeError(ValueError):
    """The body is longer than its cap, on the wire or decoded."""


def decoded(body: bytes, coding: str, cap: int) -> bytes:
    """Return `body` without its `coding` (a Content-Encoding value), at most `cap` bytes.

    We ask for identity, so a coding is rare; a bomb is stopped at the cap.
    """
    match coding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflate(body, _GZIP_OR_ZLIB, cap)
        case "deflate":
            zlib_wrapped = body[:1] and body[0] & 0x0F == _ZLIB_METHOD
            return _inflate(body, _GZIP_OR_ZLIB if zlib_wrapped else _RAW_DEFLATE, cap)
        case _:
            raise UnreadableBodyError("the answer's content coding is not supported")


def _inflate(body: bytes, window_bits: int, cap: int) -> bytes:
    inflater = zlib.decompressobj(window_bits)
    try:
        plain = inflater.decompress(body, cap + 1)
    except zlib.error:
        raise UnreadableBodyError("the answer's compression is damaged") from None
    if len(plain) > cap:
        raise BodyTooLargeError(f"the decoded answer is longer than {cap} bytes")
    if not inflater.eof:
        raise UnreadableBodyError("the compressed answer is cut short")
    if inflater.unused_data:
        raise UnreadableBodyError("the compressed answer has bytes after its end")
    return plain
