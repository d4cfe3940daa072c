"""What a streamed reply is made of: three providers' dialects, read as one.

The gateway relays what its provider sends. OpenAI's chunks end with `[DONE]`, Anthropic's
events with `message_stop`, Gemini's candidates with a finish reason; an end of the
connection proves nothing. Errors come inside a 200, as a string or as an object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from apiclient.sse import Event

_Object = dict[str, Any]  # JSON from a provider, checked where it is read


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a chunk; `delta` has `content` where there is text."""

    delta: Mapping[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a reply, shaped as OpenAI's; `raw` is the provider's own object."""

    choices: tuple[Choice, ...] = ()
    model: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text that this chunk adds to the first choice, often ""."""
        content = self.choices[0].delta.get("content") if self.choices else None
        return content if isinstance(content, str) else ""

    @property
    def finish_reason(self) -> str | None:
        return self.choices[0].finish_reason if self.choices else None


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one event says: a chunk, an error in words, the end, or nothing readable."""

    chunk: Chunk | None = None
    error: str | None = None
    ends: bool = False
    unreadable: bool = False


_DONE = Spoken(ends=True)
_UNREADABLE = Spoken(unreadable=True)


def read_event(event: Event) -> Spoken:
    """Return what an event says; no data can make it raise."""
    data = event.data.strip()
    if data == "[DONE]":
        return _DONE
    document = _object_in(data)
    if document is None:
        return Spoken(error=data) if event.name == "error" else _UNREADABLE
    error = _error_in(event, document)
    return _chunk_in(document) if error is None else Spoken(error=error)


def _chunk_in(document: _Object) -> Spoken:
    kind = document.get("type")
    if isinstance(kind, str) and "choices" not in document:
        return Spoken(_of_anthropic(document, kind), ends=kind == "message_stop")
    if "candidates" in document:
        chunk = _of_gemini(document)
        return Spoken(chunk, ends=chunk.finish_reason is not None)
    return Spoken(_of_openai(document))


def _object_in(data: str) -> _Object | None:
    try:
        document: object = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _error_in(event: Event, document: _Object) -> str | None:
    """Return an error's own words, however it is wrapped; None when there is none."""
    error = document.get("error")
    if error is None and event.name != "error" and document.get("type") != "error":
        return None
    for place in (error, document):
        if isinstance(place, str):
            return place
        if isinstance(place, dict):
            for name in ("message", "detail", "type"):
                if isinstance(place.get(name), str):
                    return str(place[name])
    return "the stream says that there was an error, and nothing more"


def _of_openai(document: _Object) -> Chunk:
    listed = document.get("choices")
    choices = listed if isinstance(listed, list) else []
    return Chunk(
        tuple(_choice(each) for each in choices if isinstance(each, dict)),
        _text(document.get("model")),
        document,
    )


def _choice(choice: _Object) -> Choice:
    delta, index = choice.get("delta"), choice.get("index")
    return Choice(
        delta if isinstance(delta, dict) else {},
        _text(choice.get("finish_reason")) or None,
        index if isinstance(index, int) else 0,
    )


def _of_anthropic(document: _Object, kind: str) -> Chunk:
    delta = document.get("delta")
    inner = delta if isinstance(delta, dict) else {}
    message = document.get("message")
    model = message.get("model") if isinstance(message, dict) else None
    text = inner.get("text") if kind == "content_block_delta" else None
    choice = Choice(
        {"content": text} if isinstance(text, str) else {},
        _text(inner.get("stop_reason")) or None,
    )
    return Chunk((choice,), _text(model), document)


def _of_gemini(document: _Object) -> Chunk:
    candidates = document["candidates"]
    first = candidates[0] if isinstance(candidates, list) and candidates else {}
    candidate = first if isinstance(first, dict) else {}
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    texts = [
        part["text"]
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]
    choice = Choice(
        {"content": "".join(texts)} if texts else {},
        _text(candidate.get("finishReason")) or None,
    )
    return Chunk((choice,), _text(document.get("modelVersion")), document)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
