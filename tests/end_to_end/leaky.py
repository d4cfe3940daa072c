"""Secrets, and servers that repeat every one of them that they are told."""

import base64
import json
import socket
from collections.abc import Iterator
from urllib.parse import quote

from tests.apiclient.rogue import request_of

# Not of the usual form, so that only knowing it can hide it.
VIRTUAL_KEY = "vk+CANARY1/of=team"
PROVIDER_KEY = "AIzaCANARY2-provider"
BODY_KEY = "sk-CANARY3-of-a-body"
PROMPT = "CANARY4 in a prompt"
MAIL_PASSWORD = "CANARY5 password"
DATABASE_PASSWORD = "CANARY6-of-database"
CHANNEL_TOKEN = "CANARY7-of-a-channel"
WEBHOOK_SECRET = "CANARY8 signs a webhook"
PING_TOKEN = "CANARY9-of-a-ping"
MARKERS = (
    VIRTUAL_KEY,
    PROVIDER_KEY,
    BODY_KEY,
    PROMPT,
    MAIL_PASSWORD,
    DATABASE_PASSWORD,
    CHANNEL_TOKEN,
    WEBHOOK_SECRET,
    PING_TOKEN,
)

PROVIDER = (
    "LLM call failed: 500: Failed to call provider API: Gemini error: Client error '400 "
    f"Bad Request' for url 'https://g.example/v1:generate?key={PROVIDER_KEY}'"
)
ITEM = {"type": "missing", "loc": ["body"], "msg": "required", "input": PROMPT}
TEAM = {
    "team_id": "acme",
    "status": "active",
    "virtual_key": BODY_KEY,
    "allowed_model_aliases": [BODY_KEY, "chat-fast"],
    "credits": {"credits_remaining": 3, "credits_allocated": 100},
}
TERMS = {"budget_mode": VIRTUAL_KEY, "refill_period": VIRTUAL_KEY.upper()}
JOB = {"job_id": "6f0f3ab0-17d8-4f0e-9a3f-000000000001", "status": "PENDING"}
MOVED = {
    "transaction_id": VIRTUAL_KEY,
    "job_id": VIRTUAL_KEY,
    "transaction_type": "deduction",
    "credits_amount": -1,
    "reason": f"see https://g.example/?key={PROVIDER_KEY}",
}
# What is answered, again and again in turn, to a request whose path holds the word.
ANSWERS: dict[str, list[tuple[int, object]]] = {
    "/balance": [
        (401, {"detail": f"Invalid API key: Bearer {VIRTUAL_KEY}"}),
        (422, {"detail": [ITEM, {**ITEM, "msg": 3}]}),
        (200, {"credits_remaining": 3, "status": VIRTUAL_KEY, **TERMS}),
        (200, {"error": {"message": f"no {VIRTUAL_KEY}"}}),
        (403, {"detail": f"Team access is suspended. {quote(VIRTUAL_KEY)}"}),
    ],
    "/transactions": [
        (200, {"transactions": [{**MOVED, "reason": f"for {VIRTUAL_KEY}"}]}),
        (200, {"transactions": [{**MOVED, "reason": f"{'x ' * 115}{VIRTUAL_KEY}"}]}),
        (200, {"transactions": [{**MOVED, "transaction_type": VIRTUAL_KEY}]}),
        (500, {"detail": f"no {VIRTUAL_KEY}"}),
        (200, {"transactions": [MOVED, {VIRTUAL_KEY: BODY_KEY}]}),
    ],
    "/usage": [
        (200, {"summary": {"total_jobs": VIRTUAL_KEY}, "period": VIRTUAL_KEY}),
        (403, {"detail": f"not for Bearer {VIRTUAL_KEY}"}),
        (200, {"summary": {"total_jobs": 1}, "job_types": {VIRTUAL_KEY: {"count": 1}}}),
    ],
    "/teams/": [
        (200, {**TEAM, "allowed_model_aliases": ["chat-fast", VIRTUAL_KEY]}),
        (500, {"virtual_key": BODY_KEY}),
        (500, {"detail": PROVIDER}),
        (422, {"detail": [{"input": PROMPT}]}),
        (503, f"<html><title>{BODY_KEY}</title></html>"),
    ],
    "/teams": [
        (200, {"teams": [TEAM, {**TEAM, "team_id": BODY_KEY}]}),
        (500, {"detail": PROVIDER}),
        (200, f"[{BODY_KEY}"),
    ],
    "/jobs/create": [
        (200, JOB),
        (200, {**JOB, "error_message": f"no {VIRTUAL_KEY}", "metadata": PROMPT}),
        (500, {"detail": PROVIDER}),
    ],
    "/llm-call-stream": [
        (200, f'data: {{"error": "{VIRTUAL_KEY}: {PROVIDER_KEY}"}}\n\n'),
        (500, {"detail": PROVIDER}),
    ],
    "/llm-call": [
        (200, {"call_id": VIRTUAL_KEY, "response": {"content": PROMPT}}),
        (500, {"detail": f"LLM call failed: Bearer {VIRTUAL_KEY}"}),
    ],
    "/complete": [
        (200, {**JOB, "status": "COMPLETED", "error_message": VIRTUAL_KEY}),
        (500, {"detail": f"{VIRTUAL_KEY[:9]}\x00{VIRTUAL_KEY[9:]}"}),
    ],
    "/jobs/": [
        (500, {"detail": PROVIDER}),
        (500, {"detail": f"{VIRTUAL_KEY[:9]}\x00{VIRTUAL_KEY[9:]}"}),
    ],
    "/health": [
        (200, {"status": f"see https://g.example/?key={PROVIDER_KEY}"}),
        (500, {"detail": f"postgres://u:{DATABASE_PASSWORD}@db/x"}),
        (307, ""),
    ],
}


