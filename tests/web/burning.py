"""Teams that use credits, and how much."""

from collections.abc import Sequence
from datetime import timedelta

from django.http import QueryDict

from dashboard.teams.credit_hours import (
    Hour,
    fold_between,
    hours_of,
)
from dashboard.teams.models import Gateway, Team
from dashboard.teams.queries import Burn
from dashboard.web.ranges import Range, chosen
from tests.factories import NOW, make_reading, make_team

HOUR_S = 3600
DAY = timedelta(days=1)


def burning(name: str, per_hour: float, *, left: float, gateway: Gateway) -> Team:
    """Return a team that used so much in each of the last 24 hours."""
    team = make_team(gateway, name=name)
    for hour in range(25):
        remaining = left + per_hour * hour
        make_reading(team, -hour * HOUR_S, remaining=remaining, used=0.0)
    fold_between([team.pk], NOW - 2 * DAY, NOW + timedelta(hours=1))
    return team


def hours(team: Team) -> Sequence[Hour]:
    return hours_of([team.pk], NOW - 2 * DAY, NOW + DAY)[team.pk]


def span(asked: str = "range=7d") -> Range:
    return chosen(QueryDict(asked), NOW)


def burn(
    per_hour: float,
    recent: float | None = None,
    latest: float | None = None,
    left: float = 240.0,
) -> Burn:
    return Burn(per_hour, left, 99, DAY, recent_per_hour=recent, latest_per_hour=latest)
