"""Objects for tests, with defaults: say only what matters."""

from datetime import UTC, datetime, timedelta
from itertools import count

from dashboard.alerts.models import Incident, RuleKind, Severity
from dashboard.probes.models import Heartbeat, Outcome, Probe, ProbeKind
from dashboard.teams.models import CreditReading, Gateway, Team

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_numbers = count(1)


def make_gateway(**fields: object) -> Gateway:
    number = next(_numbers)
    defaults = {"name": f"gateway-{number}", "base_url": "https://gateway.example"}
    return Gateway.objects.create(**{**defaults, **fields})


def make_team(gateway: Gateway | None = None, **fields: object) -> Team:
    defaults = {"team_id": f"team-{next(_numbers)}"}
    gateway = gateway or make_gateway()
    return Team.objects.create(gateway=gateway, **{**defaults, **fields})


def make_probe(
    team: Team | None = None, gateway: Gateway | None = None, **fields: object
) -> Probe:
    gateway = team.gateway if team else gateway or make_gateway()
    kind = ProbeKind.TEAM_STATUS if team else ProbeKind.HEALTH
    defaults = {"kind": kind, "period_s": 60, "next_run": NOW}
    return Probe.objects.create(gateway=gateway, team=team, **{**defaults, **fields})


def make_outcome(probe: Probe, seconds: float = 0, **fields: object) -> Outcome:
    """Store an outcome that started `seconds` after NOW: a success of 50 ms."""
    defaults = {
        "started_at": NOW + timedelta(seconds=seconds),
        "latency_us": 50_000,
        "elapsed_us": 50_000,
        "attempts": 1,
    }
    return Outcome.objects.create(probe=probe, **{**defaults, **fields})


def make_incident(
    gateway: Gateway | None = None,
    team: Team | None = None,
    probe: Probe | None = None,
    **fields: object,
) -> Incident:
    """Store an open, critical incident of its team's or its probe's gateway, or another."""
    of = probe or team
    defaults: dict[str, object] = {
        "kind": RuleKind.ERROR_RATE,
        "identity": f"test:{Incident.objects.count()}",
        "severity": Severity.CRITICAL,
        "summary": "Half of everything fails",
        "opened_at": NOW,
        "evaluated_at": NOW,
    }
    return Incident.objects.create(
        gateway=gateway or (of.gateway if of else make_gateway()),
        team=team,
        probe=probe,
        **{**defaults, **fields},
    )


def make_reading(team: Team, seconds: float = 0, **fields: object) -> CreditReading:
    defaults = {
        "read_at": NOW + timedelta(seconds=seconds),
        "allocated": 1000.0,
        "remaining": 500.0,
        "used": 500.0,
    }
    return CreditReading.objects.create(team=team, **{**defaults, **fields})


def beat(seconds_ago: float = 5) -> None:
    """Let the prober have worked so many seconds before NOW."""
    Heartbeat.objects.create(
        name="tick-0", beat_at=NOW - timedelta(seconds=seconds_ago)
    )
