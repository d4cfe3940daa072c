"""Teams by who runs out of credits first, in a line each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard.probes.models import Probe
from dashboard.teams.burn import (
    paced_from,
)
from dashboard.teams.credit_hours import (
    Hour,
)
from dashboard.teams.models import Team
from dashboard.teams.queries import Burn
from dashboard.web.attention import Facts
from dashboard.web.credit_levels import by_team
from dashboard.web.pages.credits import (
    Credits,
    credits_of,
    hours_left,
    runs_out,
    runway,
    soonest_first,
)
from dashboard.web.pages.parts import Link


@dataclass(frozen=True, slots=True)
class TeamLine:
    """A team and how long its credits last; `rank` sorts: the smaller, the sooner."""

    team: Link
    gateway: str
    credits: Credits
    runway: str
    runs_out: str
    rank: tuple[float, float, str]


def team_lines(
    known: Facts,
    hours: Mapping[int, Sequence[Hour]],
    burns: Mapping[int, Burn | None],
) -> list[TeamLine]:
    """Return all teams, the one that runs out first at the top."""
    told_by = by_team(known.probes)
    lines = [
        _line(
            team,
            known,
            told_by.get(team.pk, ()),
            hours.get(team.pk, ()),
            burns.get(team.pk),
        )
        for team in known.teams
    ]
    return sorted(lines, key=lambda line: line.rank)


def _line(
    team: Team,
    known: Facts,
    probes: Sequence[Probe],
    hours: Sequence[Hour],
    burn: Burn | None,
) -> TeamLine:
    reading = known.readings.get(team.pk)
    shown = credits_of(reading, probes, burn, known.marks_of(team), known.now)
    return TeamLine(
        team=Link(str(team), reverse("team", args=[team.pk])),
        gateway=str(team.gateway),
        credits=shown,
        runway=runway(burn, paced_from(hours, known.now)),
        runs_out=runs_out(burn, known.now),
        rank=soonest_first(hours_left(reading, burn), shown, str(team)),
    )
