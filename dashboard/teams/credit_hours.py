"""Credits by the hour: what many teams' pages read instead of a reading a minute.

The tick folds the running hour once a minute, always from the readings themselves, so
that folding twice does no harm. Older readings that were never folded, those of an
installation that had no such rows, are made up for a few hours each time.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from django.db import connection
from django.db.models import Max, Min, OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.teams.models import CreditHour, CreditReading, Team
from dashboard.teams.queries import (
    BURN_WINDOW,
    LEAST_READINGS,
    RECENT,
    Burn,
    Told,
    is_refill,
    latest_paces,
    latest_readings,
)

BASELINE_WINDOW = timedelta(days=7)
_HOUR = timedelta(hours=1)
# 100 teams that are read every minute fold six hours in some 0.2 s.
_MADE_UP = 6 * _HOUR
_WRITTEN = ("first", "last", "least", "spent", "refilled", "allocated", "readings")


def fold(now: datetime) -> int:
    """Bring the rows of all teams up to date; return how many were written."""
    floor = buckets.floor(now, HOUR_S)
    team_ids = list(Team.objects.values_list("pk", flat=True))
    written = fold_between(team_ids, floor - _HOUR, now)
    if (end := _unfolded_until()) is not None:
        written += fold_between(team_ids, end - _MADE_UP, end)
    return written


def _unfolded_until() -> datetime | None:
    """Return the end of the latest hour that was never folded; None when all were."""
    oldest = CreditHour.objects.aggregate(oldest=Min("hour"))["oldest"]
    if oldest is None:
        return None
    before = CreditReading.objects.filter(
        team=OuterRef("pk"), read_at__lt=oldest, remaining__isnull=False
    ).order_by("-read_at")
    # One seek for each team.
    teams = Team.objects.annotate(before=Subquery(before.values("read_at")[:1]))
    latest = teams.aggregate(latest=Max("before"))["latest"]
    return buckets.floor(latest, HOUR_S) + _HOUR if latest else None


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


def fold_between(team_ids: Collection[int], start: datetime, end: datetime) -> int:
    """Write the hours from `start`, a whole one, until `end`."""
    rows = (
        CreditReading.objects.filter(
            team__in=team_ids,
            read_at__gte=start,
            read_at__lt=end,
            remaining__isnull=False,
        )
        .order_by("team_id", "read_at")
        .values_list("team_id", "read_at", "remaining", "allocated", "auto_refill")
    )
    by_hour: dict[tuple[int, datetime], list[Told]] = defaultdict(list)
    for team_id, read_at, remaining, allocated, auto_refill in rows:
        told = Told(read_at, remaining or 0.0, allocated, bool(auto_refill))
        by_hour[team_id, buckets.floor(read_at, HOUR_S)].append(told)
    CreditHour.objects.bulk_create(
        [_row(team_id, hour, told) for (team_id, hour), told in by_hour.items()],
        update_conflicts=True,
        unique_fields=["team", "hour"],
        update_fields=_WRITTEN,
    )
    return len(by_hour)


def _row(team_id: int, hour: datetime, told: Sequence[Told]) -> CreditHour:
    pairs = list(pairwise(told))
    return CreditHour(
        team_id=team_id,
        hour=hour,
        first=told[0].remaining,
        last=told[-1].remaining,
        least=min(each.remaining for each in told),
        spent=sum(max(0.0, a.remaining - b.remaining) for a, b in pairs),
        refilled=sum(b.remaining - a.remaining for a, b in pairs if is_refill(a, b)),
        allocated=told[-1].allocated,
        readings=len(told),
    )


class Hour(NamedTuple):
    """A row of CreditHour as pages read it: a fifth of the time for many teams."""

    hour: datetime
    first: float
    last: float
    least: float
    spent: float = 0.0
    refilled: float = 0.0
    allocated: float | None = None
    readings: int = 0


def hours_of(
    team_ids: Collection[int], since: datetime, until: datetime
) -> Mapping[int, Sequence[Hour]]:
    """Return each team's hours that begin in [since, until), in order; one query."""
    return _by_team(team_ids, Q(hour__gte=since, hour__lt=until))


def hours_at(
    team_ids: Collection[int], moments: Collection[datetime]
) -> Mapping[int, Sequence[Hour]]:
    """Return those of each team's hours that begin at these moments, in order; one query.

    A line over months needs some fifty points, not each of its hours.
    """
    return _by_team(team_ids, Q(hour__in=moments))


def _by_team(team_ids: Collection[int], wanted: Q) -> Mapping[int, Sequence[Hour]]:
    found: dict[int, list[Hour]] = defaultdict(list)
    rows = (
        CreditHour.objects.filter(wanted, team__in=team_ids)
        .order_by("team_id", "hour")
        .values_list("team_id", _HOUR_TEXT, *Hour._fields[1:])
    )
    for team_id, hour, *columns in rows:
        found[team_id].append(Hour(_hour(hour), *columns))
    return found


# A page reads tens of thousands of rows of a few hundred hours: each is parsed once.
_HOUR_TEXT = Cast("hour", TextField())


