"""How fast teams spend: the pace of the last day, and what is usual for them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.teams.credit_hours import Hour, hours_of
from dashboard.teams.models import CreditReading
from dashboard.teams.queries import (
    BURN_WINDOW,
    RECENT,
    Burn,
    latest_paces,
)
from dashboard.teams.spending import begins_at, spent, used, with_latest

BASELINE_WINDOW = timedelta(days=7)
_HOUR = timedelta(hours=1)


def paced_from(hours: Sequence[Hour], now: datetime) -> datetime | None:
    """Return when there will be a pace if readings go on; None where none do, or one is."""
    day = [row for row in hours if row.hour > now - BURN_WINDOW]
    if not day:
        return None
    begins = begins_at(day, now - BURN_WINDOW) + _HOUR
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
