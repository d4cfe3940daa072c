"""Streams as both clients give them, on fake time: S-90 to S-95 and B-62 to B-67."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from apiclient import (
    AmbiguousOutcomeError,
    APIError,
    AsyncClient,
    CallReport,
    CircuitOpenError,
    Client,
    DecodeError,
    ErrorClass,
    RetryPolicy,
    ServiceUnavailableError,
    StreamError,
    StreamInterruptedError,
    StreamLimits,
    StreamTimeoutError,
    TeamSuspendedError,
    operations,
)
from apiclient.breaker import BreakerPolicy
from apiclient.report import Streamed
from tests.apiclient.fakes import JOB, FakeTime, Scene, says

E = ErrorClass
CHAT = [{"role": "user", "content": "Hi"}]
SECRET = "sk-canary-4f1d8a77"


def text(content: object) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": content}}]}
    return f"data: {json.dumps(delta)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
KEEPALIVE = b": keepalive\n\n"
HELLO = (KEEPALIVE, text("Hel"), text("lo"), DONE)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of parts, pauses in seconds and exceptions, on fake time.

    A pause past the request's deadline ends as the wire ends it: in a read timeout.
    """

    def __init__(self, time: FakeTime, parts: tuple[bytes | float | Exception, ...]):
        self.time = time
        self.parts = parts
        self.closed = 0
        self.request: httpx.Request | None = None

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, bytes):
                yield part
                continue
            assert self.request is not None
            exchange = self.request.extensions["timeout"]["read"].exchange
            left_s = exchange.deadline - self.time.clock()
            self.time.elapsed_s += min(part, left_s)
            if part >= left_s:
                raise httpx.ReadTimeout("the deadline passed")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            await asyncio.sleep(0)
            yield part

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class Told:
    """What a consumer saw: the texts, then an error or none."""

    texts: list[str]
    error: APIError | None
    report: CallReport[Streamed] | None