@lru_cache(maxsize=20_000)
def _hour(text: str) -> datetime:
    """Return an hour of UTC; SQLite keeps no zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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
    begins = _begins(hours, since)
    span = (min(now, hours[-1].hour + _HOUR) - begins) / _HOUR
    readings = sum(row.readings for row in hours)
    if span < 1 or readings < LEAST_READINGS:
        return None
    unknown = 0.0 if begins == hours[0].hour else hours[0].spent
    return Use(spent(hours) - unknown, span, readings)


def _begins(hours: Sequence[Hour], since: datetime) -> datetime:
    is_whole = hours[0].hour - since <= _HOUR
    return hours[0].hour if is_whole else hours[0].hour + _HOUR


def paced_from(hours: Sequence[Hour], now: datetime) -> datetime | None:
    """Return when there will be a pace if readings go on; None where none do, or one is."""
    day = [row for row in hours if row.hour > now - BURN_WINDOW]
    if not day:
        return None
    begins = _begins(day, now - BURN_WINDOW) + _HOUR
    return begins if begins > now else None


def pace(hours: Sequence[Hour], now: datetime) -> Burn | None:
    """Return the pace of the last 24 h from a team's hours; None for too few readings."""
    day_ago, lately_from = now - BURN_WINDOW, now - RECENT
    day = [row for row in hours if row.hour > day_ago]
    all_day = used(day, day_ago, now)
    if all_day is None:
        return None
    recent = [row for row in day if row.hour > lately_from]
    lately = used(recent, lately_from, now)
    return Burn(
        per_hour=all_day.per_hour,
        remaining=day[-1].last,
        readings=all_day.readings,
        span=all_day.hours * _HOUR,
        recent_per_hour=lately.per_hour if lately else None,
    )


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


def paces(
    told: Mapping[int, Sequence[Hour]],
    readings: Mapping[int, CreditReading],
    now: datetime,
) -> dict[int, Burn | None]:
    """Return many teams' paces, with that of the last hour where it may count.

    `readings` are their latest ones. Whole hours do not tell the last one; one query
    reads it of the few that hurry.
    """
    hours = {
        team_id: with_latest(own, readings.get(team_id))
        for team_id, own in told.items()
    }
    found = {team_id: pace(own, now) for team_id, own in hours.items()}
    hurried = [
        team_id
        for team_id, burn in found.items()
        if burn and burn.is_hurried_by(_most_lately(hours[team_id], now))
    ]
    latest = latest_paces(hurried, now) if hurried else {}
    return {
        team_id: burn and replace(burn, latest_per_hour=latest.get(team_id))
        for team_id, burn in found.items()
    }


def _most_lately(hours: Sequence[Hour], now: datetime) -> float:
    """Return what the last hour cannot have used more than."""
    since = buckets.floor(now, HOUR_S) - _HOUR
    return spent([row for row in hours if row.hour >= since])


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a team uses in an hour, against which a spike is one.

    `typical` is the median of the `hours` of the last week that have readings, the last
    hour left out, `highest` the most of them, and `last_hour` what that one used: the sum
    of its `drops`, each with the moment from which it was seen.
    """

    last_hour: float
    typical: float
    highest: float
    hours: int
    drops: tuple[tuple[datetime, float], ...]


def baselines(team_ids: Collection[int], now: datetime) -> dict[int, Baseline]:
    """Return many teams' baselines in two queries; teams without a full hour lack.

    Of the week its hours are read: its readings are 10,000 for each team, and those of a
    hundred teams that spend took the tick a quarter of a minute in each minute.
    """
    since = buckets.floor(now - _HOUR, HOUR_S)
    week = hours_of(team_ids, now - BASELINE_WINDOW, since)
    lately = _readings(week, since, now)
    return {
        team_id: _baseline(hours, lately[team_id], now - _HOUR)
        for team_id, hours in week.items()
    }


def _baseline(
    hours: Sequence[Hour], lately: Sequence[tuple[datetime, float]], since: datetime
) -> Baseline:
    own = [
        hours[0].spent,
        *(b.spent + max(0.0, a.last - b.first) for a, b in pairwise(hours)),
    ]
    told = [(hours[-1].hour, hours[-1].last), *lately]
    drops = tuple(
        (max(since, from_at), before - left)
        for (from_at, before), (at, left) in pairwise(told)
        if at > since and left < before
    )
    return Baseline(
        last_hour=sum(used for _, used in drops),
        typical=median(own),
        highest=max(own),
        hours=len(own),
        drops=drops,
    )


def _readings(
    team_ids: Collection[int], since: datetime, now: datetime
) -> dict[int, list[tuple[datetime, float]]]:
    """Return when each team had how much left, in order."""
    found: dict[int, list[tuple[datetime, float]]] = defaultdict(list)
    rows = CreditReading.objects.filter(
        team__in=team_ids,
        read_at__gte=since,
        read_at__lte=now,
        remaining__isnull=False,
    )
    ordered = rows.order_by("team_id", "read_at")
    for team_id, at, left in ordered.values_list("team_id", "read_at", "remaining"):
        found[team_id].append((at, left or 0.0))
    return found
