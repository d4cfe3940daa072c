"""C-07: nothing of a team comes out on any page or file of a neighbour at its gateway."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import (
    Change,
    Delivery,
    Incident,
    Notification,
    Recipient,
    RuleKind,
    Severity,
    Silence,
)
from dashboard.alerts.outbox import queue_opening
from dashboard.probes.models import Breaker, Heartbeat, Outcome, Probe
from dashboard.probes.queries import breaker_keys
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.rollups.services import fold
from dashboard.teams import audit
from dashboard.teams.credit_hours import (
    fold as fold_credits,
)
from dashboard.teams.models import AuditAction, Membership, Team
from tests.factories import NOW, make_gateway, make_outcome, make_reading, make_team
from tests.web.people import person
from tests.web.test_access import PLACES

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
MARK = "zebra"


@pytest.fixture
def alice(settings: Settings) -> Client:
    """Return a manager of one team; the other team at the gateway is marked all over."""
    Heartbeat.objects.create(name="tick-0", beat_at=NOW)
    gateway = make_gateway()
    watch_gateway(gateway, NOW)
    own = make_team(gateway, team_id="own")
    marked = {"team_id": f"{MARK}-id", "name": f"{MARK} team"}
    other = make_team(gateway, organization_id=f"{MARK}-org", **marked)
    for team in (own, other):
        watch_team(team, NOW)
        fill(team)
    great = incident(
        other,
        "Gateway down",
        RuleKind.GATEWAY_DOWN,
        team=None,
        evidence={"details": [f"HTTP 500: {MARK} is away"]},
    )
    lesser = incident(other, f"{MARK} suspended", RuleKind.TEAM_STATE)
    Incident.objects.filter(pk=lesser.pk).update(inhibited_by=great)
    told_together(lesser, incident(own, "Own is suspended", RuleKind.TEAM_STATE))
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    tried_together(lesser, incident(own, "Own is paused", RuleKind.TEAM_STATE))
    Silence.objects.create(
        team=other, starts_at=NOW, ends_at=NOW + timedelta(hours=1), reason=MARK
    )
    Recipient.objects.create(email=f"{MARK}@example.com", gateway=gateway, team=other)
    user = User.objects.create_user(MARK, f"{MARK}-user@example.com")
    Membership.objects.create(user=user, team=other)
    audit.note(AuditAction.TEAM, MARK, now=NOW, actor=MARK, team=other)
    return person("alice", own).client


def fill(team: Team) -> None:
    mark = MARK if team.name else "own"
    probes = Probe.objects.filter(team=team)
    for probe in probes.filter(enabled=True):
        fold(
            [
                make_outcome(
                    probe, -60 * n, error_class="server_error", detail=f"{mark} detail"
                )
                for n in range(1, 8)
            ]
        )
        Breaker.objects.create(
            gateway=team.gateway,
            key=next(iter(breaker_keys(probe).values())),
            failures=5,
            open_until=NOW.timestamp() + 60,
            opened_at=NOW.timestamp() - 60,
        )
    probes.update(last_at=NOW, last_error="server_error", failing_since=NOW)
    for hour in range(4):
        make_reading(team, -3600 * hour, remaining=5)
    fold_credits(NOW)


def told_together(*incidents: Incident) -> None:
    """Mail several incidents at once: one subject stands on all of their rows."""
    batch = uuid4()
    for each in incidents:
        Notification.objects.create(
            incident=each,
            change=Change.OPENED,
            recipient="ops@example.com",
            batch=batch,
            state=Delivery.SENT,
            subject=f"[Gatewatch] CRITICAL: 2 alarms, first {MARK}: suspended",
            created_at=NOW,
            due_at=NOW,
            sent_at=NOW,
        )


def tried_together(*incidents: Incident) -> None:
    """Mail several incidents while the server is away: the next try may tell of others."""
    Recipient.objects.create(email="away@example.com")
    for each in incidents:
        queue_opening(each, NOW)
    assert not deliver(NOW + timedelta(minutes=10))
    waiting = Notification.objects.filter(state=Delivery.QUEUED, attempts=1)
    assert {each.subject.count(f"2 alarms, first {MARK}") for each in waiting} == {1}


def incident(of: Team, summary: str, kind: RuleKind, **fields: object) -> Incident:
    told: dict[str, object] = {
        "team": of,
        "gateway": of.gateway,
        "severity": Severity.CRITICAL,
        "opened_at": NOW - timedelta(minutes=10),
        "evaluated_at": NOW,
    }
    return Incident.objects.create(
        kind=kind, summary=summary, identity=f"{kind}:{summary}", **{**told, **fields}
    )


def addresses() -> list[str]:
    objects = {
        "team": Team.objects.all(),
        "team_settings": Team.objects.all(),
        "probe": Probe.objects.all(),
        "outcome": Outcome.objects.all(),
        "incident": Incident.objects.all(),
        "export_incident": Incident.objects.all(),
    }
    found = [reverse(name, args=[row.pk]) for name in objects for row in objects[name]]
    for name in PLACES:
        try:
            found.append(reverse(name))
        except NoReverseMatch:
            continue
    return [*found, f"{reverse('search')}?q={MARK}", f"{reverse('outcomes')}?q={MARK}"]


def test_a_neighbours_names_and_results_are_nowhere(alice: Client) -> None:
    shown = 0
    for address in addresses():
        mark = "&" if "?" in address else "?"
        for end in ("", f"{mark}format=csv", f"{mark}format=json"):
            answer = alice.get(address + end)
            if answer.status_code != 200:
                continue
            shown += 1
            # What was asked for is repeated: in the field, the title, the addresses.
            text = answer.content.decode().replace(f"q={MARK}", "").lower()
            for asked in (f"search: {MARK}", f'"{MARK}"', f"“{MARK}”"):
                text = text.replace(asked, "")
            place = text.find(MARK)
            assert place < 0, (
                f"{address}{end}: {text[max(0, place - 200) : place + 60]}"
            )

    assert shown > 30
