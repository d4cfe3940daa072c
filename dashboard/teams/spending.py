"""What teams used of their credits, and refilled, added up from their hours."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.db import connection

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.teams.credit_hours import Hour, hours_of
from dashboard.teams.models import CreditHour, CreditReading
from dashboard.teams.queries import (
    LEAST_READINGS,
    Told,
    is_refill,
    latest_readings,
)

_HOUR = timedelta(hours=1)


def spent_lately(
    team_ids: Collection[int], now: datetime
) -> dict[int, tuple[float, float | None]]:
    """Return what teams spent in this hour and the one before, and what they have.

    One small query; teams without readings in them lack.
    """
    rows = CreditHour.objects.filter(
        team__in=team_ids, hour__gte=buckets.floor(now, HOUR_S) - _HOUR, hour__lte=now
    ).order_by("hour")
    found: dict[int, tuple[float, float | None]] = {}
    for row in rows:
        before, _ = found.get(row.team_id, (0.0, None))
        found[row.team_id] = before + row.spent, row.allocated
    return found


@dataclass(frozen=True, slots=True)
class Refill:
    """A rise between two readings that is too large for a refund."""

    at: datetime
    amount: float


def refills(hours: Iterable[Hour]) -> list[Refill]:
    """Return the refills in these hours, those between two of them, too."""
    return [Refill(row.hour, row.refilled) for row in linked(hours) if row.refilled > 0]


def linked(hours: Iterable[Hour]) -> list[Hour]:
    """Return the hours, each also with what went and came since the one before it.

    That lies between the last reading of the one and the first of the other; of a team
    that is read once an hour it is all.
    """
    found: list[Hour] = []
    before: Hour | None = None
    for row in hours:
        found.append(row if before is None else _linked(before, row))
        before = row
    return found


def _linked(before: Hour, row: Hour) -> Hour:
    spent, refilled = row.spent, row.refilled
    if is_refill(_told(before, before.last), _told(row, row.first)):
        refilled += row.first - before.last
    else:
        spent += max(0.0, before.last - row.first)
    return row._replace(spent=spent, refilled=refilled)


def _told(row: Hour, remaining: float) -> Told:
    return Told(row.hour, remaining, row.allocated, auto_refill=False)


@dataclass(frozen=True, slots=True)
class Use:
    """What was used in how many hours."""

    spent: float
    hours: float
    readings: int

    @property
    def per_hour(self) -> float:
        return self.spent / self.hours


def spent(hours: Sequence[Hour]) -> float:
    """Return the credits used in these hours, and between one and the next."""
    drops = sum(max(0.0, a.last - b.first) for a, b in pairwise(hours))
    return drops + sum(row.spent for row in hours)


class Spending(NamedTuple):
    """What was used in a time, as far as the readings in so many of its hours tell.

    `least` is the fewest that were left.
    """

    credits: float
    hours: int
    readings: int
    least: float | None = None


def spending(
    hours: Sequence[Hour], since: datetime, until: datetime
) -> Spending | None:
    """Return what these hours tell of [since, until), None where there are none.

    They count as `hours_in` tells.
    """
    own = hours_in(hours, since, until)
    if not own:
        return None
    return Spending(
        credits=sum(row.spent for row in own),
        hours=len(own),
        readings=sum(row.readings for row in own),
        least=min(row.least for row in own),
    )


def hours_in(hours: Sequence[Hour], since: datetime, until: datetime) -> list[Hour]:
    """Return the hours of [since, until), the one that `since` is in whole, linked.

    The first is linked to the hour before it, if that has readings.
    """
    start = buckets.floor(since, HOUR_S)
    led = [row for row in hours if row.hour == start - _HOUR]
    own = [row for row in hours if start <= row.hour < until]
    return linked([*led, *own])[len(led) :]


def spent_between(
    team_ids: Collection[int], since: datetime, until: datetime
) -> dict[int, Spending]:
    """Return the same of many teams, those with readings in the time; one query.

    The database adds it up: a year of a hundred teams is 876,000 rows.
    """
    if not team_ids:
        return {}
    start = buckets.floor(since, HOUR_S)
    moments = map(connection.ops.adapt_datetimefield_value, (start - _HOUR, until))
    places = ", ".join(["%s"] * len(team_ids))
    own_start = connection.ops.adapt_datetimefield_value(start)
    # All names are from here; values are parameters.
    statement = f"""
        SELECT team_id, SUM(spent + CASE WHEN before > first THEN before - first ELSE 0 END),
            COUNT(*), SUM(readings), MIN(least)
        FROM (
            SELECT team_id, hour, first, least, spent, readings,
                LAG(last) OVER (PARTITION BY team_id ORDER BY hour) AS before
            FROM teams_credithour
            WHERE team_id IN ({places}) AND hour >= %s AND hour < %s
        ) AS hours
        WHERE hour >= %s
        GROUP BY team_id
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [*team_ids, *moments, own_start])
        return {
            team_id: Spending(used, hours, readings, least)
            for team_id, used, hours, readings, least in cursor.fetchall()
        }


