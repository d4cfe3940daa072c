"""What an incident's page shows of the time around it: a chart, and results that failed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet

from dashboard.alerts.models import CREDIT_KINDS, Incident, RuleKind
from dashboard.alerts.rules.error_rate import minutes
from dashboard.alerts.rules.verdict import is_gateways_fault
from dashboard.alerts.runs import between
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.taxonomy import ErrorClass
from dashboard.rollups.queries import series
from dashboard.teams.models import CreditReading, Team
from dashboard.web import charts, drawing
from dashboard.web.drawing import ChartTable, Mark, Setting
from dashboard.web.pages.marks import incident_mark

MOST_SAMPLES = 10
# How much is shown before and after, so that the difference can be seen.
_LEAST_AROUND = timedelta(minutes=20)
_PIECES = 60
# Credits go slowly: a day shows their way down.
_CREDITS_AROUND = timedelta(hours=24)
_MOST_READINGS = 500
_OF_GATEWAY = [each for each in ErrorClass if is_gateways_fault(each)]


def chart(
    incident: Incident, visible: QuerySet[Probe], now: datetime
) -> ChartTable | None:
    """Return the incident's time and some around it, with its own time shaded.

    None where a chart would show nothing of it: a certificate, a team's state.
    """
    mark = incident_mark(incident)
    if incident.kind in CREDIT_KINDS:
        return _credits(incident, mark, now)
    if incident.kind in {RuleKind.CERTIFICATE, RuleKind.TEAM_STATE}:
        return None
    start, end = _around(incident, now)
    pieces = series(_probe_ids(incident, visible), start, end, _PIECES, now)
    draw = charts.latency if incident.kind == RuleKind.LATENCY else charts.errors
    return draw(pieces, name="evidence", setting=Setting(marks=[mark]))


def samples(
    incident: Incident, visible: QuerySet[Probe], now: datetime
) -> list[Outcome]:
    """Return the latest results that failed while it lasted; three queries at most.

    Where there are more, half of them are its first: how it began is what one asks.

    A gateway's incident is seen by members of all its teams: each sees the results of
    the probes that are `visible` to him.
    """
    found = _failed(incident, visible, now)
    found = found.select_related("probe__team", "probe__gateway")
    latest = list(found.order_by("-started_at")[: MOST_SAMPLES + 1])
    if len(latest) <= MOST_SAMPLES:
        return latest
    first = list(found.order_by("started_at")[: MOST_SAMPLES // 2])
    return [*latest[: MOST_SAMPLES - len(first)], *reversed(first)]


def runs(
    incident: Incident, visible: QuerySet[Probe], now: datetime
) -> tuple[int, int] | None:
    """Return how many of the visible probes' runs failed, and how many there were.

    As its recovery is mailed; None for what is of no probes, or of no results.
    """
    of_gateway = incident.kind == RuleKind.GATEWAY_DOWN
    if incident.kind == RuleKind.NO_DATA or not (incident.probe_id or of_gateway):
        return None
    end = incident.resolved_at or now
    found = between(list(_probe_ids(incident, visible)), incident.began_at, end)
    return (found.bad, found.samples) if found.samples else None


def which(samples: Sequence[Outcome]) -> str:
    """Say which results these are."""
    if len(samples) < MOST_SAMPLES:
        return "The results that failed while it lasted"
    first = MOST_SAMPLES // 2
    return (
        f"The latest {MOST_SAMPLES - first} and the first {first} results that failed "
        "while it lasted"
    )


def teams(incident: Incident, visible: QuerySet[Probe], now: datetime) -> list[Team]:
    """Return whose results failed while it lasted, of those that are visible."""
    if incident.team is not None:
        return [incident.team]
    if incident.kind not in {RuleKind.GATEWAY_DOWN, RuleKind.BREAKER_OPEN}:
        return []
    failed = _while_it_lasted(
        incident, Outcome.objects.filter(probe=OuterRef("pk")), now
    ).exclude(error_class="")
    probe_ids = _probe_ids(incident, visible)
    whose = Probe.objects.filter(Exists(failed), pk__in=probe_ids, team__isnull=False)
    return list(Team.objects.filter(pk__in=whose.values("team")))


def basis(incident: Incident) -> str:
    """Return what its counts are of: not of all that failed while it lasted."""
    window_s = incident.evidence.get("window_s")
    if incident.kind == RuleKind.GATEWAY_DOWN:
        return "What it was judged by: the latest result of each probe"
    if window_s:
        return f"What it was judged by: the results of {minutes(window_s)}"
    return ""


def _failed(
    incident: Incident, visible: QuerySet[Probe], now: datetime
) -> QuerySet[Outcome]:
    probe_ids = _probe_ids(incident, visible)
    found = Outcome.objects.filter(probe__in=probe_ids)
    if incident.probe_id is None and connection.vendor == "sqlite":
        # The sum keeps it from reading all results: failures have an index by time.
        # PostgreSQL would read all that failed, of all gateways, and knows better.
        whose = Outcome.objects.alias(whose=F("probe_id") + 0)
        found = whose.filter(whose__in=probe_ids)
    if incident.kind == RuleKind.GATEWAY_DOWN:
        # A key that was refused meanwhile is no part of it, unless that is how it refused.
        told = incident.evidence.get("classes", {})
        found = found.filter(error_class__in={*told, *_OF_GATEWAY})
    return _while_it_lasted(incident, found, now).exclude(error_class="")


def _while_it_lasted(
    incident: Incident, found: QuerySet[Outcome], now: datetime
) -> QuerySet[Outcome]:
    return found.filter(
        started_at__gte=incident.began_at,
        started_at__lte=incident.resolved_at or now,
        maintenance=False,
        misdated=False,
    )


def _probe_ids(incident: Incident, visible: QuerySet[Probe]) -> Sequence[int]:
    if incident.probe_id is not None:
        return [incident.probe_id]
    probes = visible.filter(gateway=incident.gateway_id)
    if incident.team_id is not None:
        probes = probes.filter(team=incident.team_id)
    return list(probes.values_list("pk", flat=True))


def _around(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    since, until = incident.began_at, incident.resolved_at or now
    around = max(_LEAST_AROUND, (until - since) / 2)
    return since - around, min(now, until + around)


def _credits(incident: Incident, mark: Mark, now: datetime) -> ChartTable:
    end = min(now, (incident.resolved_at or now) + _CREDITS_AROUND / 4)
    readings = CreditReading.objects.filter(
        team=incident.team_id,
        read_at__gte=incident.began_at - _CREDITS_AROUND,
        read_at__lte=end,
        remaining__isnull=False,
    )
    told = list(
        readings.order_by("-read_at").values_list("read_at", "remaining")[
            :_MOST_READINGS
        ]
    )
    points = [(at, left) for at, left in reversed(told) if left is not None]
    table = charts.credits_left(points)
    return replace(
        table,
        name="evidence",
        chart={**table.chart, "marks": [drawing.band(mark, end)]},
    )
