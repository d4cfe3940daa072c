"""The whole way of a probe, with the stand-in gateway and a real database."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from django_q.models import OrmQ

from dashboard import pipeline
from dashboard.alerts.models import Incident
from dashboard.alerts.services import install_default_rules
from dashboard.pipeline.prober import Prober
from dashboard.pipeline.recorder import Recorder
from dashboard.probes import services
from dashboard.probes.attempts import attempts_of, stream_of
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
from dashboard.web.prober import prober
from dashboard.web.states import state_of
from tests.apiclient.rogue import Script, request_of, rogue
from tests.factories import make_gateway, make_outcome, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def simulator() -> Iterator[RunningGateway]:
    with running_gateway(teams=["acme"]) as gateway:
        yield gateway


@pytest.fixture
def gateway(simulator: RunningGateway) -> Gateway:
    gateway = make_gateway(base_url=simulator.base_url, allow_private=True)
    services.watch_gateway(gateway, timezone.now())
    return gateway


@pytest.fixture
def team(simulator: RunningGateway, gateway: Gateway) -> Team:
    team = make_team(gateway, team_id="acme")
    keys.set_key(team, simulator.team("acme").virtual_key, timezone.now())
    services.watch_team(team, timezone.now() - timedelta(seconds=15))
    return team


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


def streaming(
    sent: list[str], *, charged: bool = True, loses_completion: bool = False
) -> Script:
    """Return a gateway whose streams inside jobs work, and note what it is asked."""
    job = {"job_id": str(UUID(int=7)), "status": "PENDING"}
    done = {**job, "status": "COMPLETED", "costs": {"credit_applied": charged}}

    def script(connection: socket.socket) -> None:
        path = request_of(connection).decode().split(" ")[1]
        again = path in sent
        sent.append(path)
        if loses_completion and path.endswith("complete") and not again:
            return
        kind, body = "application/json", json.dumps(job)
        if path.endswith("stream"):
            kind = "text/event-stream"
            chunks = [{"choices": [{"delta": {"content": text}}]} for text in "OK"]
            events = [*map(json.dumps, chunks), "[DONE]"]
            body = "".join(f"data: {event}\n\n" for event in events)
        elif path.endswith("complete"):
            body = json.dumps(done)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
        said = f"{head}Content-Length: {len(body)}\r\n\r\n{body}"
        connection.sendall(said.encode())

    return script


class TestDeepProbe:
    @pytest.fixture
    def probe(self, team: Team, admin_user: object) -> Probe:
        Probe.objects.exclude(kind=ProbeKind.DEEP_JOB).update(enabled=False)
        probe = Probe.objects.get(kind=ProbeKind.DEEP_JOB)
        services.accept_cost(
            probe,
            user=admin_user,  # type: ignore[arg-type]
            model="chat-fast",
            daily_credit_cap=1,
            now=timezone.now(),
        )
        return probe

    def again(self, probe: Probe) -> Outcome:
        Probe.objects.filter(pk=probe.pk).update(next_run=timezone.now())
        assert pipeline.deep() == 1
        return Outcome.objects.latest("started_at")

    def test_it_runs_a_whole_job_and_counts_the_credit(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        before = simulator.team("acme").credits_remaining

        outcome = self.again(probe)

        assert (outcome.error_class, outcome.credits) == ("", 1.0)
        assert simulator.team("acme").credits_remaining == before - 1

    def test_a_team_that_pays_by_tokens_is_counted_and_capped_by_them(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        simulated = simulator.team("acme")
        simulated.budget_mode, simulated.tokens_per_credit = "consumption_tokens", 5
        Probe.objects.filter(kind=ProbeKind.TEAM_STATUS).update(enabled=True)
        pipeline.tick(seconds=0.3)
        before = simulated.credits_remaining

        # It may cost 50 tokens, which are 10 credits here: more than its cap.
        capped = self.again(probe)
        Probe.objects.filter(pk=probe.pk).update(daily_credit_cap=100)
        outcome = self.again(probe)

        assert capped.error_class == "config_error"
        charged = before - simulated.credits_remaining
        assert charged > 1
        assert outcome.credits == charged

    def test_its_cap_stops_it_before_anything_is_sent(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        self.again(probe)
        sent = len(simulator.requests)

        outcome = self.again(probe)

        assert outcome.error_class == "config_error"
        assert "cap of 1 credits a day is reached" in outcome.detail
        assert len(simulator.requests) == sent

    def test_the_cap_of_its_team_counts_all_paid_probes_together(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        Team.objects.update(daily_credit_cap=1)
        Probe.objects.filter(pk=probe.pk).update(daily_credit_cap=100)
        streamed = Probe.objects.get(kind=ProbeKind.STREAM_JOB)
        make_outcome(streamed, started_at=timezone.now(), credits=1)
        sent = len(simulator.requests)

        outcome = self.again(probe)

        assert "the team's cap of 1 credits a day is reached: 1 spent" in outcome.detail
        assert len(simulator.requests) == sent
        probe.refresh_from_db()
        assert probe.capped_on == outcome.started_at.date()
        state = state_of(probe, prober(timezone.now()), timezone.now())
        assert state.state.value == "cap reached"

    @pytest.mark.parametrize("kind", [ProbeKind.DEEP_JOB, ProbeKind.STREAM_JOB])
    @pytest.mark.parametrize(
        "fault",
        [
            FaultKind.PROVIDER_AUTH,
            FaultKind.ERROR_TEXT,
            FaultKind.MALFORMED_JSON,
            FaultKind.RESET,
        ],
    )
    def test_no_job_is_left_open(
        self, fault: FaultKind, kind: str, simulator: RunningGateway, probe: Probe
    ) -> None:
        simulator.set_fault(Fault(fault, route="*/llm-call*"))
        Probe.objects.filter(kind=ProbeKind.STREAM_JOB).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=kind)

        self.again(probe)

        jobs = simulator.gateway.world.jobs.values()
        assert [job.state.value.lower() for job in jobs] == ["failed"]
        assert Outcome.objects.get().credits is None

    def test_a_completion_that_charged_nothing_is_a_success(self, probe: Probe) -> None:
        """A-45: and no alarm."""
        install_default_rules()
        Probe.objects.filter(kind=ProbeKind.STREAM_JOB).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=ProbeKind.STREAM_JOB)
        with rogue(streaming([], charged=False)) as server:
            Gateway.objects.update(base_url=server.url)
            outcome = self.again(probe)

        assert (outcome.error_class, outcome.credits) == ("", None)
        assert not Incident.objects.exists()

    def test_a_completion_that_was_said_twice_is_counted(self, probe: Probe) -> None:
        """C-20: the first was charged, though the second says that it was free."""
        Probe.objects.filter(kind=ProbeKind.STREAM_JOB).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=ProbeKind.STREAM_JOB)
        sent: list[str] = []
        script = streaming(sent, charged=False, loses_completion=True)
        with rogue(script) as server:
            Gateway.objects.update(base_url=server.url)
            outcome = self.again(probe)

        assert sum(path.endswith("complete") for path in sent) == 2
        assert (outcome.error_class, outcome.credits) == ("", 1.0)

    def test_runs_that_are_asked_for_together_share_the_cap(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        """C-20: also by the command, that runs all of them in a row."""
        ran, capped = pipeline.probe_now([probe, probe], timezone.now())

        assert (ran.outcome.credits, capped.outcome.credits) == (1.0, None)
        assert "cap of 1 credits a day is reached" in capped.outcome.detail

    def test_a_streamed_reply_tells_its_first_token_and_is_charged_once(
        self, probe: Probe
    ) -> None:
        Probe.objects.filter(kind=ProbeKind.STREAM_JOB).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=ProbeKind.STREAM_JOB)
        sent: list[str] = []
        with rogue(streaming(sent)) as server:
            Gateway.objects.update(base_url=server.url)
            outcome = self.again(probe)

        assert (outcome.error_class, outcome.credits) == ("", 1.0)
        assert outcome.ttft_us is not None
        streamed = stream_of(outcome)
        assert streamed is not None
        assert streamed.chunks == 2
        assert [path.rpartition("/")[2] for path in sent] == [
            "create",
            "llm-call-stream",
            "complete",
        ]

    def test_a_stream_that_the_gateway_cannot_make_fails_the_job(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        """The gateway answers 200 and one error event, always."""
        Probe.objects.filter(kind=ProbeKind.STREAM_JOB).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=ProbeKind.STREAM_JOB)

        outcome = self.again(probe)

        assert outcome.error_class == "stream_error"
        assert outcome.credits is None
        jobs = simulator.gateway.world.jobs.values()
        assert [job.state.value.lower() for job in jobs] == ["failed"]

    def test_a_failed_call_completes_the_job_as_failed_and_costs_nothing(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        simulator.set_fault(Fault(FaultKind.PROVIDER_AUTH))
        before = simulator.team("acme").credits_remaining

        outcome = self.again(probe)

        assert (outcome.error_class, outcome.credits) == ("provider_auth", None)
        assert simulator.team("acme").credits_remaining == before
        assert simulator.requests[-1].path.endswith("/complete")

    def test_an_open_breaker_holds_it_and_shows_it_as_held(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        key = f"{probe.gateway.base_url.removeprefix('http://')}|*|*"
        Breaker.objects.create(
            gateway=probe.gateway,
            key=key,
            failures=5,
            open_until=timezone.now().timestamp() + 60,
            version=5,
        )
        sent = len(simulator.requests)

        outcome = self.again(probe)

        assert outcome.error_class == "breaker_held"
        assert outcome.attempts == 0
        assert len(simulator.requests) == sent
        assert Rollup.objects.filter(level=60).get().excluded == 1

    def test_the_free_kind_creates_a_job_and_fails_it(
        self, simulator: RunningGateway, team: Team
    ) -> None:
        Probe.objects.update(enabled=False)
        free = Probe.objects.get(kind=ProbeKind.KEY_CHECK)
        free.enabled = True
        free.save()
        before = simulator.team("acme").credits_remaining

        outcome = self.again(free)

        assert (outcome.error_class, outcome.credits) == ("", None)
        assert simulator.team("acme").credits_remaining == before
        paths = [request.path for request in simulator.requests]
        assert paths[-2] == "/api/jobs/create"
        assert paths[-1].endswith("/complete")


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