def spent_until_now(
    team_ids: Collection[int], since: datetime, now: datetime
) -> dict[int, Spending]:
    """Return the same up to each team's latest reading; three queries.

    Hours are folded once a minute, and a team's own page tells of its latest reading.
    """
    found = spent_between(team_ids, since, now)
    hours = hours_of(team_ids, buckets.floor(now, HOUR_S) - 2 * _HOUR, now)
    readings = latest_readings(team_ids)
    return {
        team_id: with_unfolded(own, hours.get(team_id, ()), readings.get(team_id), now)
        for team_id, own in found.items()
    }


def with_latest(hours: Sequence[Hour], reading: CreditReading | None) -> Sequence[Hour]:
    """Return a team's hours with its latest reading: they are folded once a minute."""
    if not hours or reading is None or reading.remaining is None:
        return hours
    *others, row = hours
    left, hour = reading.remaining, buckets.floor(reading.read_at, HOUR_S)
    if row.hour < hour:
        allocated = reading.allocated
        return [*hours, Hour(hour, left, left, left, 0.0, 0.0, allocated, readings=1)]
    if row.hour > hour:
        return hours
    told = Hour(hour, left, left, left, allocated=reading.allocated)
    since = _linked(row, told)
    changed = row._replace(
        last=left,
        least=min(row.least, left),
        spent=row.spent + since.spent,
        refilled=row.refilled + since.refilled,
    )
    return [*others, changed]


def with_unfolded(
    found: Spending, hours: Sequence[Hour], reading: CreditReading | None, now: datetime
) -> Spending:
    """Add what a team's latest reading tells beyond its hours, of which some are given."""
    if not hours:
        return found
    row = hours[-1]
    latest = linked(with_latest([row], reading))[-1]
    if latest.hour >= now:
        return found
    is_new = latest.hour > row.hour
    return Spending(
        credits=found.credits + latest.spent - (0.0 if is_new else row.spent),
        hours=found.hours + is_new,
        readings=found.readings + is_new,
        least=latest.least if found.least is None else min(found.least, latest.least),
    )


def used(hours: Sequence[Hour], since: datetime, now: datetime) -> Use | None:
    """Return what was used in these hours, None where they span less than one.

    Where the first is not the first of all since `since`, the team was not read before,
    and nobody knows how much of that hour: only its end is counted from.
    """
    if not hours:
        return None
    begins = begins_at(hours, since)
    span = (min(now, hours[-1].hour + _HOUR) - begins) / _HOUR
    readings = sum(row.readings for row in hours)
    if span < 1 or readings < LEAST_READINGS:
        return None
    unknown = 0.0 if begins == hours[0].hour else hours[0].spent
    return Use(spent(hours) - unknown, span, readings)


def begins_at(hours: Sequence[Hour], since: datetime) -> datetime:
    is_whole = hours[0].hour - since <= _HOUR
    return hours[0].hour if is_whole else hours[0].hour + _HOUR
