"""Import teams: ask a gateway which it has, say what would change, and change it.

One question to the gateway's own list, which needs no key, also where one organization
is wanted: the list names each team's. What it tells of virtual keys is never read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from apiclient import Client, TeamStatus, operations, taxonomy
from apiclient.redact import redact
from apiclient.team_payloads import Team as ToldTeam
from dashboard.pipeline.answers import team_sighting
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.teams.models import Gateway, Team, is_printable
from dashboard.teams.services import Sighting, record_sightings

_DEADLINE_S = 15.0
_MOST_BYTES = 8_000_000
# What one import may add: a page that somebody can still read before he says yes.
MOST_TEAMS = 500


class Change(StrEnum):
    """What an import does about a team."""

    NEW = "new"
    WATCHED = "watched"
    # Watched here, though the gateway's list does not name it (any more): it is kept.
    MISSING = "not in the list"


@dataclass(frozen=True, slots=True)
class Listed:
    """A team as the gateway listed it, or one that is watched and was not listed."""

    team_id: str
    change: Change
    organization_id: str = ""
    status: str = ""
    remaining: float | None = None
    allocated: float | None = None
    team: Team | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """What the gateway listed. With an `error`, in one sentence, nothing is known."""

    gateway: Gateway
    teams: Sequence[Listed] = ()
    organizations: Sequence[str] = ()
    # Entries that cannot be read, and ids that no team here can have: odd characters,
    # too long, listed twice.
    unusable: int = 0
    error: str = ""
    advice: str = ""
    sightings: "Sequence[tuple[str, Sighting]]" = ()

    @property
    def new(self) -> list[Listed]:
        return [each for each in self.teams if each.change is Change.NEW]


def ask_roster(gateway: Gateway, organization_id: str = "") -> Roster:
    """Ask the gateway which teams it has, all or one organization's; change nothing.

    Never raises for what the gateway does: that is the roster's `error`.
    """
    try:
        client = Client(
            base_url=gateway.base_url,
            allow_private=gateway.allow_private,
            fresh_connections=True,
            breakers=None,
            max_body_bytes=_MOST_BYTES,
        )
    except ValueError as error:
        return Roster(gateway, error=redact(str(error)))
    with client:
        report = client.report(
            operations.list_teams(), max_retries=0, deadline_s=_DEADLINE_S
        )
    if report.value is None:
        meaning = taxonomy.TABLE[report.error or taxonomy.ErrorClass.INTERNAL]
        detail = f": {report.detail}" if report.detail else ""
        return Roster(gateway, error=f"{meaning.title}{detail}", advice=meaning.advice)
    return _compared(gateway, report.value, organization_id, report.started_at)


def _compared(
    gateway: Gateway,
    told: Sequence[ToldTeam],
    organization_id: str,
    seen_at: datetime,
) -> Roster:
    usable = {each.team_id: each for each in told if _is_usable(each.team_id)}
    wanted = [
        each
        for each in usable.values()
        if not organization_id or each.organization_id == organization_id
    ]
    # One that is only tried has no row yet, and so no teams.
    own = gateway.teams.all() if gateway.pk else []
    watched = {team.team_id: team for team in own}
    listed = [_listed(each, watched.get(each.team_id)) for each in wanted]
    missing = [
        Listed(team_id, Change.MISSING, team=team)
        for team_id, team in watched.items()
        if team_id not in usable
        and (not organization_id or team.organization_id == organization_id)
    ]
    organizations = {each.organization_id for each in usable.values()} - {""}
    return Roster(
        gateway,
        teams=sorted([*listed, *missing], key=_new_first),
        organizations=sorted(organizations),
        unusable=len(told) - len(usable),
        sightings=[(e.team_id, _sighting(e, seen_at)) for e in wanted],
    )


def _is_usable(team_id: str) -> bool:
    # What was hidden or cut on the way is not what the gateway calls it.
    return (
        0 < len(team_id) < 255
        and is_printable(team_id)
        and team_id == redact(team_id)
        and "[hidden]" not in team_id
        and team_id not in {".", ".."}
    )


def _listed(told: ToldTeam, team: Team | None) -> Listed:
    left = told.credits
    return Listed(
        told.team_id,
        Change.WATCHED if team else Change.NEW,
        organization_id=told.organization_id,
        status="" if told.status is TeamStatus.UNKNOWN else told.status.value,
        remaining=left.remaining if left else None,
        allocated=left.allocated if left else None,
        team=team,
    )


def _sighting(told: ToldTeam, seen_at: datetime) -> Sighting:
    sighting = team_sighting(0, told, seen_at)
    # The list leaves the models out, which is not the same as there being none.
    return replace(sighting, model_aliases=sighting.model_aliases or None)


def _new_first(listed: Listed) -> tuple[int, str]:
    return list(Change).index(listed.change), listed.team_id.casefold()


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: `gone` were chosen, but are not in the list any more."""

    added: Sequence[Team]
    gone: Sequence[str]


@transaction.atomic
def import_teams(roster: Roster, chosen: Collection[str], now: datetime) -> Imported:
    """Watch the chosen teams of a roster, with their default probes.

    Only what the roster lists as new is added, at most MOST_TEAMS; what is watched stays
    as it is. They begin without a key, and with what the list told of their credits.
    """
    wanted = [each for each in roster.new if each.team_id in chosen][:MOST_TEAMS]
    known = {each.team_id for each in roster.teams if each.change is not Change.MISSING}
    added = []
    for each in wanted:
        team, is_new = Team.objects.get_or_create(
            gateway=roster.gateway, team_id=each.team_id
        )
        if is_new:
            watch_team(team, now)
            added.append(team)
    watch_gateway(roster.gateway, now)
    by_id = {team.team_id: team.pk for team in added}
    record_sightings(
        [
            replace(sighting, team_id=by_id[team_id])
            for team_id, sighting in roster.sightings
            if team_id in by_id
        ]
    )
    return Imported(added, sorted(set(chosen) - known))
