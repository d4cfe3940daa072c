"""Gather what is known right now of everything that a visitor may see."""

from datetime import datetime

from dashboard.alerts.queries import broken_rules
from dashboard.probes.queries import breakers_of
from dashboard.teams.queries import latest_readings
from dashboard.web import access
from dashboard.web.attention import Facts
from dashboard.web.prober import prober


def facts(user: access.Visitor, now: datetime) -> Facts:
    """Return the facts in seven queries; teams are those that have a probe."""
    probes = list(access.probes(user))
    teams = list({probe.team.pk: probe.team for probe in probes if probe.team}.values())
    incidents = access.incidents(user).filter(resolved_at__isnull=True)
    return Facts(
        now=now,
        prober=prober(now),
        probes=probes,
        teams=teams,
        incidents=list(incidents),
        breakers=breakers_of(probes, now),
        readings=latest_readings([team.pk for team in teams]),
        broken_rules=broken_rules() if access.is_site_admin(user) else [],
    )
