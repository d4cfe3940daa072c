"""Server-sent events from bytes: the WHATWG "event stream interpretation", without I/O.

Lines end in LF, CRLF or CR and nothing else: text may hold U+2028 or NEL, at which
str.splitlines would cut. Each byte is looked at once, however the stream is cut up.
"""

from dataclasses import dataclass

MAX_LINE_BYTES = 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class EventTooLongError(ValueError):
    """A line or an event is longer than its cap; the stream cannot be read on."""


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event. `data` is decoded UTF-8; bad bytes became U+FFFD."""

    data: str
    name: str = "message"


class SSEDecoder:
    """Feed it chunks as they come; it returns the events that they complete.

    `last_event_id` and `retry_ms` are the stream's latest, as the specification has it.
    """

    def __init__(
        self,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._max_line = max_line_bytes
        self._max_event = max_event_bytes
        self._parts: list[bytes] = []  # of the line that has not ended yet
        self._parts_size = 0
        self._skips_lf = False  # the last byte was CR: an LF now belongs to it
        self._at_start = True
        self._data: list[bytes] = []
        self._data_size = 0
        self._name = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that end in `chunk`; raise EventTooLongError past a cap."""
        if self._skips_lf and chunk:
            self._skips_lf = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        lines = chunk.splitlines()  # for bytes: LF, CR and CRLF only
        last = chunk[-1:]
        self._skips_lf = last == b"\r"
        rest = lines.pop() if last not in (b"\r", b"\n") else b""
        events: list[Event] = []
        for line in lines:
            if self._parts:
                self._keep(line)
                line = b"".join(self._parts)  # noqa: PLW2901  # the whole line
                self._parts.clear()
                self._parts_size = 0
            elif len(line) > self._max_line:
                raise EventTooLongError(f"a line is longer than {self._max_line} bytes")
            if event := self._take(line):
                events.append(event)
        if rest:
            self._keep(rest)
        return events

    def end(self) -> Event | None:
        """Return the event that the stream's end cut off, which is not dispatched.

        It is worth a look only for an end marker whose last line break is missing.
        """
        if self._parts:
            self._take(b"".join(self._parts))
            self._parts.clear()
        return self._dispatch()

    def _keep(self, part: bytes) -> None:
        self._parts_size += len(part)
        if self._parts_size > self._max_line:
            raise EventTooLongError(f"a line is longer than {self._max_line} bytes")
        self._parts.append(part)

    def _take(self, line: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")  # a comment has an empty field
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data_size += len(value) + 1
            if self._data_size > self._max_event:
                raise EventTooLongError(
                    f"an event is longer than {self._max_event} bytes"
                )
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            self.last_event_id = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():  # for bytes: ASCII digits only
            self.retry_ms = int(value[:9])
        return None

    def _dispatch(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._data_size, self._name = [], 0, ""
        if not data:
            return None
        text = b"\n".join(data).decode("utf-8", "replace")
        return Event(text, name or "message")
