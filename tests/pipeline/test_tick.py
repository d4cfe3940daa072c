"""The whole way of a probe, with the stand-in gateway and a real database."""

import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from django_q.models import OrmQ

from dashboard import pipeline
from dashboard.alerts.services import install_default_rules
from dashboard.pipeline.prober import Prober
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.attempts import attempts_of
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import (
    Breaker,
    BreakerEvent,
    Heartbeat,
    Outcome,
    Probe,
    ProbeKind,
)
from dashboard.rollups.models import Rollup
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.teams import keys
from dashboard.teams.models import CreditReading, Gateway, Team
from dashboard.web.credit_levels import standing
from tests.factories import make_gateway, make_team

pytestmark = pytest.mark.django_db(transaction=True)


def classes() -> Counter[tuple[str, str]]:
    return Counter(Outcome.objects.values_list("probe__kind", "error_class"))


def test_a_tick_stores_outcomes_rollups_status_and_credits(team: Team) -> None:
    assert pipeline.tick(seconds=0.3) == 3

    assert classes() == {
        ("health", ""): 1,
        ("team_status", ""): 1,
        ("balance", ""): 1,
    }
    assert Rollup.objects.filter(level=60).count() == 3
    team.refresh_from_db()
    assert team.status == "active"
    assert team.model_aliases
    assert CreditReading.objects.filter(team=team, remaining__gt=0).count() == 2
    health = Outcome.objects.get(probe__kind="health")
    assert health.latency_us > 0
    assert health.detail == ""
    assert health.attempt_log is None
    assert health.request_id is None
    assert (health.host, health.tls_us, health.stream) == ("", None, None)
    [attempt] = attempts_of(health)
    phases = (attempt.connect_s, attempt.first_byte_s, attempt.body_s)
    assert sum(filter(None, phases)) == pytest.approx(attempt.latency_s, abs=1e-6)
    hour = Rollup.objects.get(level=3600, probe__kind="health")
    assert (hour.phased, hour.phased_sum_us) == (1, health.latency_us)
    assert (hour.connect_sum_us, hour.first_byte_sum_us) == (
        health.connect_us,
        health.first_byte_us,
    )


def test_a_tick_beats_hands_over_and_leaves_no_lease(gateway: Gateway) -> None:
    pipeline.tick(seconds=0.1)

    beat = Heartbeat.objects.get(name="tick-0")
    assert beat.beat_at is not None
    assert beat.leased_until is None
    assert [row.task["func"] for row in OrmQ.objects.all()] == [
        "dashboard.pipeline.tick"
    ]
    assert Probe.objects.get().leased_until is None


def test_a_short_period_runs_again_within_one_tick(gateway: Gateway) -> None:
    # One run now, the next one in the rhythm: 2.8 s from now.
    Probe.objects.update(period_s=5, next_run=timezone.now() - timedelta(seconds=2.2))

    pipeline.tick(seconds=3)

    assert Outcome.objects.count() == 2


def test_a_clock_that_went_back_holds_up_no_claimed_probe(gateway: Gateway) -> None:
    before = timezone.now() + timedelta(hours=1)
    Probe.objects.update(next_run=before + timedelta(seconds=0.2))
    recorder = Recorder()

    with Prober(recorder, CHEAP) as prober:
        prober.start_due(before)
        began_s = time.monotonic()
        prober.drain()

    assert recorder.stored == 1
    assert 0.1 < time.monotonic() - began_s < 5


def test_a_failure_keeps_its_attempts_and_a_redacted_detail(
    simulator: RunningGateway, gateway: Gateway
) -> None:
    simulator.set_fault(Fault(FaultKind.ERROR_TEXT))

    pipeline.tick(seconds=0.2)

    outcome = Outcome.objects.get()
    assert outcome.error_class == "server_error"
    assert outcome.attempts == 2, "a probe makes at most one retry"
    assert [row[:2] for row in outcome.attempt_log or ()] == [["server_error", 500]] * 2
    probe = Probe.objects.get()
    assert probe.failing_since == outcome.started_at


def test_a_suspended_team_is_seen_by_its_status_and_by_its_403(
    simulator: RunningGateway, team: Team
) -> None:
    simulator.set_fault(Fault(FaultKind.TEAM_SUSPENDED, team="acme"))
    simulator.team("acme").credits_remaining = -4

    pipeline.tick(seconds=0.3)

    team.refresh_from_db()
    assert team.status == "suspended"
    # Its own key reads nothing; the look-up without a key tells its credits all the same.
    reading = CreditReading.objects.get()
    said = standing(reading, list(team.probes.all()), None, timezone.now())
    assert (reading.remaining, said.word, said.is_current) == (-4, "overdrawn", True)
    assert classes()["balance", "team_suspended"] == 1
    assert classes()["team_status", ""] == 1


def test_an_open_breaker_never_blinds_the_cheap_probes(
    simulator: RunningGateway, gateway: Gateway
) -> None:
    simulator.set_fault(Fault(FaultKind.ERROR_JSON))
    for _ in range(4):
        Probe.objects.update(next_run=timezone.now())
        pipeline.tick(seconds=0.1)
    assert Breaker.objects.get(key__endswith="GET /health").open_until > 0

    simulator.clear_faults()
    Probe.objects.update(next_run=timezone.now())
    pipeline.tick(seconds=0.1)

    assert Outcome.objects.latest("started_at").error_class == ""
    assert Breaker.objects.get(key__endswith="GET /health").open_until == 0
    changes = BreakerEvent.objects.filter(key__endswith="GET /health").order_by("at")
    assert list(changes.values_list("before", "after", "reason")) == [
        ("closed", "open", "server_error"),
        ("open", "closed", "server_error"),
    ]


def test_a_key_that_cannot_be_resolved_is_our_fault_and_sends_nothing(
    simulator: RunningGateway, team: Team
) -> None:
    keys.set_key(team, "env:NOT_SET_ANYWHERE", timezone.now())

    pipeline.tick(seconds=0.2)

    assert classes()["balance", "config_error"] == 1
    assert not [r for r in simulator.requests if r.path.endswith("/balance")]


def test_probes_of_a_dead_gateway_leave_threads_for_the_others(
    simulator: RunningGateway, gateway: Gateway
) -> None:
    with running_gateway(teams=["acme"]) as other:
        other.set_fault(Fault(FaultKind.HANG))
        dead = make_gateway(base_url=other.base_url, allow_private=True)
        for number in range(20):
            team = make_team(dead, team_id=f"team-{number}")
            Probe.objects.create(
                gateway=dead,
                team=team,
                kind=ProbeKind.TEAM_STATUS,
                period_s=5,
                next_run=timezone.now() - timedelta(seconds=2),
            )
        timer = threading.Timer(0.7, other.clear_faults)
        timer.start()

        pipeline.tick(seconds=0.5)
        timer.join()

    health = Outcome.objects.get(probe__kind="health")
    stuck = Outcome.objects.filter(probe__kind="team_status").earliest("started_at")
    assert health.error_class == ""
    assert health.started_at - stuck.started_at < timedelta(seconds=0.5)


def test_outcomes_are_kept_while_the_database_is_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_default_rules()
    answers = pipeline.probe_now(list(Probe.objects.all()), timezone.now())
    Outcome.objects.all().delete()
    recorder = Recorder()
    recorder.add(answers[0])
    answers[0].outcome.pk = None

    with connection.execute_wrapper(_away), pytest.raises(OperationalError):
        recorder.flush(timezone.now())
    recorder.flush(timezone.now())

    assert Outcome.objects.count() == 1


def _away(*_: object) -> None:
    raise OperationalError
