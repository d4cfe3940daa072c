"""Receive one streamed reply: bytes in, chunks out, and what became of it; no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

from apiclient.chunks import Chunk, Spoken, read_event
from apiclient.classify import Verdict, stream_error
from apiclient.report import Streamed
from apiclient.sse import MAX_EVENT_BYTES, EventTooLongError, SSEDecoder
from apiclient.taxonomy import ErrorClass

MAX_TEXT_CHARS = 4 * 1024 * 1024
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How long a stream may take, and how much it may hold; seconds and sizes.

    `first_event_s` of None lets the first event take all of `overall_s`: this gateway
    buffers whole replies. `overall_s` of None is the guide's 120 s. `idle_s` is the
    longest pause between two data events; comments do not count as events, and the time
    that the consumer takes for a chunk is not a pause. A data event that is no JSON
    object is an error when `strict`, and skipped and counted otherwise.
    """

    first_event_s: float | None = None
    idle_s: float = 20.0
    overall_s: float | None = None
    max_event_bytes: int = MAX_EVENT_BYTES
    max_text_chars: int = MAX_TEXT_CHARS
    strict: bool = True

    def __post_init__(self) -> None:
        for name in ("first_event_s", "idle_s", "overall_s"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ValueError(f"{name}={seconds} is not a positive number")


USUAL_LIMITS = StreamLimits()


class Reception:
    """One attempt's reply as it comes in.

    `begun` says that a data event has arrived: from then on nothing may be sent again,
    for the caller has part of the reply. `over` says that no more is wanted, and
    `verdict` what went wrong, if anything did.
    """

    def __init__(self, limits: StreamLimits, *secrets: str) -> None:
        self.limits = limits
        self.begun = False
        self.over = False
        self.verdict: Verdict | None = None
        self._secrets = secrets
        self._decoder = SSEDecoder(
            max_line_bytes=limits.max_event_bytes,
            max_event_bytes=limits.max_event_bytes,
        )
        self._texts: list[str] = []
        self._size = 0
        self._chunks = 0
        self._skipped = 0
        self._ttft_s: float | None = None
        self._heard_s: float | None = None
        self._longest_gap_s: float | None = None
        self._model = ""
        self._finish_reason: str | None = None

    def feed(self, data: bytes, elapsed_s: float) -> Iterator[Chunk]:
        """Yield the chunks that `data` completes, `elapsed_s` after the request began."""
        try:
            events = self._decoder.feed(data)
        except EventTooLongError as error:
            self._fail(ErrorClass.TOO_LARGE, str(error))
            return
        for event in events:
            yield from self._hear(read_event(event), elapsed_s)
            if self.over:
                return

    def end(self) -> None:
        """Note the end of the connection: without an end marker it proves nothing."""
        if self.over:
            return
        try:
            event = self._decoder.end()
        except EventTooLongError as error:
            self._fail(ErrorClass.TOO_LARGE, str(error))
            return
        if event is not None and read_event(event).ends:
            self.over = True
            return
        self._fail(
            ErrorClass.STREAM_INTERRUPTED, "the stream ended without its end marker"
        )

    def streamed(self) -> Streamed:
        return Streamed(
            text="".join(self._texts),
            chunk_count=self._chunks,
            ttft_s=self._ttft_s,
            finish_reason=self._finish_reason,
            model=self._model,
            skipped=self._skipped,
            longest_gap_s=self._longest_gap_s,
        )

    def _hear(self, spoken: Spoken, elapsed_s: float) -> Iterator[Chunk]:
        if spoken.error is not None:
            self.verdict = stream_error(spoken.error, *self._secrets)
            self.over = True
            return
        if spoken.unreadable:
            self._skip()
            return
        self.over = spoken.ends
        if spoken.chunk is not None:
            self._keep(spoken.chunk, elapsed_s)
            if self.verdict is None:
                yield spoken.chunk

    def _keep(self, chunk: Chunk, elapsed_s: float) -> None:
        self.begun = True
        text = chunk.text
        self._size += len(text)
        if self._size > self.limits.max_text_chars:
            limit = self.limits.max_text_chars
            self._fail(
                ErrorClass.TOO_LARGE, f"the text is longer than {limit} characters"
            )
            return
        self._chunks += 1
        if self._heard_s is not None:
            gap_s = elapsed_s - self._heard_s
            self._longest_gap_s = max(gap_s, self._longest_gap_s or 0.0)
        self._heard_s = elapsed_s
        if text:
            self._texts.append(text)
            if self._ttft_s is None:
                self._ttft_s = elapsed_s
        self._model = self._model or chunk.model
        self._finish_reason = chunk.finish_reason or self._finish_reason

    def _skip(self) -> None:
        self._skipped += 1
        if self.limits.strict:
            self._fail(ErrorClass.STREAM_ERROR, "an event is not a JSON object")

    def _fail(self, error: ErrorClass, detail: str) -> None:
        self.verdict = Verdict(error, status_code=200, detail=detail)
        self.over = True
