"""Streams as both clients give them, on fake time: S-90 to S-95 and B-62 to B-67."""

import asyncio
import json

import httpx
import pytest

from apiclient import (
    CircuitOpenError,
    RetryPolicy,
    StreamLimits,
)
from apiclient.breaker import BreakerPolicy
from tests.apiclient.fakes import JOB, says
from tests.apiclient.stream_rig import (
    CHAT,
    DONE,
    HELLO,
    KEEPALIVE,
    Make,
    Rig,
    text,
)


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


def test_a_marker_without_its_last_line_break_counts(rig: Make) -> None:
    """B-63."""
    assert rig((text("Hi"), b"data: [DONE]")).listen().error is None


def test_what_follows_the_marker_is_not_read(rig: Make) -> None:
    """B-63: the gateway's books may fail after [DONE]; the reply is whole."""
    given = rig((text("Hi"), DONE, httpx.ReadError("reset")))

    assert given.listen().error is None
    assert given.bodies[0].closed


def test_the_consumers_own_time_is_no_pause() -> None:
    """B-62: a slow reader is not a slow gateway."""
    given = Rig("sync", (text("a"), 1.0, text("b"), 1.0, DONE))
    texts = []

    for chunk in given.sync.chat_stream(JOB, model="m", messages=CHAT):
        texts.append(chunk.text)
        given.time.elapsed_s += 30

    assert texts == ["a", "b"]


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


def test_a_whole_stream_can_be_reported(rig: Make) -> None:
    report = rig(HELLO).report()

    assert report.value is not None
    assert report.value.text == "Hello"


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
