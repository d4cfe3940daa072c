"""A key that somebody typed: kept, noted, and tried at once."""

from datetime import datetime

from django.http import HttpRequest

from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import request_run
from dashboard.teams.keys import set_key
from dashboard.teams.models import AuditAction, Team
from dashboard.web.audited import noted


def give_key(request: HttpRequest, team: Team, key: str, now: datetime) -> bool:
    """Keep the team's new key; say whether its balance is read with it now.

    Whether it is the right one is the first question, and not to wait for. The caller has
    taken the team's probes, the team and its gateway, in this order.
    """
    set_key(team, key, now)
    noted(request, AuditAction.KEY_SET, team, team=team)
    balance = Probe.objects.filter(team=team, kind=ProbeKind.BALANCE)
    return bool(request_run(balance, now))
