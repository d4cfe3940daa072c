import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from django.core.management.base import BaseCommand
from django.db.models import F, QuerySet
from django.utils import timezone

from dashboard import pipeline
from dashboard.management.edge import UsageError
from dashboard.management.tables import table
from dashboard.pipeline.answers import Answer
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.rhythm import waits_for_key
from dashboard.teams.models import Team

FAILING = 1
HEADER = (
    "GATEWAY",
    "TEAM",
    "PROBE",
    "CLASS",
    "STATUS",
    "LATENCY",
    "ATTEMPTS",
    "DETAIL",
)


class Command(BaseCommand):
    help = "Probe now and print what was seen; exit 1 when something fails."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--team", metavar="T", help="only this team, by id or name")
        parser.add_argument(
            "--probe", metavar="P", help=f"only this kind: {', '.join(KINDS)}"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(
        self, *, team: str | None, probe: str | None, json: bool, **_: object
    ) -> None:
        probes = _wanted(team, probe)
        answers = pipeline.probe_now(probes, timezone.now())
        rows = [_told(one, answer) for one, answer in zip(probes, answers, strict=True)]
        self.stdout.write(_json(rows) if json else _table(rows))
        if any(answer.report.error for answer in answers):
            sys.exit(FAILING)


def _wanted(team: str | None, kind: str | None) -> list[Probe]:
    """Return the probes to run; refuse a team or a probe that does not exist."""
    probes: QuerySet[Probe] = Probe.objects.select_related("gateway", "team").order_by(
        "gateway__name",
        # PostgreSQL sorts the gateway's own probes, which have no team, last by itself.
        F("team__team_id").asc(nulls_first=True),
        "kind",
    )
    if team is not None:
        # By the id first: a manager may call his team like another one's.
        teams = Team.objects.filter(team_id=team) or Team.objects.filter(name=team)
        if not teams:
            raise UsageError(f"--team {team!r} is unknown; {_known_teams()}.")
        probes = probes.filter(team__in=teams)
    if kind is None:
        # Paid probes only when they are switched on, or named.
        probes = probes.filter(enabled=True)
    elif kind in KINDS:
        probes = probes.filter(kind=ProbeKind(kind))
    else:
        raise UsageError(f"--probe {kind!r} is unknown; known: {', '.join(KINDS)}.")
    found = [probe for probe in probes if kind or not waits_for_key(probe)]
    if not found:
        raise UsageError(
            "There is nothing to probe; set up a gateway in the pages or by manage.py "
            "load_config, or name other probes."
        )
    return found


def _known_teams() -> str:
    """Return the first teams by id, and how to see the others."""
    ids = list(Team.objects.order_by("team_id").values_list("team_id", flat=True))
    known = f"known: {', '.join(ids[:_NAMED]) or 'none'}"
    more = len(ids) - _NAMED
    if more <= 0:
        return known
    return f"{known} and {more} more, which manage.py status lists"


_NAMED = 10


def _told(probe: Probe, answer: Answer) -> dict[str, object]:
    report = answer.report
    return {
        "gateway": probe.gateway.name,
        "team": probe.team.team_id if probe.team else None,
        "probe": probe.kind,
        "ok": report.error is None,
        "class": report.error,
        "status": report.status_code,
        "latency_ms": round(report.latency_s * 1000, 1) if report.attempts else None,
        "attempts": len(report.attempts),
        "detail": answer.outcome.detail,
    }


def _json(rows: Sequence[dict[str, object]]) -> str:
    return json.dumps(rows, indent=2)


def _table(rows: Sequence[dict[str, object]]) -> str:
    return table(HEADER, [_cells(row) for row in rows])


def _cells(row: dict[str, object]) -> list[str]:
    latency_ms, detail = row["latency_ms"], str(row["detail"])
    return [
        str(row["gateway"]),
        str(row["team"] or "-"),
        str(row["probe"]),
        str(row["class"] or "ok"),
        str(row["status"] or "-"),
        "-" if latency_ms is None else f"{latency_ms:g} ms",
        str(row["attempts"]),
        detail if len(detail) <= 60 else f"{detail[:59]}…",
    ]
