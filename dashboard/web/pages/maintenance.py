"""Maintenances that go on now: what fails in one is announced, and in no rate."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from dashboard.alerts.models import Silence
from dashboard.teams.models import Team
from dashboard.web import access, words

# A team has up to fifty silences; the page of them has them all.
_MOST = 5


@dataclass(frozen=True, slots=True)
class Maintenance:
    what: str
    until: SafeString
    reason: str


def under_way(user: access.Visitor, now: datetime) -> list[Silence]:
    """Return those that the user may see, the longest first; one query."""
    seen = access.silences(user).filter(maintenance=True)
    return list(seen.filter(starts_at__lte=now, ends_at__gt=now).order_by("-ends_at"))


def of_team(silences: Iterable[Silence], team: Team) -> list[Silence]:
    """Return those that hold for the team, or for a probe of it."""
    return [
        each
        for each in silences
        if each.gateway_id in {None, team.gateway_id}
        and each.team_id in {None, team.pk}
        and (each.probe is None or each.probe.team_id == team.pk)
    ]


def told(silences: Iterable[Silence], now: datetime) -> list[Maintenance]:
    """Return how a page tells of them."""
    return [
        Maintenance(
            what=str(each.probe or each.team or each.gateway or "everything"),
            until=words.clock(each.ends_at, now),
            reason=each.reason,
        )
        for each in list(silences)[:_MOST]
    ]
