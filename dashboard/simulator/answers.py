"""What the gateway answers, as a value: nothing is sent here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Json: TypeAlias = (
    bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
)

EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    `think_s` is how long the gateway works before its first byte (a stream: after its
    keepalive). `closes` ends the connection afterwards, without saying so. A stream has
    `chunks` in place of a body, and `cut_after` of them when it is cut off.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    think_s: float = 0.0
    closes: bool = False
    chunks: tuple[bytes, ...] | None = None
    cut_after: int | None = None


class Refusal(Exception):  # noqa: N818 - it ends a request, and nothing is amiss
    """Ends a request with the answer it carries."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json_answer(
    payload: Json,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
    think_s: float = 0.0,
) -> Answer:
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status=status, body=body, headers=headers, think_s=think_s)


def detail(
    status: int, text: Json, *headers: tuple[str, str], think_s: float = 0.0
) -> Answer:
    """Return an error in the framework's one JSON form."""
    return json_answer(
        {"detail": text}, status=status, headers=headers, think_s=think_s
    )


def refuse(status: int, text: Json) -> Refusal:
    return Refusal(detail(status, text))


def text_500() -> Answer:
    """Return an unhandled error: plain text, and the server closes (contract 1.8, 1.9)."""
    return Answer(
        status=500,
        body=b"Internal Server Error",
        content_type="text/plain; charset=utf-8",
        closes=True,
    )


def html(status: int, title: str, *headers: tuple[str, str]) -> Answer:
    """Return an error page as a proxy in front sends it."""
    page = (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {title}</h1></center>\r\n<hr><center>nginx</center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    return Answer(
        status=status,
        body=page.encode(),
        content_type="text/html",
        headers=headers,
    )


def redirect(location: str) -> Answer:
    return Answer(status=307, content_type="", headers=(("location", location),))


def event(payload: Json) -> bytes:
    """Return one server-sent event as the gateway frames it (contract 5)."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def stream(
    *chunks: bytes, think_s: float = 0.0, cut_after: int | None = None
) -> Answer:
    return Answer(
        content_type=EVENT_STREAM,
        headers=(("cache-control", "no-cache"), ("x-accel-buffering", "no")),
        think_s=think_s,
        chunks=chunks,
        cut_after=cut_after,
    )
