"""Put a gateway and its first team under watch."""

from datetime import datetime

from django.db import transaction

from dashboard.probes.services import watch_gateway, watch_team
from dashboard.teams.keys import set_key
from dashboard.teams.models import Gateway, Team


@transaction.atomic
def start_watching(
    *,
    name: str,
    base_url: str,
    allow_private: bool,
    team_id: str,
    key: str,
    now: datetime,
) -> Team:
    """Store the gateway, its team and their default probes: all of them or nothing.

    Raises ValueError when `key` cannot be one; an empty key means none.
    """
    gateway = Gateway.objects.create(
        name=name, base_url=base_url, allow_private=allow_private
    )
    team = Team.objects.create(gateway=gateway, team_id=team_id)
    if key:
        set_key(team, key, now)
    watch_gateway(gateway, now)
    watch_team(team, now)
    return team
