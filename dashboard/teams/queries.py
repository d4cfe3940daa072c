"""Read what is known of teams and their credits."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.db import connection
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
        return lasts(self.remaining, self.per_hour)

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
        shortest = lasts(self.remaining, max(rates))
        if shortest is None:
            return None
        return shortest, lasts(self.remaining, min(rates))


def lasts(remaining: float, per_hour: float) -> float | None:
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
    """Return the paces of many teams in two queries; those with too few readings lack.

    The database adds them up: a day of a hundred teams is 144,000 readings.
    """
    if not team_ids:
        return {}
    adapt = connection.ops.adapt_datetimefield_value
    recent, hour = adapt(now - RECENT), adapt(now - _HOUR)
    places = ", ".join(["%s"] * len(team_ids))
    # All names are from here; values are parameters.
    statement = f"""
        SELECT team_id, COUNT(*), MIN(read_at), MAX(read_at),
            SUM(CASE WHEN gone > 0 THEN gone ELSE 0 END),
            SUM(CASE WHEN read_at > %s THEN 1 ELSE 0 END),
            MIN(CASE WHEN read_at > %s THEN read_at END),
            SUM(CASE WHEN since > %s AND gone > 0 THEN gone ELSE 0 END),
            SUM(CASE WHEN read_at > %s THEN 1 ELSE 0 END),
            SUM(CASE WHEN since > %s AND gone > 0 THEN gone ELSE 0 END)
        FROM (
            SELECT team_id, read_at,
                LAG(remaining) OVER told - remaining AS gone,
                LAG(read_at) OVER told AS since
            FROM teams_creditreading
            WHERE team_id IN ({places}) AND read_at > %s AND read_at <= %s
                AND remaining IS NOT NULL
            WINDOW told AS (PARTITION BY team_id ORDER BY read_at)
        ) AS readings
        GROUP BY team_id
    """  # noqa: S608
    window = (adapt(now - BURN_WINDOW), adapt(now))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*[recent] * 3, *[hour] * 2, *team_ids, *window])
        rows = [_Sums(*row) for row in cursor.fetchall()]
    latest = latest_readings([row.team_id for row in rows], now)
    # A team may be deleted between the two.
    rows = [row for row in rows if row.team_id in latest]
    paces = {row.team_id: _burn(row, latest[row.team_id]) for row in rows}
    return {team_id: pace for team_id, pace in paces.items() if pace is not None}


class _Sums(NamedTuple):
    """What a team's readings of 24 hours tell together, and those of 6 and of one."""

    team_id: int
    readings: int
    first: datetime | str
    last: datetime | str
    spent: float
    recent_readings: int
    recent_first: datetime | str | None
    recent_spent: float
    hour_readings: int
    hour_spent: float


def _told(
    team_ids: Collection[int], since: datetime, now: datetime
) -> QuerySet[CreditReading]:
    return CreditReading.objects.filter(
        team__in=team_ids,
        read_at__gt=since,
        read_at__lte=now,
        remaining__isnull=False,
    )


def _burn(sums: _Sums, latest: CreditReading) -> Burn | None:
    first, last = _moment(sums.first), _moment(sums.last)
    per_hour = _pace(sums.spent, sums.readings, last - first)
    if per_hour is None:
        return None
    span = last - _moment(sums.recent_first or sums.last)
    return Burn(
        per_hour=per_hour,
        remaining=latest.remaining or 0.0,
        readings=sums.readings,
        span=last - first,
        auto_refill=bool(latest.auto_refill),
        recent_per_hour=_pace(sums.recent_spent, sums.recent_readings, span),
        latest_per_hour=(
            sums.hour_spent if sums.hour_readings >= LEAST_READINGS else None
        ),
    )


def _moment(told: datetime | str) -> datetime:
    """Return a time of UTC; SQLite keeps no zone."""
    if isinstance(told, str):
        return datetime.fromisoformat(told).replace(tzinfo=UTC)
    return told


def latest_paces(team_ids: Collection[int], now: datetime) -> dict[int, float | None]:
    """Return what many teams used in the last hour, as far as is known; one query.

    What went between the first reading of it and one before may have gone earlier.
    """
    rows = (
        _told(team_ids, now - _HOUR, now)
        .order_by("read_at")
        .values_list("team_id", "remaining")
    )
    by_team: dict[int, list[float]] = defaultdict(list)
    for team_id, remaining in rows:
        by_team[team_id].append(remaining or 0.0)
    return {
        team_id: _spent(hour) if len(hour) >= LEAST_READINGS else None
        for team_id, hour in by_team.items()
    }


def _pace(spent: float, readings: int, span: timedelta) -> float | None:
    """Return what is used in an hour, None for too few readings."""
    if readings < LEAST_READINGS or span < _LEAST_SPAN:
        return None
    return spent / (span / _HOUR)


def _spent(remaining: Sequence[float]) -> float:
    return sum(
        before - after for before, after in pairwise(remaining) if before > after
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
