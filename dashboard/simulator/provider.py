"""The LLM providers behind the gateway: replies, stream dialects, failures."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from dashboard.simulator.answers import Json, event
from dashboard.simulator.faults import FaultKind
from dashboard.simulator.world import Model

KEEPALIVE = b": keepalive\n\n"
_DONE = b"data: [DONE]\n\n"
_WORDS = [
    "The",
    "gateway",
    "relays",
    "this",
    "reply",
    "of",
    "the",
    "simulated",
    "provider",
    "word",
    "by",
    "word",
]
_TITLES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "gemini": "Gemini",
    "fireworks": "Fireworks",
}
# These two are called through their SDK, the others by plain HTTP; the texts differ.
_BY_SDK = frozenset({"openai", "anthropic"})
_USD_PER_TOKEN = 3e-7


@dataclass(frozen=True, slots=True)
class Reply:
    content: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_usd(self) -> float:
        return round(self.tokens * _USD_PER_TOKEN, 8)


@dataclass(frozen=True, slots=True)
class Failure:
    """How a provider's failure looks: the detail of a call, and a stream's error.

    `took_s` is how long the gateway tries before it gives up (contract 4).
    """

    detail: str
    stream_error: str
    took_s: float


def reply(model: Model, messages: Json, max_tokens: int | None, rng: Random) -> Reply:
    """Return a reply with plausible token counts: about 4 characters a token."""
    asked = len(str(messages)) // 4 + 3
    wanted = max(1, round(rng.lognormvariate(3.2, 0.6)))
    given = wanted if max_tokens is None else max(1, min(wanted, max_tokens))
    stop = "end_turn" if model.provider == "anthropic" else "stop"
    return Reply(
        content=" ".join(_WORDS[i % len(_WORDS)] for i in range(given)),
        finish_reason=stop if given == wanted else "length",
        prompt_tokens=asked,
        completion_tokens=given,
    )


def failure(kind: FaultKind, model: Model) -> Failure:
    """Return what the gateway says when its provider fails (contract 4 and 5)."""
    if kind is FaultKind.PROVIDER_CONFIG:
        missing = (
            f"500: No provider credentials configured for {model.provider}. "
            "Please add credentials in the admin dashboard."
        )
        return Failure(f"LLM call failed: {missing}", missing, 0.06)
    text, took_s = (
        _by_sdk(kind, model) if model.provider in _BY_SDK else _by_http(kind, model)
    )
    prefix = "500: Failed to call provider API: "
    # The stream path calls every provider by plain HTTP, without a second try.
    plain, _ = _by_http(kind, model)
    return Failure(
        f"LLM call failed: {prefix}{text}",
        prefix + plain.partition(" error: ")[2]
        if " error: " in plain
        else prefix + plain,
        took_s,
    )


def _by_sdk(kind: FaultKind, model: Model) -> tuple[str, float]:
    title = _TITLES[model.provider]
    match kind:
        case FaultKind.PROVIDER_AUTH:
            body = (
                "{'error': {'message': 'Incorrect API key provided: sk-sim-provider'}}"
            )
            took_s = 0.06 if model.provider == "openai" else 3.1
            return f"{title} authentication failed: Error code: 401 - {body}", took_s
        case FaultKind.PROVIDER_RATE_LIMIT:
            body = "{'error': {'message': 'Rate limit reached'}}"
            return f"{title} rate limit: Error code: 429 - {body}", 9.1
        case FaultKind.PROVIDER_TIMEOUT:
            return "", 120.2
        case FaultKind.PROVIDER_UNREACHABLE:
            return f"{title} error: Connection error.", 7.0
        case _:
            body = "{'error': {'message': 'The server is overloaded'}}"
            return f"{title} error: Error code: 503 - {body}", 7.1


def _by_http(kind: FaultKind, model: Model) -> tuple[str, float]:
    title, url = _TITLES[model.provider], _url(model)
    match kind:
        case FaultKind.PROVIDER_AUTH:
            text = f"Client error '401 Unauthorized' for url '{url}'"
            return f"{title} authentication failed: {text}", 0.1
        case FaultKind.PROVIDER_RATE_LIMIT:
            text = f"Client error '429 Too Many Requests' for url '{url}'"
            return f"{title} error: {text}", 3.2
        case FaultKind.PROVIDER_TIMEOUT:
            return "", 120.2
        case FaultKind.PROVIDER_UNREACHABLE:
            return "All connection attempts failed", 0.15
        case _:
            text = f"Server error '500 Internal Server Error' for url '{url}'"
            return f"{title} error: {text}", 3.2


def _url(model: Model) -> str:
    """Return the provider's address. Gemini's holds a key, which the gateway leaks."""
    match model.provider:
        case "gemini":
            return (
                "https://generativelanguage.googleapis.com/v1beta/models/"
                f"{model.actual}:generateContent?key=AIza-sim-provider-key"
            )
        case "fireworks":
            return "https://api.fireworks.ai/inference/v1/chat/completions"
        case "anthropic":
            return "https://api.anthropic.com/v1/messages"
        case _:
            return "https://api.openai.com/v1/chat/completions"


def frames(model: Model, answer: Reply, created_s: int) -> tuple[bytes, ...]:
    """Return a whole stream in the dialect of the model's provider (contract 5)."""
    match model.provider:
        case "anthropic":
            body = _anthropic(model, answer)
        case "gemini":
            body = _gemini(answer)
        case _:
            return (
                KEEPALIVE,
                *map(event, _openai(model, answer, created_s)),
                _DONE,
            )
    return (KEEPALIVE, *map(event, body))


def _openai(model: Model, answer: Reply, created_s: int) -> Iterator[Json]:
    def chunk(delta: Json, finish: str | None) -> dict[str, Json]:
        return {
            "id": f"chatcmpl-sim-{created_s}",
            "object": "chat.completion.chunk",
            "created": created_s,
            "model": model.actual,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    yield chunk({"role": "assistant", "content": ""}, None)
    for word in answer.content.split():
        yield chunk({"content": f"{word} "}, None)
    yield chunk({}, answer.finish_reason)
    usage: Json = {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.tokens,
    }
    yield {**chunk({}, None), "choices": [], "usage": usage}


def _anthropic(model: Model, answer: Reply) -> Iterator[Json]:
    message: Json = {
        "id": "msg_sim",
        "type": "message",
        "role": "assistant",
        "model": model.actual,
        "content": [],
        "usage": {"input_tokens": answer.prompt_tokens, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": message}
    yield {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    for word in answer.content.split():
        delta: Json = {"type": "text_delta", "text": f"{word} "}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": answer.finish_reason, "stop_sequence": None},
        "usage": {"output_tokens": answer.completion_tokens},
    }
    yield {"type": "message_stop"}


def _gemini(answer: Reply) -> Iterator[Json]:
    words = answer.content.split()
    for place, word in enumerate(words):
        candidate: dict[str, Json] = {
            "content": {"parts": [{"text": f"{word} "}], "role": "model"},
            "index": 0,
        }
        if place == len(words) - 1:
            candidate["finishReason"] = "STOP"
        yield {
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": answer.prompt_tokens,
                "candidatesTokenCount": place + 1,
                "totalTokenCount": answer.prompt_tokens + place + 1,
            },
        }
