"""What the list of teams and one team show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min
from django.db.models.functions import TruncHour
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import Incident
from dashboard.rollups.recent import recent
from dashboard.teams.keys import hint
from dashboard.teams.models import CreditReading, Team, TeamStatus
from dashboard.teams.queries import burn, latest_readings
from dashboard.web import access, words
from dashboard.web.charts import ChartTable, credits_left
from dashboard.web.pages.credits import Credits, credits_of, pace, runway
from dashboard.web.pages.incidents import IncidentRow, incident_row
from dashboard.web.pages.parts import Badge, Link
from dashboard.web.pages.probe_rows import ProbeRow, off_links, probe_rows
from dashboard.web.prober import prober
from dashboard.web.states import Tone

_MOST_INCIDENTS = 10
_CREDITS_SHOWN = timedelta(days=7)
_STATUS_TONES = {
    TeamStatus.ACTIVE: Tone.OK,
    TeamStatus.SUSPENDED: Tone.BAD,
    TeamStatus.PAUSED: Tone.WARN,
    TeamStatus.UNKNOWN: Tone.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class TeamRow:
    link: Link
    gateway: str
    status: Badge
    status_at: SafeString
    credits: Credits


@dataclass(frozen=True, slots=True)
class Teams:
    rows: list[TeamRow]


@dataclass(frozen=True, slots=True)
class TeamPage:
    title: str
    team_id: str
    gateway: str
    gateway_settings_url: str
    settings_url: str
    status: Badge
    status_at: SafeString
    credits: Credits
    runway: str
    pace: str
    key: str
    key_at: SafeString | None
    chart: ChartTable
    rows: list[ProbeRow]
    off: list[Link]
    incidents: list[IncidentRow]


def teams(user: access.Visitor, now: datetime) -> Teams:
    """Return every team that the user sees; the one that runs out first comes first."""
    found = list(access.teams(user))
    readings = latest_readings([team.pk for team in found])
    rows = [
        TeamRow(
            link=Link(str(team), reverse("team", args=[team.pk])),
            gateway=str(team.gateway),
            status=status_badge(team),
            status_at=words.time(team.status_at, now, "not yet"),
            credits=credits_of(readings.get(team.pk), now),
        )
        for team in found
    ]
    return Teams(sorted(rows, key=_least_left_first))


def _least_left_first(row: TeamRow) -> float:
    return 101.0 if row.credits.bar is None else row.credits.bar


def status_badge(team: Team) -> Badge:
    if not team.status:
        return Badge(Tone.UNKNOWN, "waiting", "for the first answer")
    return Badge(_STATUS_TONES[TeamStatus(team.status)], team.status)


def team(user: access.Visitor, shown: Team, now: datetime) -> TeamPage:
    spent = burn(shown, now)
    probes = list(access.probes(user).filter(team=shown))
    seen = recent(probes, now)
    return TeamPage(
        title=str(shown),
        team_id=shown.team_id,
        gateway=str(shown.gateway),
        gateway_settings_url=reverse(
            "admin:teams_gateway_change", args=[shown.gateway_id]
        ),
        settings_url=reverse("admin:teams_team_change", args=[shown.pk]),
        status=status_badge(shown),
        status_at=words.time(shown.status_at, now, "not yet"),
        credits=credits_of(latest_readings([shown.pk]).get(shown.pk), now),
        runway=runway(spent),
        pace=pace(spent),
        key=hint(shown),
        key_at=words.time(shown.key_set_at, now) if shown.key_set_at else None,
        chart=credits_left(_hourly_credits(shown, now)),
        rows=probe_rows(probes, prober(now), seen, now),
        off=off_links(probes),
        incidents=[incident_row(each, now) for each in _incidents(user, shown)],
    )


def _incidents(user: access.Visitor, shown: Team) -> Sequence[Incident]:
    found = access.incidents(user).filter(team=shown)
    return list(found.order_by("-opened_at")[:_MOST_INCIDENTS])


def _hourly_credits(shown: Team, now: datetime) -> list[tuple[datetime, float]]:
    """Return the least that was left in each hour of the last week."""
    rows = (
        CreditReading.objects.filter(
            team=shown, read_at__gt=now - _CREDITS_SHOWN, remaining__isnull=False
        )
        .annotate(hour=TruncHour("read_at"))
        .values_list("hour")
        .annotate(left=Min("remaining"))
        .order_by("hour")
    )
    return list(rows)
