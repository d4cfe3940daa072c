"""Read what is known of teams and their credits."""

from collections.abc import Collection
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

    @property
    def hours_left(self) -> float | None:
        """Return how long the credits last at this pace; None when nothing is used."""
        return self.remaining / self.per_hour if self.per_hour > 0 else None


def burn(team: Team, now: datetime) -> Burn | None:
    """Return the pace of the last 24 h, None for too few readings.

    A rise between two readings is a refill, not negative use.
    """
    rows = CreditReading.objects.filter(
        team=team, read_at__gt=now - BURN_WINDOW, read_at__lte=now
    ).order_by("read_at")
    readings = [
        (read_at, remaining)
        for read_at, remaining in rows.values_list("read_at", "remaining")
        if remaining is not None
    ]
    if len(readings) < _LEAST_READINGS:
        return None
    span = readings[-1][0] - readings[0][0]
    if span < _LEAST_SPAN:
        return None
    spent = sum(
        max(0.0, before - after) for (_, before), (_, after) in pairwise(readings)
    )
    return Burn(
        per_hour=spent / (span.total_seconds() / 3600),
        remaining=readings[-1][1],
        readings=len(readings),
        span=span,
    )
