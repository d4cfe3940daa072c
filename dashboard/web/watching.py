"""Put a gateway and its teams under watch."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from dashboard.alerts.models import Recipient
from dashboard.pipeline.roster import Roster, import_teams
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.teams.models import Gateway, Team


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to watch of a gateway that is not saved yet.

    `roster` is what it listed; `chosen` are ids of that list or typed by hand.
    """

    gateway: Gateway
    roster: Roster
    chosen: Collection[str]
    keyed: Team | None = None
    recipients: Collection[str] = ()


@transaction.atomic
def start_watching(wanted: Wanted, now: datetime) -> list[Team]:
    """Store the gateway, its teams, their probes and recipients: all or nothing.

    `keyed` is the unsaved team that the key is of; it is watched, too.
    """
    gateway = wanted.gateway
    is_first = not Gateway.objects.exists()
    gateway.save()
    watch_gateway(gateway, now)
    imported = import_teams(replace(wanted.roster, gateway=gateway), wanted.chosen, now)
    teams = {team.team_id: team for team in imported.added}
    for team_id in [*wanted.chosen, *([wanted.keyed.team_id] if wanted.keyed else [])]:
        if team_id not in teams:
            teams[team_id] = Team.objects.create(gateway=gateway, team_id=team_id)
            watch_team(teams[team_id], now)
    if wanted.keyed and wanted.keyed.key_sealed:
        keyed = teams[wanted.keyed.team_id]
        keyed.key_sealed, keyed.key_set_at = wanted.keyed.key_sealed, now
        keyed.save(update_fields=["key_sealed", "key_set_at"])
    _tell(wanted.recipients, None if is_first else gateway)
    return list(teams.values())


def _tell(addresses: Iterable[str], gateway: Gateway | None) -> None:
    """Mail these people: of everything, or of one gateway where others are watched."""
    for address in addresses:
        Recipient.objects.get_or_create(email=address, gateway=gateway, team=None)
