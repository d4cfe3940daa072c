"""Read what is known of teams and their credits."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery

from dashboard.teams.models import CreditReading, Team

BURN_WINDOW = timedelta(hours=24)
RECENT = timedelta(hours=6)
LEAST_READINGS = 3
_LEAST_SPAN = timedelta(hours=1)
# A rise by this share of the allocated credits is a refill; less is a refund.
_REFILL_SHARE = 0.05
# The next hundred years: a slow pace lasts beyond the year 9999, where dates end.
_MOST_HOURS = 876_600.0
_HOUR = timedelta(hours=1)
# One hour says nothing of the days to come: it counts where it is so many times as fast
# as the longer ones, and the credits would be gone within a day at its pace.
_CLEARLY_FASTER = 1.5
_SOON_H = 24


def latest_readings(
    team_ids: Collection[int], until: datetime | None = None
) -> dict[int, CreditReading]:
    """Return each team's latest reading that told how many credits remain.

    Those after `until` do not count: after the clock went back they are from the future.
    """
    told = CreditReading.objects.filter(
        team=OuterRef("pk"), remaining__isnull=False
    ).order_by("-read_at")
    if until is not None:
        told = told.filter(read_at__lte=until)
    # One seek for each team; MAX(read_at) by team walks the whole history.
    latest = Team.objects.filter(pk__in=team_ids).values(
        latest=Subquery(told.values("pk")[:1])
    )
    readings = CreditReading.objects.filter(pk__in=latest)
    return {reading.team_id: reading for reading in readings}


class Told(NamedTuple):
    """A reading that told how many credits remain."""

    at: datetime
    remaining: float
    allocated: float | None
    auto_refill: bool


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast credits go: `per_hour` over the `span` that its readings cover.

    `recent_per_hour` is the pace of the last six hours alone, `latest_per_hour` what was
    used in the last one at least; None for too few readings.
    """

    per_hour: float
    remaining: float
    readings: int
    span: timedelta
    auto_refill: bool = False
    recent_per_hour: float | None = None
    latest_per_hour: float | None = None

    @property
    def per_day(self) -> float:
        return self.per_hour * 24

    @property
    def hours_left(self) -> float | None:
        """Return how long the credits last at this pace; None when nothing is used."""
        return _lasts(self.remaining, self.per_hour)

    @property
    def hurried_per_hour(self) -> float | None:
        """Return the pace of the last hour where it counts, None where it does not."""
        latest = self.latest_per_hour
        return latest if latest is not None and self.is_hurried_by(latest) else None

    def is_hurried_by(self, per_hour: float) -> bool:
        """Say whether such a pace of one hour brings the end clearly nearer, and soon."""
        usual = max(self.per_hour, self.recent_per_hour or 0.0)
        is_faster = per_hour >= _CLEARLY_FASTER * usual
        return is_faster and self.remaining < _SOON_H * per_hour

    @property
    def paces(self) -> list[tuple[float, timedelta]]:
        """Return the paces that count, the fastest first, and over which time each is."""
        told = (
            (self.per_hour, self.span),
            (self.recent_per_hour, min(RECENT, self.span)),
            (self.hurried_per_hour, _HOUR),
        )
        known = [(per_hour, span) for per_hour, span in told if per_hour is not None]
        return sorted(known, reverse=True)

    @property
    def fastest(self) -> tuple[float, timedelta]:
        """Return the fastest pace that counts, and over which time that is."""
        return self.paces[0]

    @property
    def is_faster_lately(self) -> bool:
        return self.fastest[0] >= _CLEARLY_FASTER * self.per_hour > 0

    @property
    def hours_range(self) -> tuple[float, float | None] | None:
        """Return the shortest and the longest that the credits last at these paces.

        The longest is None where nothing was used at one of them, the whole None where
        nothing was at any.
        """
        rates = [per_hour for per_hour, _ in self.paces]
        shortest = _lasts(self.remaining, max(rates))
        if shortest is None:
            return None
        return shortest, _lasts(self.remaining, min(rates))


