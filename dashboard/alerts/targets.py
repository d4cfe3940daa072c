"""What rules watch: a probe, a team, a gateway or a breaker, and its incident's identity."""

from dataclasses import dataclass

from dashboard.alerts.models import Incident, RuleKind
from dashboard.probes.models import Probe
from dashboard.probes.queries import BreakerView
from dashboard.teams.models import Gateway, Team

_IDENTITY_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Target:
    """What one rule kind watches; at most one incident is open for an `identity`."""

    kind: str
    identity: str
    gateway: Gateway
    team: Team | None = None
    probe: Probe | None = None

    @property
    def name(self) -> str:
        return str(self.probe or self.team or self.gateway)


def of_probe(kind: RuleKind, probe: Probe) -> Target:
    identity = f"{kind}:probe:{probe.pk}"
    return Target(kind, identity, probe.gateway, probe.team, probe)


def of_team(kind: RuleKind, team: Team, gateway: Gateway) -> Target:
    return Target(kind, f"{kind}:team:{team.pk}", gateway, team)


def of_gateway(kind: RuleKind, gateway: Gateway) -> Target:
    return Target(kind, f"{kind}:gateway:{gateway.pk}", gateway)


def of_breaker(view: BreakerView) -> Target:
    """Return the target of a breaker: its probe's, or its gateway's for a host's."""
    kind, probe = RuleKind.BREAKER_OPEN, view.probe
    if probe is None:
        return of_gateway(kind, view.gateway)
    identity = f"{kind}:probe:{probe.pk}:{view.endpoint}"[:_IDENTITY_LENGTH]
    return Target(kind, identity, view.gateway, probe.team, probe)


def of_incident(incident: Incident) -> Target:
    return Target(
        incident.kind,
        incident.identity,
        incident.gateway,
        incident.team,
        incident.probe,
    )