class Rig:
    """Both kinds of client over the same tape."""

    def __init__(self, kind: str, *tape: object, **options: object) -> None:
        self.kind = kind
        self.time = FakeTime()
        self.requests: list[httpx.Request] = []
        self.bodies: list[Body] = []
        self._tape = iter(tape)
        settings: dict[str, object] = {
            "base_url": "https://gw.example",
            "team_id": "acme",
            "virtual_key": SECRET,
            "clock": self.time.clock,
            "now": self.time.now,
            "draw": lambda: 0.5,
            **options,
        }
        mock = httpx.MockTransport(self._answer)
        self.sync = Client(transport=mock, sleep=self.time.sleep, **settings)  # type: ignore[arg-type]
        self.other = AsyncClient(
            transport=mock,
            sleep=self.time.sleep_async,
            **settings,  # type: ignore[arg-type]
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        scene = next(self._tape)
        if isinstance(scene, tuple):
            body = Body(self.time, scene)
            body.request = request
            self.bodies.append(body)
            kind = {"Content-Type": "Text/Event-Stream; charset=utf-8"}
            return httpx.Response(200, headers=kind, stream=body)
        assert callable(scene)
        made: Scene = scene()
        if isinstance(made, Exception):
            raise made
        return made

    def listen(
        self,
        *,
        limits: StreamLimits | None = None,
        single: bool = False,
        stop_after: int = 1000,
    ) -> Told:
        """Consume a stream, leaving it after so many chunks."""
        if self.kind == "sync":
            return self._listen(limits or StreamLimits(), stop_after, single=single)
        return asyncio.run(
            self._listen_async(limits or StreamLimits(), stop_after, single=single)
        )

    def _listen(self, limits: StreamLimits, stop_after: int, *, single: bool) -> Told:
        if single:
            stream = self.sync.create_and_call_stream(
                "chat", model="m", messages=CHAT, limits=limits
            )
        else:
            stream = self.sync.chat_stream(JOB, model="m", messages=CHAT, limits=limits)
        told = Told([], None, None)
        try:
            with stream:
                for chunk in stream:
                    told.texts.append(chunk.text)
                    if len(told.texts) == stop_after:
                        break
        except APIError as error:
            told.error = error
        told.report = stream.report
        return told

    async def _listen_async(
        self, limits: StreamLimits, stop_after: int, *, single: bool
    ) -> Told:
        if single:
            stream = self.other.create_and_call_stream(
                "chat", model="m", messages=CHAT, limits=limits
            )
        else:
            stream = self.other.chat_stream(
                JOB, model="m", messages=CHAT, limits=limits
            )
        told = Told([], None, None)
        try:
            async with stream:
                async for chunk in stream:
                    told.texts.append(chunk.text)
                    if len(told.texts) == stop_after:
                        break
        except APIError as error:
            told.error = error
        told.report = stream.report
        return told

    def report(self, **options: object) -> CallReport[Streamed]:
        operation = operations.llm_call_stream(JOB, model="m", messages=CHAT)
        if self.kind == "sync":
            return self.sync.report_stream(operation, **options)  # type: ignore[arg-type]
        return asyncio.run(self.other.report_stream(operation, **options))  # type: ignore[arg-type]


Make = Callable[..., Rig]


@pytest.fixture(params=["sync", "async"])
def rig(request: pytest.FixtureRequest) -> Make:
    return lambda *tape, **options: Rig(request.param, *tape, **options)


def test_a_whole_stream_gives_its_text_and_its_facts(rig: Make) -> None:
    """S-90, B-62: the time to the first text is not that of the head or a comment."""
    given = rig((KEEPALIVE, 2.0, text(""), 0.5, text("Hel"), 0.25, text("lo"), DONE))

    told = given.listen()

    assert told.texts == ["", "Hel", "lo"]
    assert told.error is None
    assert told.report is not None
    streamed = told.report.value
    assert streamed is not None
    assert (streamed.text, streamed.chunk_count, streamed.ttft_s) == ("Hello", 3, 2.5)
    assert streamed.longest_gap_s == 0.5
    assert told.report.latency_s == 2.75


def test_nothing_is_sent_before_the_first_iteration(rig: Make) -> None:
    given = rig(HELLO)

    given.sync.chat_stream(JOB, model="m", messages=CHAT)

    assert given.requests == []


def test_the_request_asks_for_a_stream(rig: Make) -> None:
    """S-03: the path of the real gateway, and the model that it wants."""
    given = rig(HELLO)
    given.listen()
    [request] = given.requests

    assert request.url.path == f"/api/jobs/{JOB}/llm-call-stream"
    assert request.headers["accept"] == "text/event-stream"
    assert json.loads(b"".join(request.stream))["model"] == "m"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parts",
    [
        (text("Hel"),),
        (text("Hel"), text("lo")),
        (text("Hel"), b"data: [DONE]x\n\n"),
        (),
        (KEEPALIVE,),
        (
            b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        ),  # a finish reason is OpenAI's last word but one
    ],
)
def test_an_end_without_its_marker_is_no_success(
    rig: Make, parts: tuple[bytes, ...]
) -> None:
    """B-63, S-91, X-38: an end of the connection proves nothing."""
    told = rig(parts, retry=RetryPolicy(max_retries=0)).listen()

    assert isinstance(told.error, StreamError)


def test_a_marker_without_its_last_line_break_counts(rig: Make) -> None:
    """B-63."""
    assert rig((text("Hi"), b"data: [DONE]")).listen().error is None


def test_what_follows_the_marker_is_not_read(rig: Make) -> None:
    """B-63: the gateway's books may fail after [DONE]; the reply is whole."""
    given = rig((text("Hi"), DONE, httpx.ReadError("reset")))

    assert given.listen().error is None
    assert given.bodies[0].closed


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (httpx.ReadError("reset"), StreamInterruptedError),
        (
            httpx.RemoteProtocolError("peer closed connection without sending"),
            StreamInterruptedError,
        ),
        (httpx.RemoteProtocolError("bad chunk"), StreamInterruptedError),
    ],
)
def test_a_break_keeps_what_had_come(
    rig: Make, fault: Exception, error: type[APIError]
) -> None:
    """S-92, B-64, X-41, X-46: the partial text and the count; it is not sent again."""
    given = rig((text("Hel"), text("lo"), fault), HELLO)

    told = given.listen()

    assert type(told.error) is error
    assert (told.error.partial_text, told.error.chunk_count) == ("Hello", 2)
    assert "Hello" not in str(told.error) + repr(told.error.report)
    assert len(given.requests) == 1
    assert given.bodies[0].closed


def test_before_its_first_event_a_stream_is_sent_again(rig: Make) -> None:
    """B-64, S-60: nothing had been handed out."""
    given = rig(
        (KEEPALIVE, httpx.ReadError("reset")), says(503, {"detail": "busy"}), HELLO
    )

    told = given.listen()

    assert told.texts == ["Hel", "lo"]
    assert given.time.waits == [1.0, 4.0]  # a 503 waits twice as long