def _lasts(remaining: float, per_hour: float) -> float | None:
    """Return for how many hours, a hundred years at most; None when nothing is used.

    What is overdrawn lasts for none: slowly, it went beyond all dates long ago.
    """
    if per_hour <= 0:
        return None
    return max(0.0, min(remaining / per_hour, _MOST_HOURS))


def burn(team: Team, now: datetime) -> Burn | None:
    """Return the pace of the last 24 h, None for too few readings.

    A rise between two readings is a refill, not negative use.
    """
    return burns([team.pk], now).get(team.pk)


def burns(team_ids: Collection[int], now: datetime) -> dict[int, Burn]:
    """Return the paces of many teams in one query; those with too few readings lack."""
    rows = (
        _told(team_ids, now - BURN_WINDOW, now)
        .order_by("read_at")
        .values_list("team_id", "read_at", "remaining", "allocated", "auto_refill")
    )
    by_team: dict[int, list[Told]] = defaultdict(list)
    for team_id, read_at, remaining, allocated, auto_refill in rows:
        reading = Told(read_at, remaining or 0.0, allocated, bool(auto_refill))
        by_team[team_id].append(reading)
    paces = {team_id: _burn(readings, now) for team_id, readings in by_team.items()}
    return {team_id: pace for team_id, pace in paces.items() if pace is not None}


def _told(
    team_ids: Collection[int], since: datetime, now: datetime
) -> QuerySet[CreditReading]:
    return CreditReading.objects.filter(
        team__in=team_ids,
        read_at__gt=since,
        read_at__lte=now,
        remaining__isnull=False,
    )


def _burn(readings: Sequence[Told], now: datetime) -> Burn | None:
    per_hour = _pace(readings)
    if per_hour is None:
        return None
    latest = readings[-1]
    return Burn(
        per_hour=per_hour,
        remaining=latest.remaining,
        readings=len(readings),
        span=latest.at - readings[0].at,
        auto_refill=latest.auto_refill,
        recent_per_hour=_pace([told for told in readings if told.at > now - RECENT]),
        latest_per_hour=_latest_pace(readings, now),
    )


def latest_paces(team_ids: Collection[int], now: datetime) -> dict[int, float | None]:
    """Return what many teams used in the last hour, as far as is known; one query."""
    rows = (
        _told(team_ids, now - _HOUR, now)
        .order_by("read_at")
        .values_list("team_id", "read_at", "remaining")
    )
    by_team: dict[int, list[Told]] = defaultdict(list)
    for team_id, read_at, remaining in rows:
        reading = Told(read_at, remaining or 0.0, None, auto_refill=False)
        by_team[team_id].append(reading)
    return {team_id: _latest_pace(told, now) for team_id, told in by_team.items()}


def _latest_pace(readings: Sequence[Told], now: datetime) -> float | None:
    """Return what was seen to be used in the last hour, also where they tell less of it.

    What went between the first of them and one before may have gone earlier.
    """
    hour = [told for told in readings if told.at > now - _HOUR]
    return _spent(hour) if len(hour) >= LEAST_READINGS else None


def _pace(readings: Sequence[Told]) -> float | None:
    """Return what is used in an hour, None for too few readings."""
    if len(readings) < LEAST_READINGS:
        return None
    span = readings[-1].at - readings[0].at
    if span < _LEAST_SPAN:
        return None
    return _spent(readings) / (span / _HOUR)


def _spent(readings: Sequence[Told]) -> float:
    return sum(
        max(0.0, before.remaining - after.remaining)
        for before, after in pairwise(readings)
    )


def is_refill(before: Told, after: Told) -> bool:
    """Say whether the credits rose by more than a refund does."""
    rise = after.remaining - before.remaining
    if rise <= 0:
        return False
    if None not in (before.allocated, after.allocated) and (
        (after.allocated or 0.0) > (before.allocated or 0.0)
    ):
        return True
    return rise >= _REFILL_SHARE * abs(after.allocated or 0.0)
