"""What a hostile gateway says ends as a row: it stops no tick and no other gateway."""

import json
import socket
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from dashboard import pipeline
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.models import Breaker, Outcome, Probe, ProbeKind
from dashboard.simulator.running import running_gateway
from dashboard.teams.models import Team
from tests.apiclient.rogue import request_of, rogue, sends
from tests.factories import make_gateway, make_probe, make_team

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.hostile]

NUL = "a\x00b"
BIDI = "\u202eevil\u2066\u061c"
ANSI = "\x1b[31mred\x1b[0m\x1b]0;title\x07"
SCRIPT = "<script>alert(1)</script>"
KEY = "sk-CANARY1234567890"

ANSWERS: dict[str, object] = {
    "nul in every text": {
        "team_id": NUL,
        "status": NUL,
        "organization_id": NUL,
        "access_groups": [NUL],
        "allowed_model_aliases": [NUL, BIDI, ANSI, SCRIPT, KEY],
        "credits": {"status": NUL, "budget_mode": NUL, "credits_remaining": 1},
    },
    "odd numbers": {
        "team_id": 7,
        "status": ["active"],
        "credits_remaining": "1e999",
        "credits_allocated": 10**400,
        "credits_used": -1e308,
        "created_at": "99999-01-01T00:00:00Z",
    },
    "huge": {
        "team_id": "x" * 100_000,
        "status": "y" * 100_000,
        "allowed_model_aliases": ["z" * 1000] * 10_000,
        "credits_remaining": 1,
    },
    "many models": {"status": "active", "allowed_model_aliases": ["m" * 255] * 200},
    "nested": json.loads("[" * 300 + "]" * 300),
    "an unhealthy word": {"status": f"{KEY} {NUL} ?key=CANARY {BIDI} {ANSI}"},
    "a number": 3,
    "nothing": None,
    "text": f"{NUL} {KEY}",
    "a date": {"team_id": "t", "status": "active", "created_at": "100000-01-01"},
}
TEXTS: dict[str, bytes] = {
    "lone surrogate": rb'{"status":"\ud800","team_id":"\udc00"}',
    "not a number": b'{"team_id":"t","status":"active","credits_remaining":NaN}',
    "infinite": b'{"team_id":"t","status":"active","credits_remaining":1e400}',
    "bytes": bytes(range(256)) * 40,
    "deep": b'{"detail":' * 990 + b"1" + b"}" * 990,
    "deeper": b"[" * 100_000,
    "html": b"<html><title>\x00" + SCRIPT.encode() + b"</title></html>",
}
BODIES = TEXTS | {name: json.dumps(body).encode() for name, body in ANSWERS.items()}


def answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def watch(base_url: str, team_id: str) -> Team:
    gateway = make_gateway(base_url=base_url, allow_private=True)
    team = make_team(gateway, team_id=team_id)
    for owner, kind in ((None, ProbeKind.HEALTH), (team, ProbeKind.TEAM_STATUS)):
        Probe.objects.create(
            gateway=gateway,
            team=owner,
            kind=kind,
            period_s=60,
            next_run=timezone.now() - timedelta(seconds=1),
        )
    return team


@pytest.mark.parametrize("status", [200, 422, 500])
def test_no_answer_stops_the_prober(status: int) -> None:
    with ExitStack() as servers:
        hostile = {}
        for name, body in BODIES.items():
            server = servers.enter_context(rogue(sends(answer(status, body))))
            hostile[name] = watch(server.url, "hostile")
        neighbour = servers.enter_context(running_gateway(["good"]))
        good = watch(neighbour.base_url, "good")

        assert pipeline.tick(seconds=0.3) == 2 * len(hostile) + 2

    assert not Outcome.objects.filter(error_class="internal_error").exists()
    assert [outcome.error_class for outcome in _outcomes(good)] == ["", ""]
    for name, team in hostile.items():
        assert _is_harmless(team), name


def _outcomes(team: Team) -> QuerySet[Outcome]:
    return Outcome.objects.filter(probe__gateway=team.gateway)


