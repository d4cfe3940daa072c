"""What an import would change, before it does."""

from dataclasses import dataclass

from dashboard.pipeline.roster import MOST_TEAMS, Change, Listed, Roster
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

_MOST_ORGANIZATIONS = 100
_BADGES = {
    Change.NEW: Badge(
        Tone.OK, "new", "two probes: status, and balance once it has a key"
    ),
    Change.WATCHED: Badge(Tone.OFF, "watched already", "nothing changes"),
    Change.MISSING: Badge(Tone.WARN, "not in the list", "kept; delete it in the admin"),
}


@dataclass(frozen=True, slots=True)
class Row:
    team_id: str
    organization: str
    badge: Badge
    status: str
    credits: str
    may_add: bool


@dataclass(frozen=True, slots=True)
class Preview:
    gateway: str
    error: str
    advice: str
    sentence: str
    organizations: list[str]
    organization: str
    rows: list[Row]
    may_add: bool
    is_ticked: bool


def preview(roster: Roster, organization: str, *, is_ticked: bool) -> Preview:
    new = len(roster.new)
    known = sum(1 for each in roster.teams if each.change is Change.WATCHED)
    told = [f"{new} new", f"{known} watched already"]
    if roster.unusable:
        told.append(f"{roster.unusable} left out: not readable, or not as an id")
    if new > MOST_TEAMS:
        told.append(f"the first {MOST_TEAMS} new ones are shown")
    if len(roster.organizations) > _MOST_ORGANIZATIONS:
        told.append(f"the first {_MOST_ORGANIZATIONS} organizations are named")
    shown = [*roster.new[:MOST_TEAMS], *_rest(roster)]
    return Preview(
        gateway=str(roster.gateway),
        error=roster.error,
        advice=roster.advice,
        sentence=", ".join(told),
        organizations=list(roster.organizations[:_MOST_ORGANIZATIONS]),
        organization=organization,
        rows=[_row(each) for each in shown],
        may_add=new > 0,
        is_ticked=is_ticked,
    )


def _rest(roster: Roster) -> list[Listed]:
    rest = [each for each in roster.teams if each.change is not Change.NEW]
    return rest[:MOST_TEAMS]


def _row(listed: Listed) -> Row:
    left = "unknown" if listed.remaining is None else words.number(listed.remaining)
    return Row(
        team_id=listed.team_id,
        organization=listed.organization_id,
        badge=_BADGES[listed.change],
        status=listed.status,
        credits=left,
        may_add=listed.change is Change.NEW,
    )
