"""What the overview shows."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from dashboard.alerts.models import Incident
from dashboard.rollups.recent import recent
from dashboard.teams.burn import (
    paces,
)
from dashboard.web import access, attention, charts
from dashboard.web.drawing import ChartTable, Setting
from dashboard.web.exports import Sheet, sheets
from dashboard.web.pages.breakers import BreakerRow, breaker_row
from dashboard.web.pages.facts import facts
from dashboard.web.pages.incidents import IncidentRow, incident_row
from dashboard.web.pages.maintenance import Maintenance, told, under_way
from dashboard.web.pages.parts import Alarm, alarm
from dashboard.web.pages.probe_rows import ProbeRow, Quiet, is_quiet, probe_rows, quiet
from dashboard.web.pages.team_lines import TeamLine, team_lines
from dashboard.web.pages.tiles import WITHOUT_PAID, Tile, credit_hours, tiles
from dashboard.web.prober import Prober, ProberState
from dashboard.web.verdict import Verdict, verdict

# More rows than this are asked for by a link: a renewal must stay small.
MOST_ROWS = 40
# (up to so many probes, renewed every so many seconds): the cost grows with the probes.
_RENEWALS = ((100, 5), (300, 15), (10**9, 30))
_WHOLE = "?all=1#probes"
_MOST_TEAMS = 5
_MOST_INCIDENTS = 5


@dataclass(frozen=True, slots=True)
class Overview:
    title: str
    verdict: Verdict
    prober: Prober
    is_stale: bool
    maintenances: list[Maintenance]
    alarms: list[Alarm]
    more_alarms: int
    tiles: list[Tile]
    rows: list[ProbeRow]
    more_rows: int
    quiet: list[Quiet]
    teams: list[TeamLine]
    more_teams: int
    incidents: list[IncidentRow]
    charts: list[ChartTable]
    breakers: list[BreakerRow]
    more_breakers: int
    is_empty: bool
    renew_s: int


def overview(user: access.Visitor, now: datetime, *, whole: bool = False) -> Overview:
    """Return the overview of everything that the user may see; sixteen queries.

    `whole` shows every alarm and probe, not only the worst ones and those that run.
    """
    known = facts(user, now)
    items = attention.items(known)
    said = verdict(known, items)
    seen = recent(known.probes, now)
    spent = credit_hours(known)
    burns = paces(spent, known.readings, now)
    listed = [each for each in known.probes if whole or not is_quiet(each)]
    most = None if whole else MOST_ROWS
    announced = under_way(user, now)
    rows = probe_rows(
        *(listed, known.prober, seen, now),
        with_off=whole,
        most=most,
        announced=announced,
    )
    teams = team_lines(known, spent, burns)
    opened = [each for each in known.breakers if not each.state.endswith("closed")]
    setting = Setting(drill=reverse("outcomes"))
    return Overview(
        title=_title(known, said),
        verdict=said,
        prober=known.prober,
        is_stale=known.prober.state is ProberState.STOPPED,
        maintenances=told(announced, now),
        alarms=[alarm(item, now) for item in items[:most]],
        more_alarms=len(items[most:]) if most else 0,
        tiles=tiles(known, seen, spent, burns) if known.probes else [],
        rows=rows,
        more_rows=len(listed) - len(rows),
        quiet=[] if whole else quiet(known.probes, _WHOLE, _keys_url(user)),
        teams=teams[:_MOST_TEAMS],
        more_teams=max(0, len(teams) - _MOST_TEAMS),
        incidents=[incident_row(each, now) for each in _ended(known)],
        charts=[
            charts.errors(seen.every.day, setting=setting),
            charts.latency(
                seen.quick.day,
                note=WITHOUT_PAID if seen.leaves_out_paid else "",
                setting=setting,
            ),
        ],
        breakers=[breaker_row(breaker, now) for breaker in opened[:most]],
        more_breakers=len(opened[most:]) if most else 0,
        is_empty=not known.probes,
        renew_s=next(s for most, s in _RENEWALS if len(known.probes) <= most),
    )


def _title(known: attention.Facts, said: Verdict) -> str:
    """Return what a tab in the background says."""
    if said.problems:
        return f"{said.problems} failing"
    silent = known.probes and known.prober.state is ProberState.STOPPED
    return "Prober stopped" if silent else "Overview"


def _ended(known: attention.Facts) -> list[Incident]:
    """Return what ended lately: one outage once, without what it spoke for."""
    told = {each.pk for each in (*known.incidents, *known.ended)}
    own = [each for each in known.ended if each.inhibited_by_id not in told]
    return own[:_MOST_INCIDENTS]


def _keys_url(user: access.Visitor) -> str:
    """Return where keys are set that probes wait for; a manager's teams are few."""
    if not access.is_site_admin(user):
        return _WHOLE
    return f"{reverse('admin:teams_team_changelist')}?has_key=no"


def overview_sheets(shown: Overview) -> list[Sheet]:
    """Return what the overview shows, to be saved: its probes and its charts."""
    names = ["probe", "of", "state", "reason", "error_rate_1h"]
    names += ["p95_ms_1h", "samples_1h"]
    rows: list[list[object]] = [
        [
            *(row.link.word, row.place, row.badge.word, row.badge.reason),
            *(row.seen.error_rate, row.seen.p95_ms, row.seen.samples),
        ]
        for row in shown.rows
    ]
    return [Sheet("probes", [names, *rows]), *sheets(shown.charts)]