def leaky(connection: socket.socket) -> None:
    """Answer in turn with everything that a careless gateway repeats."""
    head = request_of(connection).decode()
    path = head.split(" ")[1]
    word = next(word for word in ANSWERS if word in path)
    leaky_turns[word] = leaky_turns.get(word, -1) + 1
    status, said = ANSWERS[word][leaky_turns[word] % len(ANSWERS[word])]
    body = (said if isinstance(said, str) else json.dumps(said)).encode()
    connection.sendall(
        f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-ID: {VIRTUAL_KEY}\r\n"
        f"Location: https://g.example/?key={PROVIDER_KEY}\r\n\r\n".encode()
        + body
    )


leaky_turns: dict[str, int] = {}


def leaky_mail_server(connection: socket.socket) -> None:
    """Refuse to log in, and repeat in clear and in base64 what was sent."""
    connection.sendall(b"220 x\r\n")
    for line in connection.makefile("rb"):
        if line.startswith(b"AUTH"):
            coded = line.split()[-1]
            clear = base64.b64decode(coded).replace(b"\0", b" ")
            connection.sendall(b"535 5.7.8 refused: %s %s\r\n" % (coded, clear))
        else:
            connection.sendall(b"250-x\r\n250 AUTH PLAIN\r\n")


def leaky_receiver(connection: socket.socket) -> None:
    """Take down the body of what is posted, and answer with its address."""
    head, _, body = request_of(connection).partition(b"\r\n\r\n")
    if body:
        posted.append(body)
    path = head.split(b" ")[1]
    connection.sendall(b"HTTP/1.1 404 %s\r\nX: %s\r\n\r\n%s" % (path, path, path))


posted: list[bytes] = []


def forms() -> Iterator[str]:
    """Yield how the markers may look; CANARY alone finds what was only cut."""
    yield "CANARY"
    for marker in MARKERS:
        yield quote(marker)
        # Wherever it stands in what was encoded: at each of the three places.
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + marker.encode()).decode()[4:-4]
            # Shorter, and some CSRF token would hold it by chance.
            assert len(coded) >= 12, marker
            yield coded