def _is_harmless(team: Team) -> bool:
    """Say whether nothing that was kept of the answers can hurt who reads it."""
    team.refresh_from_db()
    details = _outcomes(team).values_list("detail", flat=True)
    said = json.dumps([*details, team.status, *team.model_aliases], ensure_ascii=False)
    marks = ("CANARY", "\\u0000", "\\u001b", "\u202e", "\u2066", "\u061c")
    return (
        not any(mark in said for mark in marks)
        and len(said) < 20_000
        and all(reading.remaining in {None, 1.0} for reading in team.readings.all())
    )


def test_a_team_with_a_long_foreign_name_blinds_no_neighbour() -> None:
    """Quoted, its id is eight times as long as a breaker's key may be."""
    with rogue(sends(answer(500, b"{}"))) as server:
        team = watch(server.url, "\N{WOMAN}" * 255)
        make_probe(make_team(team.gateway, team_id="good"), next_run=timezone.now())

        assert pipeline.tick(seconds=0.3) == 3

    assert Breaker.objects.count() >= 2


def test_an_answer_of_countless_short_texts_is_not_looked_through() -> None:
    """A megabyte of them took a second in which no other gateway's probe ran."""
    honest = {"team_id": "a", "status": "active", "credits_remaining": 3}
    honest["allowed_model_aliases"] = ["m" * 200] * 200
    hostile = {**honest, "texts": ["short text"] * 20_000}
    teams = []
    with ExitStack() as servers:
        for document in (honest, hostile):
            body = json.dumps(document).encode()
            server = servers.enter_context(rogue(sends(answer(200, body))))
            gateway = make_gateway(base_url=server.url, allow_private=True)
            teams.append(make_team(gateway, team_id="a"))
        seen = [pipeline.probe_now([make_probe(t)], timezone.now()) for t in teams]

    assert [each[0].outcome.error_class for each in seen] == ["", "too_large"]


def test_what_the_database_refuses_keeps_out_no_other_outcome() -> None:
    with running_gateway(["good"]) as gateway:
        watch(gateway.base_url, "good")
        wanted = list(Probe.objects.order_by("pk"))
        answers = pipeline.probe_now(wanted, timezone.now())
    Outcome.objects.all().delete()
    recorder = Recorder()
    for answer in answers:
        recorder.add(answer)
    answers[0].outcome.attempts = None  # type: ignore[assignment]  # a column wants it

    recorder.flush(timezone.now())
    recorder.flush(timezone.now())

    assert [row.probe for row in Outcome.objects.all()] == [wanted[1]]
    assert recorder.stored == 1


def test_a_try_that_was_rolled_back_takes_no_other_rows_number() -> None:
    with running_gateway(["good"]) as gateway:
        watch(gateway.base_url, "good")
        probes = list(Probe.objects.order_by("pk"))
        answers = pipeline.probe_now(probes, timezone.now())
        # The second try comes when somebody else has stored rows under their numbers.
        Outcome.objects.update(started_at=timezone.now() - timedelta(hours=1))
    recorder = Recorder()
    recorder.add(answers[0])

    recorder.flush(timezone.now())

    assert recorder.stored == 1
    assert Outcome.objects.count() == 3


def test_a_silent_gateway_holds_half_of_the_threads_at_most() -> None:
    """Also when it holds nearly half already and many more of its probes fall due."""
    seen = []
    seen_all = threading.Event()

    def silent(connection: socket.socket) -> None:
        request_of(connection)
        seen_all.wait(10)

    def look() -> None:
        seen.append(server.connections)
        seen_all.set()

    with rogue(silent) as server:
        gateway = make_gateway(base_url=server.url, allow_private=True)
        for number in range(19):
            Probe.objects.create(
                gateway=gateway,
                team=make_team(gateway),
                kind=ProbeKind.TEAM_STATUS,
                period_s=5,
                next_run=timezone.now() + timedelta(seconds=0 if number < 7 else 1.2),
            )

        timer = threading.Timer(2, look)
        timer.start()
        pipeline.tick(seconds=1.8)
        timer.join()

    assert seen == [settings.PROBE_THREADS // 2]