def test_a_charged_stream_is_not_sent_again(rig: Make) -> None:
    """B-10: create-and-call may have been charged."""
    given = rig((KEEPALIVE, httpx.ReadError("reset")), HELLO)

    told = given.listen(single=True)

    assert isinstance(told.error, StreamInterruptedError)
    assert told.error.report.ambiguous
    assert len(given.requests) == 1


def test_a_charged_stream_without_a_head_is_ambiguous(rig: Make) -> None:
    def lost() -> Scene:
        return httpx.ReadTimeout("late")

    assert isinstance(rig(lost).listen(single=True).error, AmbiguousOutcomeError)


@pytest.mark.parametrize(
    "frame",
    [
        {"error": "500: Failed to call provider API: Server error"},
        {"error": {"message": "overloaded"}},
    ],
)
def test_an_error_inside_the_stream_ends_it(rig: Make, frame: object) -> None:
    """S-94, X-39: the job must not be completed on it."""
    error = f"data: {json.dumps(frame)}\n\n".encode()

    told = rig((text("Hel"), error, DONE)).listen()

    assert type(told.error) is StreamError
    assert told.error.kind is E.STREAM_ERROR
    assert told.error.partial_text == "Hel"


def test_a_first_error_that_cannot_pass_is_not_sent_again(rig: Make) -> None:
    """S-36: the gateway's own words say that a repeat is in vain."""
    words = "500: No provider credentials configured for openai."
    given = rig((f"data: {json.dumps({'error': words})}\n\n".encode(),), HELLO)

    assert given.listen().error is not None
    assert len(given.requests) == 1


def test_a_key_in_an_error_is_hidden(rig: Make) -> None:
    """B-80."""
    frame = json.dumps({"error": f"bad key {SECRET} ?key=AIzaSECRET"})

    told = rig((text("a"), f"data: {frame}\n\n".encode())).listen()

    assert told.error is not None
    shown = str(told.error) + repr(told.report)
    assert SECRET not in shown
    assert "AIza" not in shown


@pytest.mark.parametrize(
    ("parts", "limits", "kind", "after_s"),
    [
        ((KEEPALIVE, 99.0), StreamLimits(first_event_s=30), E.STREAM_STALLED, 30),
        # Comments are no events: they do not reset a clock.
        (
            (KEEPALIVE, 15.0, KEEPALIVE, 15.0, KEEPALIVE),
            StreamLimits(first_event_s=30),
            E.STREAM_STALLED,
            30,
        ),
        ((text("a"), 99.0), StreamLimits(), E.STREAM_STALLED, 20),
        (
            (text("a"), 15.0, KEEPALIVE, 15.0, text("b")),
            StreamLimits(),
            E.STREAM_STALLED,
            20,
        ),
        ((text("a"), 15.0) * 9, StreamLimits(overall_s=60), E.STREAM_TIMEOUT, 60),
        ((text("a"), 15.0) * 9, StreamLimits(), E.STREAM_TIMEOUT, 120),
        ((119.0, text("a"), 9.0), StreamLimits(), E.STREAM_TIMEOUT, 120),
    ],
)
def test_each_of_the_three_clocks_ends_a_stream(
    rig: Make,
    parts: tuple[bytes | float, ...],
    limits: StreamLimits,
    kind: ErrorClass,
    after_s: float,
) -> None:
    """B-62, S-93, S-89: first event, idle and overall."""
    given = rig(parts, retry=RetryPolicy(max_retries=0))

    told = given.listen(limits=limits)

    assert isinstance(told.error, StreamTimeoutError)
    assert told.error.kind is kind
    assert given.time.elapsed_s == after_s


def test_the_consumers_own_time_is_no_pause() -> None:
    """B-62: a slow reader is not a slow gateway."""
    given = Rig("sync", (text("a"), 1.0, text("b"), 1.0, DONE))
    texts = []

    for chunk in given.sync.chat_stream(JOB, model="m", messages=CHAT):
        texts.append(chunk.text)
        given.time.elapsed_s += 30

    assert texts == ["a", "b"]


def test_a_json_answer_is_no_stream(rig: Make) -> None:
    """B-65: the detail of what came instead."""
    told = rig(says(200, {"detail": "streaming is off"})).listen()

    assert isinstance(told.error, DecodeError)
    assert "streaming is off" in str(told.error)


def test_a_refusal_before_the_stream_is_the_usual_one(rig: Make) -> None:
    """S-26."""
    refusal = says(403, {"detail": "Team access is suspended. Please contact support."})

    assert isinstance(rig(refusal).listen().error, TeamSuspendedError)


