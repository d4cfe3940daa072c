"""What the list of incidents shows."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import Incident, RuleKind
from dashboard.web import words
from dashboard.web.attention import standing
from dashboard.web.pages.parts import Badge
from dashboard.web.ranges import Tab
from dashboard.web.states import Tone, tone_of

PAGE_SIZE = 50
FILTERS = {"": "All", "open": "Open", "resolved": "Resolved"}


@dataclass(frozen=True, slots=True)
class IncidentRow:
    badge: Badge
    kind: str
    title: str
    url: str
    place: str
    began: SafeString
    lasted: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Incidents:
    title: str
    tabs: list[Tab]
    rows: list[IncidentRow]
    number: int
    newer_url: str
    older_url: str


def incidents(
    seen: QuerySet[Incident], state: str, place: int, now: datetime
) -> Incidents:
    """Return page number `place` (from 1) of the incidents in this state, open first.

    One outage is one row: what a greater one speaks for stands on the page of that.
    """
    state = state if state in FILTERS else ""
    chosen = seen.exclude(inhibited_by__in=seen.values("pk"))
    if state:
        chosen = chosen.filter(resolved_at__isnull=state == "open")
    first = (place - 1) * PAGE_SIZE
    # NULL first where the database asks for it: open incidents have no end.
    ordered = chosen.order_by(
        F("resolved_at").desc(nulls_first=True), "-opened_at", "-pk"
    )
    rows = list(ordered[first : first + PAGE_SIZE + 1])
    shown = rows[:PAGE_SIZE]
    number = sum(1 for row in shown if row.is_open)
    return Incidents(
        title=f"{number} open" if number else "Incidents",
        tabs=[
            Tab(word, f"?state={key}" if key else "?", key == state)
            for key, word in FILTERS.items()
        ],
        rows=[incident_row(incident, now) for incident in shown],
        number=len(shown),
        newer_url=_page_url(state, place - 1) if place > 1 else "",
        older_url=_page_url(state, place + 1) if len(rows) > PAGE_SIZE else "",
    )


def _page_url(state: str, place: int) -> str:
    return f"?state={state}&page={place}"


def incident_row(incident: Incident, now: datetime) -> IncidentRow:
    return IncidentRow(
        badge=incident_badge(incident),
        kind=RuleKind(incident.kind).label,
        title=incident.summary,
        url=reverse("incident", args=[incident.pk]),
        place=f"{incident.team or incident.gateway}",
        began=words.clock(incident.began_at, now),
        lasted=words.duration(incident.lasted_s(now)),
        is_open=incident.is_open,
    )


def incident_badge(incident: Incident) -> Badge:
    if not incident.is_open:
        if incident.ended_because:
            return Badge(Tone.OFF, "ended", incident.ended_because)
        return Badge(Tone.OK, "resolved")
    return Badge(tone_of(incident.severity), incident.severity, standing(incident))
