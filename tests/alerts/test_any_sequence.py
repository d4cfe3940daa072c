"""Whatever happens in whatever order: nobody is told twice, or of what he never knew."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.alerts import batches
from dashboard.alerts.delivery import deliver
from dashboard.alerts.lifecycle import acknowledge
from dashboard.alerts.models import (
    TOLD,
    TROUBLE,
    Change,
    Delivery,
    Incident,
    Notification,
    Pending,
    Recipient,
    Silence,
)
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.alerts.silences import end
from dashboard.probes.models import Heartbeat, Outcome, Probe, ProbeKind
from dashboard.teams.models import Gateway
from tests.factories import NOW, make_gateway, make_probe, make_reading, make_team

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Each step lasts a minute: how health ends, how the team's key is met, the team's
# status, its credits, what becomes of the mails, and what people or machines do.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["", "server_error", "timeout"]),
        st.sampled_from(["", "", "server_error", "auth_failed"]),
        st.sampled_from(["active", "active", "suspended"]),
        st.sampled_from([500, 150, 50, 0]),
        st.sampled_from(["deliver", "deliver", "deliver", "crash", "nothing"]),
        st.sampled_from(
            ["", "", "", "ack", "silence", "end silence", "pause", "step back"]
        ),
    ),
    min_size=5,
    max_size=10,
)
Step = tuple[str, str, str, int, str, str]
GOOD: Step = ("", "", "active", 500, "deliver", "")


class World:
    """A gateway with a team of two probes, and one person who is told."""

    def __init__(self) -> None:
        Gateway.objects.all().delete()
        Heartbeat.objects.all().delete()
        Pending.objects.all().delete()
        Silence.objects.all().delete()
        mail.outbox.clear()
        self.crashes = 0
        self.user, _ = User.objects.get_or_create(username="ann")
        self.now = NOW
        self.gateway = make_gateway()
        self.team = make_team(self.gateway)
        self.health = make_probe(gateway=self.gateway)
        self.status = make_probe(self.team)
        self.balance = make_probe(self.team, kind=ProbeKind.BALANCE)

    def live(self, step: Step) -> None:
        health, team, status, credits_left, mails, deed = step
        self.now += timedelta(minutes=1)
        self.do(deed)
        self.team.status, self.team.status_at = status, self.now
        self.team.save()
        make_reading(self.team, self.seconds, remaining=credits_left)
        self.run(self.health, health)
        self.run(self.status, health)
        self.run(self.balance, health or team)
        # Seldomer, and it would pass for an evaluator that had stopped.
        for half in (0, 30):
            now = self.now + timedelta(seconds=half)
            evaluate_all(now)
            self.post(mails, now)
            self.check()

    def do(self, deed: str) -> None:
        if deed == "ack":
            for incident in Incident.objects.filter(resolved_at=None):
                acknowledge(incident, self.user, self.now)
        elif deed == "silence":
            ends_at = self.now + timedelta(minutes=4)
            Silence.objects.create(starts_at=self.now, ends_at=ends_at, reason="x")
        elif deed == "end silence":
            for silence in Silence.objects.all():
                end(silence, self.now)
        elif deed == "pause":
            self.now += timedelta(minutes=10)
        elif deed == "step back":
            self.now -= timedelta(seconds=157)

    def calm_down(self) -> None:
        """Let what came and went have its half hour of calm."""
        for _ in range(2 * 32):
            if not Incident.objects.filter(resolved_at=None).exists():
                break
            self.now += timedelta(seconds=30)
            for probe in (self.health, self.status, self.balance):
                probe.last_at = self.now
                probe.save()
            make_reading(self.team, self.seconds, remaining=500)
            evaluate_all(self.now)
            deliver(self.now)

    def check(self) -> None:
        """Say what is true at every moment."""
        still_open = Incident.objects.filter(resolved_at=None)
        identities = list(still_open.values_list("identity", flat=True))
        assert len(identities) == len(set(identities))
        # Of what is open somebody speaks: no chain of inhibitors ends with nobody.
        for incident in still_open:
            chain = [incident]
            while greater := chain[-1].inhibited_by:
                assert greater not in chain
                chain.append(greater)

    def post(self, mails: str, now: datetime) -> None:
        if mails == "deliver":
            deliver(now)
        elif mails == "crash" and batches.Claims().next(now) is not None:
            self.crashes += 1

    @property
    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    def run(self, probe: Probe, error_class: str) -> None:
        Outcome.objects.create(
            probe=probe,
            started_at=self.now,
            error_class=error_class,
            latency_us=1,
            elapsed_us=1,
            attempts=1,
        )
        probe.last_at, probe.last_error = self.now, error_class
        probe.failing_since = (probe.failing_since or self.now) if error_class else None
        probe.save()
        evaluate({probe.pk}, self.now)


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
# What comes and goes.
@example(
    [("", "", "active", credits_left, "deliver", "") for credits_left in (500,) * 3]
    + [
        ("", "", "active", credits_left, "deliver", "")
        for credits_left in (500, 50) * 3
    ]
    + [("timeout", "server_error", "active", 150, "nothing", "")]
)
def test_any_sequence(steps: list[Step]) -> None:
    """A-50, A-54, A-57: no two alarms of one thing, no end to who was not told."""
    install_default_rules()
    Recipient.objects.get_or_create(email="ops@example.org")
    world = World()

    for step in steps:
        world.live(step)
    world.now += timedelta(hours=1)
    for _ in range(7):
        world.live(GOOD)
    world.calm_down()
    deliver(world.now + timedelta(hours=1))

    assert not Incident.objects.filter(resolved_at=None).exists()
    assert not Notification.objects.filter(state=Delivery.QUEUED).exists()
    ids = Counter(message.extra_headers["Message-ID"] for message in mail.outbox)
    assert set(ids.values()) <= {1}
    told_of = Notification.objects.filter(TOLD)
    recovered = set(
        told_of.filter(change=Change.RESOLVED).values_list("incident", flat=True)
    )
    # Of news that may have arrived an hour before its end the recovery tells all.
    told = set(told_of.filter(change__in=TROUBLE).values_list("incident", flat=True))
    assert recovered == told
