"""Paid probes: a whole job, its costs and its caps, and no job left open."""

import json
import socket
from uuid import UUID

import pytest
from django.utils import timezone

from apiclient import operations
from dashboard import pipeline
from dashboard.alerts.models import Incident
from dashboard.alerts.services import evaluate_all, install_default_rules
from dashboard.probes import services
from dashboard.probes.attempts import stream_of
from dashboard.probes.models import (
    Breaker,
    Heartbeat,
    Outcome,
    Probe,
    ProbeKind,
)
from dashboard.rollups.models import Rollup
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway
from dashboard.teams.keys import set_key
from dashboard.teams.models import Gateway, Team
from dashboard.web.prober import prober
from dashboard.web.states import state_of
from tests.apiclient.rogue import Script, request_of, rogue
from tests.factories import make_outcome

pytestmark = pytest.mark.django_db(transaction=True)


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
        probe.refresh_from_db()
        return probe

    def moved(self, base_url: str) -> None:
        Gateway.objects.update(base_url=base_url)
        set_key(Team.objects.get(), "sk-of-another-gateway", timezone.now())

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

    def test_what_fails_after_a_cap_was_raised_is_not_called_capped(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        """C-20: a gateway that tells a dear price for a moment must hide no failure."""
        Heartbeat.objects.create(name="tick-0", beat_at=timezone.now())
        Team.objects.update(budget_mode="consumption_tokens", tokens_per_credit=0.001)
        self.again(probe)
        probe.refresh_from_db()
        capped = state_of(probe, prober(timezone.now()), timezone.now())
        Team.objects.update(budget_mode="", tokens_per_credit=None)
        simulator.set_fault(Fault(FaultKind.PROVIDER_AUTH))

        self.again(probe)

        probe.refresh_from_db()
        state = state_of(probe, prober(timezone.now()), timezone.now())
        assert (capped.state.value, state.state.value) == ("cap reached", "failing")

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

    def test_a_fault_of_our_own_leaves_no_job_open_either(
        self, simulator: RunningGateway, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ArithmeticError("a bug of ours")

        monkeypatch.setattr(operations, "llm_call", broken)

        assert self.again(probe).error_class == "internal_error"

        jobs = simulator.gateway.world.jobs.values()
        assert [job.state.value.lower() for job in jobs] == ["failed"]

    def test_a_completion_that_charged_nothing_is_a_success(self, probe: Probe) -> None:
        """A-45: and no alarm."""
        install_default_rules()
        Probe.objects.filter(kind=ProbeKind.STREAM_JOB).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=ProbeKind.STREAM_JOB)
        with rogue(streaming([], charged=False)) as server:
            self.moved(server.url)
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
            self.moved(server.url)
            outcome = self.again(probe)

        assert sum(path.endswith("complete") for path in sent) == 2
        assert (outcome.error_class, outcome.credits) == ("", 1.0)

    def test_a_failed_job_that_the_gateway_says_it_charged_is_counted(
        self, probe: Probe
    ) -> None:
        """C-20: else its cap would never stop it."""
        job = {"job_id": str(UUID(int=7)), "status": "PENDING"}
        done = {**job, "status": "FAILED", "costs": {"credit_applied": True}}

        def script(connection: socket.socket) -> None:
            path = request_of(connection).decode().split(" ")[1]
            body = json.dumps(done if path.endswith("complete") else job)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall((head + body).encode())

        with rogue(script) as server:
            self.moved(server.url)
            probe.refresh_from_db()
            charged, capped = pipeline.probe_now([probe, probe], timezone.now())

        assert (charged.outcome.error_class, charged.outcome.credits) == ("decode", 1.0)
        assert "cap of 1 credits a day is reached" in capped.outcome.detail

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
            self.moved(server.url)
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

    @pytest.mark.parametrize(
        ("kind", "ends_as"),
        [(ProbeKind.DEEP_JOB, "breaker_held"), (ProbeKind.KEY_CHECK, "")],
    )
    def test_a_breaker_that_opens_meanwhile_leaves_no_job_open(
        self, kind: str, ends_as: str, simulator: RunningGateway, probe: Probe
    ) -> None:
        """Of ten answers to all probes five failed, and the creation was the tenth."""
        Probe.objects.filter(kind=ProbeKind.KEY_CHECK).delete()
        Probe.objects.filter(pk=probe.pk).update(kind=kind)
        key = f"{probe.gateway.base_url.removeprefix('http://')}|*|*"
        Breaker.objects.create(
            gateway=probe.gateway, key=key, calls=9, failed_bits=0b10101011, version=9
        )

        outcome = self.again(probe)

        assert outcome.error_class == ends_as
        jobs = simulator.gateway.world.jobs.values()
        assert [job.state.value.lower() for job in jobs] == ["failed"]

    def test_a_team_that_is_let_in_again_is_stopped_no_longer(
        self, simulator: RunningGateway, probe: Probe
    ) -> None:
        """A-32: also where nothing but its jobs is asked, which tell no status."""
        install_default_rules()
        simulator.set_fault(Fault(FaultKind.TEAM_SUSPENDED, team="acme"))
        for _ in range(2):
            self.again(probe)
        evaluate_all(timezone.now())
        assert Incident.objects.get(kind="team_state").resolved_at is None
        simulator.clear_faults()

        self.again(probe)

        assert Team.objects.get().status == "active"
        evaluate_all(timezone.now())
        assert Incident.objects.get(kind="team_state").resolved_at is not None

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
