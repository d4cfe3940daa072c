"""A receiver of messages on loopback, and a channel that posts to it."""

import json
import socket
from datetime import timedelta
from http.client import parse_headers
from typing import Any

from dashboard.alerts.channels import seal_into
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Channel, ChannelKind
from dashboard.pipeline import posting
from tests.factories import NOW

SECRET = "a secret of some length"
FORBIDDEN = b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver:
    """Keeps what was posted, and answers each request with `answer`.

    One that holds `refuses` gets `refusal`, as by a filter.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer = OK
        self.refuses, self.refusal = b"", FORBIDDEN

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            stream.readline()
            headers = {
                key.lower(): value for key, value in parse_headers(stream).items()
            }
            body = stream.read(int(headers["content-length"]))
        self.requests.append((headers, body))
        is_refused = self.refuses and self.refuses in body
        connection.sendall(self.refusal if is_refused else self.answer)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]


def make_channel(
    url: str, kind: ChannelKind = ChannelKind.WEBHOOK, **fields: object
) -> Channel:
    channel = Channel(name=f"to {kind}", kind=kind, **{"allow_private": True, **fields})
    seal_into(channel, url, SECRET if kind == ChannelKind.WEBHOOK else "")
    channel.save()
    return channel


def send(seconds: float = 30) -> int:
    return deliver(
        NOW + timedelta(seconds=seconds), post=posting.post, draw=lambda: 0.5
    )
