"""Streams that end badly, as both clients tell them: S-90 to S-95 and B-62 to B-67."""

import json

import httpx
import pytest

from apiclient import (
    AmbiguousOutcomeError,
    APIError,
    CircuitOpenError,
    DecodeError,
    ErrorClass,
    RetryPolicy,
    ServiceUnavailableError,
    StreamError,
    StreamInterruptedError,
    StreamLimits,
    StreamTimeoutError,
    TeamSuspendedError,
)
from tests.apiclient.fakes import Scene, says
from tests.apiclient.stream_rig import DONE, HELLO, KEEPALIVE, SECRET, Make, text

E = ErrorClass


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


@pytest.mark.parametrize(
    "words",
    [
        "500: No provider credentials configured for openai.",
        "'Response' object does not support the asynchronous context manager protocol",
    ],
    ids=["not set up", "each stream inside a job"],
)
def test_a_first_error_that_cannot_pass_is_not_sent_again(
    rig: Make, words: str
) -> None:
    """S-36: the gateway's own words say that a repeat is in vain."""
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


def test_streams_that_break_open_the_breaker(rig: Make) -> None:
    """S-113, B-45: the first events must not count as successes."""
    given = rig(*[(text("a"), httpx.ReadError("reset"))] * 5)

    for _ in range(5):
        given.listen()

    assert isinstance(given.listen().error, CircuitOpenError)


def test_a_report_of_a_broken_stream_never_raises(rig: Make) -> None:
    report = rig((text("Hel"), httpx.ReadError("reset"))).report(max_retries=0)

    assert report.error is E.STREAM_INTERRUPTED
    assert report.streamed is not None
    assert report.streamed.text == "Hel"
