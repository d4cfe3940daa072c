"""One outage, one alarm: whole outages replayed against the engine and the outbox."""

from datetime import timedelta

import pytest
from django.core import mail

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Incident, Recipient
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes.models import Probe, ProbeKind
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db


def run(probe: Probe, at: float, error_class: str = "") -> None:
    """Store one outcome as the recorder does, and judge it in the same breath."""
    now = NOW + timedelta(seconds=at)
    make_outcome(probe, at, error_class=error_class, detail=error_class and "boom")
    probe.last_at, probe.last_error = now, error_class
    if not error_class:
        probe.failing_since = None
    elif probe.failing_since is None:
        probe.failing_since = now
    probe.save()
    evaluate({probe.pk}, now)


def replay(probes: list[Probe], until_s: int, fails: range, error: str) -> None:
    """Run each probe every minute, a few seconds apart; deliver every 2 s."""
    for second in range(until_s):
        for position, probe in enumerate(probes):
            if second % 60 == position * 7:
                run(probe, second, error if second in fails else "")
        if second % 15 == 0:
            evaluate_all(NOW + timedelta(seconds=second))
        if second % 2 == 0:
            deliver(NOW + timedelta(seconds=second))


def subjects() -> list[str]:
    return [str(message.subject) for message in mail.outbox]


@pytest.fixture
def probes() -> list[Probe]:
    install_default_rules()
    Recipient.objects.create(email="ops@example.org")
    gateway = make_gateway(name="Production")
    found = []
    for name in ("acme", "beta", "core"):
        team = make_team(gateway, team_id=name)
        found += [
            make_probe(team, kind=ProbeKind.TEAM_STATUS),
            make_probe(team, kind=ProbeKind.BALANCE),
        ]
    found.insert(3, make_probe(gateway=gateway))
    return found


def test_a_gateway_that_is_down_is_told_once_and_its_recovery_once(
    probes: list[Probe],
) -> None:
    replay(probes, 1800, range(600, 1080), "server_error")

    what = "Production: 7 of 7 probes failing (server error)"
    assert subjects() == [
        f"[Gatewatch] CRITICAL {what} since 12:10 UTC",
        f"[Gatewatch] RESOLVED {what} after 9 min",
    ]
    assert not Incident.objects.filter(resolved_at=None).exists()
