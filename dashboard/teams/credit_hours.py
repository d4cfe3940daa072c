"""Credits by the hour: what many teams' pages read instead of a reading a minute.

The tick folds the running hour once a minute, always from the readings themselves, so
that folding twice does no harm. Older readings that were never folded, those of an
installation that had no such rows, are made up for a few hours each time.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from django.db.models import Max, Min, OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.teams.models import CreditHour, CreditReading, Team
from dashboard.teams.queries import (
    Told,
    is_refill,
)

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
