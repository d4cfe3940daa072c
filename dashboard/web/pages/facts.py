"""Gather what is known right now of everything that a visitor may see."""

from datetime import datetime

from dashboard.probes.queries import breakers
from dashboard.teams.queries import latest_readings
from dashboard.web import access
from dashboard.web.attention import Facts
from dashboard.web.prober import prober


def facts(user: access.Visitor, now: datetime) -> Facts:
    """Return the facts in a constant number of queries."""
    probes = list(access.probes(user))
    teams = list(access.teams(user))
    incidents = access.incidents(user).filter(resolved_at__isnull=True)
    seen = {probe.pk for probe in probes}
    gateways = {probe.gateway_id for probe in probes}
    return Facts(
        now=now,
        prober=prober(now),
        probes=probes,
        teams=teams,
        incidents=list(incidents),
        breakers=[
            breaker
            for breaker in breakers(now)
            if breaker.gateway.pk in gateways
            and (breaker.probe is None or breaker.probe.pk in seen)
        ],
        readings=latest_readings([team.pk for team in teams]),
    )
