"""Read what is known of teams and their credits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.db.models import OuterRef, Subquery

from dashboard.teams.models import CreditReading, Team

BURN_WINDOW = timedelta(hours=24)
_LEAST_READINGS = 3
_LEAST_SPAN = timedelta(hours=1)


def latest_readings(team_ids: Collection[int]) -> dict[int, CreditReading]:
    """Return each team's latest reading that told how many credits remain."""
    told = CreditReading.objects.filter(
        team=OuterRef("pk"), remaining__isnull=False
    ).order_by("-read_at")
    # One seek for each team; MAX(read_at) by team walks the whole history.
    latest = Team.objects.filter(pk__in=team_ids).values(
        latest=Subquery(told.values("pk")[:1])
    )
    readings = CreditReading.objects.filter(pk__in=latest)
    return {reading.team_id: reading for reading in readings}


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast credits go: `per_hour` over the `span` that its readings cover."""

    per_hour: float
    remaining: float
    readings: int
    span: timedelta
    auto_refill: bool = False

    @property
    def hours_left(self) -> float | None:
        """Return how long the credits last at this pace; None when nothing is used."""
        return self.remaining / self.per_hour if self.per_hour > 0 else None


def burn(team: Team, now: datetime) -> Burn | None:
    """Return the pace of the last 24 h, None for too few readings.

    A rise between two readings is a refill, not negative use.
    """
    return burns([team.pk], now).get(team.pk)


def burns(team_ids: Collection[int], now: datetime) -> dict[int, Burn]:
    """Return the paces of many teams in one query; those with too few readings lack."""
    rows = (
        CreditReading.objects.filter(
            team__in=team_ids,
            read_at__gt=now - BURN_WINDOW,
            read_at__lte=now,
            remaining__isnull=False,
        )
        .order_by("read_at")
        .values_list("team_id", "read_at", "remaining", "auto_refill")
    )
    by_team: dict[int, list[_Reading]] = {}
    for team_id, read_at, remaining, auto_refill in rows:
        reading = (read_at, remaining or 0.0, bool(auto_refill))
        by_team.setdefault(team_id, []).append(reading)
    paces = {team_id: _burn(readings) for team_id, readings in by_team.items()}
    return {team_id: pace for team_id, pace in paces.items() if pace is not None}


_Reading = tuple[datetime, float, bool]


def _burn(readings: Sequence[_Reading]) -> Burn | None:
    if len(readings) < _LEAST_READINGS:
        return None
    span = readings[-1][0] - readings[0][0]
    if span < _LEAST_SPAN:
        return None
    spent = sum(
        max(0.0, before - after) for (_, before, _), (_, after, _) in pairwise(readings)
    )
    return Burn(
        per_hour=spent / (span.total_seconds() / 3600),
        remaining=readings[-1][1],
        readings=len(readings),
        span=span,
        auto_refill=readings[-1][2],
    )