def test_after_all_retries_the_last_error_is_raised(rig: Make) -> None:
    given = rig(*[says(503, {"detail": "busy"})] * 4)

    assert isinstance(given.listen().error, ServiceUnavailableError)
    assert len(given.requests) == 4


@pytest.mark.parametrize("strict", [True, False])
def test_an_unreadable_event_is_an_error_or_is_counted(
    rig: Make, *, strict: bool
) -> None:
    """B-66."""
    told = rig((text("a"), b"data: {torn\n\n", text("b"), DONE)).listen(
        limits=StreamLimits(strict=strict)
    )

    assert told.report is not None
    assert told.report.streamed is not None
    assert told.report.streamed.skipped == 1
    assert told.report.error is (E.STREAM_ERROR if strict else None)
    assert told.texts == (["a"] if strict else ["a", "b"])


def test_a_text_beyond_its_cap_ends_the_stream(rig: Make) -> None:
    """B-61."""
    told = rig((text("12345"), text("67890"), DONE)).listen(
        limits=StreamLimits(max_text_chars=8)
    )

    assert told.error is not None
    assert told.error.kind is E.TOO_LARGE
    assert told.error.partial_text == "12345"


def test_an_event_that_the_end_cuts_off_beyond_its_cap_is_no_exception(
    rig: Make,
) -> None:
    """B-61: its lines were short enough, and its last one had no end."""
    line = b"data: " + b"x" * 60
    told = rig((line + b"\n" + line,)).listen(limits=StreamLimits(max_event_bytes=100))

    assert told.error is not None
    assert told.error.kind is E.TOO_LARGE


def test_an_event_beyond_its_cap_ends_the_stream(rig: Make) -> None:
    """B-61."""
    told = rig((b"data: " + b"x" * 2000,)).listen(
        limits=StreamLimits(max_event_bytes=1000)
    )

    assert told.error is not None
    assert told.error.kind is E.TOO_LARGE


def test_leaving_early_closes_the_connection_at_once(rig: Make) -> None:
    """B-67."""
    given = rig(HELLO)

    told = given.listen(stop_after=1)

    assert told.texts == ["Hel"]
    assert given.bodies[0].closed == 1


def test_leaving_early_gives_the_trial_back(rig: Make) -> None:
    """B-45, B-67: the half-open slot is free, and no count changed."""
    failures = [says(500, {"detail": "x"})] * 2
    given = rig(
        *failures,
        HELLO,
        HELLO,
        breaker_policy=BreakerPolicy(threshold=2),
        retry=RetryPolicy(max_retries=0),
    )
    for _ in failures:
        given.listen()
    assert isinstance(given.listen().error, CircuitOpenError)
    given.time.elapsed_s += 100

    given.listen(stop_after=1)

    assert given.listen().error is None


def test_streams_that_break_open_the_breaker(rig: Make) -> None:
    """S-113, B-45: the first events must not count as successes."""
    given = rig(*[(text("a"), httpx.ReadError("reset"))] * 5)

    for _ in range(5):
        given.listen()

    assert isinstance(given.listen().error, CircuitOpenError)


def test_a_whole_stream_can_be_reported(rig: Make) -> None:
    report = rig(HELLO).report()

    assert report.value is not None
    assert report.value.text == "Hello"


def test_a_report_of_a_broken_stream_never_raises(rig: Make) -> None:
    report = rig((text("Hel"), httpx.ReadError("reset"))).report(max_retries=0)

    assert report.error is E.STREAM_INTERRUPTED
    assert report.streamed is not None
    assert report.streamed.text == "Hel"


def test_a_stream_is_counted_once(rig: Make) -> None:
    """S-130."""
    given = rig(HELLO)
    client = given.sync if given.kind == "sync" else given.other

    given.listen()

    assert client.get_stats()["total_requests"] == 1


def test_a_cancelled_stream_is_closed_and_cancelled() -> None:
    """B-70: the cancellation is passed on, the connection closed, the slot given back."""
    given = Rig("async", HELLO)

    async def consume() -> None:
        async with given.other.chat_stream(JOB, model="m", messages=CHAT) as stream:
            async for _ in stream:
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(consume())
    assert given.bodies[0].closed == 1


@pytest.mark.parametrize("field", ["first_event_s", "idle_s", "overall_s"])
def test_a_clock_of_no_time_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        StreamLimits(**{field: 0.0})  # type: ignore[arg-type]
