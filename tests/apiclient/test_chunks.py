"""The three dialects of a streamed reply, and its errors: S-90, S-94, B-63, B-66."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiclient.chunks import read_event
from apiclient.sse import Event


def read(document: object, name: str = "message") -> tuple[str, str | None, bool]:
    """Return the text, the error and whether the event ends the stream."""
    spoken = read_event(Event(json.dumps(document), name))
    return spoken.chunk.text if spoken.chunk else "", spoken.error, spoken.ends


def openai(**choice: object) -> dict[str, object]:
    return {"model": "gpt", "choices": [{"index": 0, **choice}]}


def anthropic(kind: str, **fields: object) -> dict[str, object]:
    return {"type": kind, **fields}


def gemini(text: str, **fields: object) -> dict[str, object]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **fields}]}


@pytest.mark.parametrize(
    ("document", "text", "ends"),
    [
        (openai(delta={"content": "Hi"}), "Hi", False),
        (openai(delta={"content": None}), "", False),
        (openai(delta={"content": ["H", "i"]}), "", False),
        (openai(delta={}, finish_reason="stop"), "", False),
        (openai(), "", False),
        ({"choices": []}, "", False),
        ({"choices": None}, "", False),
        ({"choices": [None, 3]}, "", False),
        ({"usage": {"total_tokens": 3}}, "", False),
        (anthropic("message_start", message={"model": "claude"}), "", False),
        (anthropic("content_block_delta", delta={"text": "Hi"}), "Hi", False),
        (anthropic("content_block_delta", delta={"partial_json": "{"}), "", False),
        (anthropic("ping"), "", False),
        (anthropic("message_delta", delta={"stop_reason": "end_turn"}), "", False),
        (anthropic("message_stop"), "", True),
        (gemini("Hi"), "Hi", False),
        (gemini("Hi", finishReason="STOP"), "Hi", True),
        ({"candidates": []}, "", False),
        ({"candidates": [{"content": None}]}, "", False),
    ],
)
def test_each_dialect_gives_its_text_and_its_end(
    document: object, text: str, *, ends: bool
) -> None:
    """S-90, X-37: chunks without choices, content or text are no error."""
    assert read(document) == (text, None, ends)


def test_a_chunk_is_read_as_the_guide_reads_it() -> None:
    """S-90: the guide's own loop."""
    chunk = read_event(Event(json.dumps(openai(delta={"content": "Hi"})))).chunk

    assert chunk is not None
    assert chunk.choices[0].delta.get("content", "") == "Hi"


@pytest.mark.parametrize(
    ("data", "ends"),
    [("[DONE]", True), (" [DONE] ", True), ("[DONE]x", False), ("[done]", False)],
)
def test_done_is_exact(data: str, *, ends: bool) -> None:
    """B-63."""
    assert read_event(Event(data)).ends is ends


@pytest.mark.parametrize(
    ("document", "name", "error"),
    [
        ({"error": "500: it broke"}, "message", "500: it broke"),
        ({"error": {"message": "too many", "type": "rate"}}, "message", "too many"),
        ({"error": {"type": "overloaded"}}, "message", "overloaded"),
        ({"type": "error", "error": {"message": "busy"}}, "message", "busy"),
        ({"message": "by name"}, "error", "by name"),
        ({"choices": [], "error": {"message": "late"}}, "message", "late"),
    ],
)
def test_an_error_inside_a_stream_is_one(
    document: object, name: str, error: str
) -> None:
    """S-94: as a string, as an object, or by the event's name."""
    assert read(document, name)[1] == error


def test_an_error_of_no_words_is_still_an_error() -> None:
    """S-94."""
    assert read({"error": {}})[1] is not None
    assert read_event(Event("plain words", "error")).error == "plain words"


def test_a_null_error_is_none() -> None:
    assert read(openai(delta={"content": "a"}) | {"error": None})[1] is None


@pytest.mark.parametrize("data", ["not json", "[1]", "3", "null", '{"a": NaN}', "{"])
def test_what_is_no_object_is_unreadable(data: str) -> None:
    """B-66."""
    assert read_event(Event(data)).unreadable


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "error", "type", "candidates"])
            | st.sampled_from(["content", "parts", "text", "message", "index"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["message", "error", "ping"]))
def test_no_event_can_make_it_raise(document: object, name: str) -> None:
    read(document, name)


def test_a_deeply_nested_event_is_unreadable() -> None:
    assert read_event(Event("[" * 100_000)).unreadable
