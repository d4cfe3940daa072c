"""What the demo watches: a stand-in gateway with three teams, seconds apart."""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from dashboard.alerts.models import Recipient
from dashboard.management.history import fill_history
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.services import accept_cost, watch_gateway, watch_team
from dashboard.simulator.script import demo_teams
from dashboard.teams.keys import set_key
from dashboard.teams.models import Gateway, Team

GATEWAY = "Demo gateway"
HISTORY_DAYS = 30
PERIODS_S = {
    ProbeKind.HEALTH: 5,
    ProbeKind.TEAM_STATUS: 5,
    ProbeKind.BALANCE: 10,
    ProbeKind.DEEP_JOB: 120,
}


def seed(base_url: str, now: datetime) -> None:
    """Bring the demo's rows up to date; on a new database, make them and a past."""
    with transaction.atomic():
        gateway, made = Gateway.objects.update_or_create(
            name=GATEWAY, defaults={"base_url": base_url, "allow_private": True}
        )
        if made:
            _fill(gateway, now)
        # Its keys are the stand-in's own, which has another port each time.
        for told in demo_teams():
            held = Team.objects.filter(gateway=gateway, team_id=told.team_id)
            for team in held.exclude(key_sealed=""):
                set_key(team, told.virtual_key, now)
    if not Outcome.objects.exists():
        fill_history(now=now, days=HISTORY_DAYS)


def _fill(gateway: Gateway, now: datetime) -> None:
    admin = User.objects.create_superuser(
        settings.DEMO_USER, "demo@gatewatch.example", settings.DEMO_PASSWORD
    )
    Recipient.objects.get_or_create(email=admin.email)
    watch_gateway(gateway, now)
    for told in demo_teams():
        team = Team.objects.create(gateway=gateway, team_id=told.team_id)
        set_key(team, told.virtual_key, now)
        watch_team(team, now)
    for kind, period_s in PERIODS_S.items():
        Probe.objects.filter(gateway=gateway, kind=kind).update(period_s=period_s)
    deep = Probe.objects.filter(gateway=gateway, kind=ProbeKind.DEEP_JOB).first()
    if deep:
        accept_cost(deep, user=admin, model="chat-fast", daily_credit_cap=1000, now=now)
