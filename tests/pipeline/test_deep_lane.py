"""The lane of the paid probes: serial at each gateway, and none waits for another's."""

import socket
import time
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import DatabaseError
from django.utils import timezone
from django_q.models import OrmQ

from dashboard import pipeline
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.simulator.running import RunningGateway
from dashboard.teams.keys import set_key
from dashboard.teams.models import Team
from tests.apiclient.rogue import request_of, rogue
from tests.factories import make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db(transaction=True)

# In this order they are due; the last is capped where another has cost a credit.
KINDS = (ProbeKind.KEY_CHECK, ProbeKind.DEEP_JOB, ProbeKind.STREAM_JOB)


@pytest.fixture(autouse=True)
def due(team: Team) -> None:
    """Make three paid probes of one team due."""
    Team.objects.update(daily_credit_cap=1)
    Probe.objects.update(enabled=False)
    for place, kind in enumerate(KINDS):
        Probe.objects.filter(kind=kind).update(
            enabled=True,
            model="chat-fast",
            daily_credit_cap=100,
            next_run=timezone.now() - timedelta(seconds=10 - place),
        )


def jobs(simulator: RunningGateway) -> int:
    return sum(seen.path.endswith("/complete") for seen in simulator.requests)


def test_a_gateway_that_hangs_keeps_nobody_else_waiting(
    simulator: RunningGateway,
) -> None:
    meanwhile = []

    def hangs(connection: socket.socket) -> None:
        request_of(connection)
        gives_up_at = time.monotonic() + 10
        while jobs(simulator) < 2 and time.monotonic() < gives_up_at:
            time.sleep(0.01)
        meanwhile.append(jobs(simulator))

    with rogue(hangs) as server:
        other = make_team(make_gateway(base_url=server.url, allow_private=True))
        set_key(other, "sk-of-another-gateway", timezone.now())
        make_probe(other, kind=ProbeKind.KEY_CHECK)

        assert pipeline.deep() == 4

    assert meanwhile == [2]


def test_what_a_run_has_cost_stops_the_next_one_at_the_cap_of_their_team() -> None:
    """C-20: also where it was due at the same moment."""
    assert pipeline.deep() == 3

    _, ran, capped = Outcome.objects.order_by("started_at")
    assert (ran.credits, capped.credits) == (1.0, None)
    assert "the team's cap of 1 credits a day is reached" in capped.detail
    assert not OrmQ.objects.exists()


def test_what_a_run_has_cost_is_stored_though_the_database_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C-20: what is not counted is spent again."""
    flush = Recorder.flush

    def away_once(recorder: Recorder, now: datetime) -> None:
        monkeypatch.setattr(Recorder, "flush", flush)
        raise DatabaseError("the database is restarted")

    monkeypatch.setattr(Recorder, "flush", away_once)

    with pytest.raises(DatabaseError):
        pipeline.deep()

    assert Outcome.objects.count() == 1


def test_a_round_that_ends_with_work_left_queues_the_next(
    settings: LazySettings,
) -> None:
    settings.DEEP_S = 0

    assert pipeline.deep() == 1

    assert [job.func() for job in OrmQ.objects.all()] == ["dashboard.pipeline.deep"]
