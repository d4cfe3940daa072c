"""Take in a body as it arrives, never more of it than is wanted."""

from collections.abc import Sequence

from apiclient.bodies import BodyTooLargeError, UnreadableBodyError, decoded

MAX_BODY_BYTES = 1024 * 1024
MAX_ERROR_BODY_BYTES = 64 * 1024


class Intake:
    """Collects a body up to its cap.

    A success that is too long is a failure; an error's body is cut, for its status says
    what matters.
    """

    def __init__(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], cap: int
    ) -> None:
        self.is_success = 200 <= status < 300
        self.whole = True
        self._coding = _joined(headers, b"content-encoding")
        self._cap = cap if self.is_success else min(cap, MAX_ERROR_BODY_BYTES)
        self._chunks: list[bytes] = []
        self._size = 0
        length = _joined(headers, b"content-length")
        if self.is_success and length.isascii() and length.isdecimal():
            self._check(int(length[:20]))

    def add(self, chunk: bytes) -> bool:
        """Keep `chunk`; return whether more is wanted."""
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._cap:
            if self.is_success:
                self._check(self._size)
            self.whole = False
        return self.whole

    def cut(self) -> None:
        """Note that the rest never came."""
        self.whole = False

    def _check(self, size: int) -> None:
        if size > self._cap:
            raise BodyTooLargeError(f"the answer is longer than {self._cap} bytes")

    def body(self) -> bytes:
        body = b"".join(self._chunks)[: self._cap]
        if not self._coding:
            return body
        try:
            return decoded(body, self._coding, self._cap)
        except (BodyTooLargeError, UnreadableBodyError):
            if self.is_success:
                raise
            self.whole = False
            return b""


def _joined(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the values of the header `name`; httpx's own look-up costs ten times."""
    values = [value for key, value in headers if key.lower() == name]
    return b", ".join(values).decode("latin-1")
