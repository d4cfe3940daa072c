"""Gather what is known right now of everything that a visitor may see."""

from datetime import datetime, timedelta
from operator import attrgetter

from dashboard.alerts.queries import broken_rules
from dashboard.probes.heartbeats import told_rest
from dashboard.probes.queries import breakers_of
from dashboard.teams.queries import latest_readings
from dashboard.web import access
from dashboard.web.attention import Facts
from dashboard.web.credit_levels import marks_of
from dashboard.web.prober import prober

LATELY = timedelta(days=3)
# Of hundreds of alarms that come and go there would be tens of thousands.
_MOST_ENDED = 500


def facts(user: access.Visitor, now: datetime) -> Facts:
    """Return the facts in ten queries; teams are those that have a probe."""
    probes = list(access.probes(user))
    for probe in probes:
        if probe.team:
            # The same row, already here: otherwise each team would ask for its own.
            probe.team.gateway = probe.gateway
    teams = list({probe.team.pk: probe.team for probe in probes if probe.team}.values())
    incidents = access.incidents(user).order_by("-opened_at")
    ended = incidents.filter(resolved_at__gte=now - LATELY).order_by("-resolved_at")
    return Facts(
        now=now,
        prober=prober(now),
        probes=probes,
        teams=teams,
        incidents=list(incidents.filter(resolved_at=None)),
        ended=sorted(ended[:_MOST_ENDED], key=attrgetter("opened_at"), reverse=True),
        breakers=breakers_of(probes, now),
        readings=latest_readings([team.pk for team in teams]),
        marks=marks_of(teams),
        broken_rules=broken_rules() if access.is_site_admin(user) else [],
        rest=told_rest(now),
        is_shared=bool(probes) or access.has_teams(user),
    )
