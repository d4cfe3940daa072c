"""What a search finds: teams, probes and incidents by parts of their names."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from dashboard.probes.models import ProbeKind
from dashboard.web import access, words
from dashboard.web.pages.incidents import IncidentRow, incident_row
from dashboard.web.pages.parts import Link

MOST = 20


@dataclass(frozen=True, slots=True)
class Found:
    """Whatever matched, each kind by itself; `more` says that there was too much."""

    asked: str
    teams: list[Link]
    probes: list[Link]
    incidents: list[IncidentRow]
    more: bool

    @property
    def summary(self) -> str:
        number = len(self.teams) + len(self.probes) + len(self.incidents)
        if not self.asked:
            return "Type a part of a name, an endpoint or an incident."
        if not number:
            return "Nothing found: try a shorter part of the name."
        least = "the first " if self.more else ""
        return f"{least}{words.count(number, 'thing')} found"


def search(user: access.Visitor, asked: str, now: datetime) -> Found:
    """Return what the user may see that holds all of the words; three queries."""
    asked = " ".join(asked.split())
    if not asked:
        return Found("", [], [], [], more=False)
    teams = access.teams(user).filter(_all(asked, "team_id", "name", "gateway__name"))
    probes = access.probes(user).filter(_of_probe(asked))
    incidents = access.incidents(user).filter(_all(asked, "summary"))
    found = (
        list(teams.order_by("team_id")[:MOST]),
        list(probes[:MOST]),
        list(incidents.order_by("-opened_at")[:MOST]),
    )
    return Found(
        asked=asked,
        teams=[Link(t.full_name, reverse("team", args=[t.pk])) for t in found[0]],
        probes=[Link(str(p), reverse("probe", args=[p.pk])) for p in found[1]],
        incidents=[incident_row(each, now) for each in found[2]],
        more=any(len(each) == MOST for each in found),
    )


def _of_probe(asked: str) -> Q:
    matching = Q()
    for word in asked.split():
        kinds = [k.value for k in ProbeKind if word.lower() in str(k.label).lower()]
        matching &= Q(kind__in=kinds) | _all(
            word, "team__team_id", "team__name", "gateway__name"
        )
    return matching


def _all(asked: str, *columns: str) -> Q:
    """Return the condition that each word is in one of the columns."""
    matching = Q()
    for word in asked.split():
        one = Q()
        for column in columns:
            one |= Q(**{f"{column}__icontains": word})
        matching &= one
    return matching
