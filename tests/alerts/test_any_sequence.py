"""Whatever happens in whatever order: nobody is told twice, or of what he never knew."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.core import mail
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.alerts import batches
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import (
    TOLD,
    TROUBLE,
    Change,
    Delivery,
    Incident,
    Notification,
    Recipient,
)
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes.models import Heartbeat, Outcome, Probe, ProbeKind
from dashboard.teams.models import Gateway
from tests.factories import NOW, make_gateway, make_probe, make_reading, make_team

pytestmark = pytest.mark.django_db

# Each step lasts a minute: how health ends, how the team's key is met, the team's
# status, its credits, and what becomes of the mails.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["", "server_error", "timeout"]),
        st.sampled_from(["", "", "server_error", "auth_failed"]),
        st.sampled_from(["active", "active", "suspended"]),
        st.sampled_from([500, 150, 50, 0]),
        st.sampled_from(["deliver", "deliver", "deliver", "crash", "nothing"]),
    ),
    min_size=5,
    max_size=16,
)
Step = tuple[str, str, str, int, str]


class World:
    """A gateway with a team of two probes, and one person who is told."""

    def __init__(self) -> None:
        Gateway.objects.all().delete()
        Heartbeat.objects.all().delete()
        mail.outbox.clear()
        self.crashes = 0
        self.now = NOW
        self.gateway = make_gateway()
        self.team = make_team(self.gateway)
        self.health = make_probe(gateway=self.gateway)
        self.status = make_probe(self.team)
        self.balance = make_probe(self.team, kind=ProbeKind.BALANCE)

    def live(self, step: Step) -> None:
        health, team, status, credits_left, mails = step
        self.now += timedelta(minutes=1)
        self.team.status, self.team.status_at = status, self.now
        self.team.save()
        make_reading(self.team, self.seconds, remaining=credits_left)
        self.run(self.health, health)
        self.run(self.status, health)
        self.run(self.balance, health or team)
        # Seldomer, and it would pass for an evaluator that had stopped.
        for half in (0, 30):
            evaluate_all(self.now + timedelta(seconds=half))
            self.post(mails, self.now + timedelta(seconds=half))

    def post(self, mails: str, now: datetime) -> None:
        if mails == "deliver":
            deliver(now)
        elif mails == "crash" and batches.claim(now) is not None:
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
@example(
    [("", "", "active", credits_left, "deliver") for credits_left in (500, 500, 500)]
    + [("", "", "active", credits_left, "deliver") for credits_left in (500, 50) * 3]
    + [("timeout", "server_error", "active", 150, "nothing")]
)
def test_any_sequence(steps: list[Step]) -> None:
    install_default_rules()
    Recipient.objects.get_or_create(email="ops@example.org")
    world = World()

    for step in steps:
        world.live(step)
    world.now += timedelta(hours=1)
    for minute in range(45):
        # What came and went is over only after half an hour of calm.
        if minute >= 8 and not Incident.objects.filter(resolved_at=None).exists():
            break
        world.live(("", "", "active", 500, "deliver"))
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
