"""How many mails somebody gets in an hour: what is too much waits for a digest."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max

from dashboard.alerts.grouping import (
    Group,
    Groups,
    Kind,
    in_flight,
    of_the_told,
)
from dashboard.alerts.models import (
    NEWS,
    Change,
    ChannelKind,
    Delivery,
    Notification,
    Severity,
)

# Of the MAIL_CAP mails that somebody gets in an hour at most, so many tell of all that
# waited: the rest is never lost, and never later than this. What tells that a critical
# alarm began or is over passes the cap, until there were this many times as many.
_DIGESTS_AN_HOUR = 4
_CRITICAL_CAPS = 2
BETWEEN_DIGESTS = timedelta(hours=1) / _DIGESTS_AN_HOUR
_URGENT = (*NEWS, Change.RESOLVED, Change.MISSED)


def paced(
    group: Group, ready: Sequence[Notification], groups: Groups, now: datetime
) -> Sequence[Notification]:
    """Return what may go out to a reader who has got many mails in this hour.

    All that waits for him goes together then: at once with what a critical alarm has to
    tell, else no sooner than a quarter of an hour after his last one. Programs are never
    too many.
    """
    cap = settings.MAIL_CAP
    if not cap or group.channel == ChannelKind.WEBHOOK:
        return ready
    sent = group.of_reader().filter(
        state=Delivery.SENT,
        sent_at__gt=now - timedelta(hours=1),
        incident__isnull=False,
    )
    got = sent.aggregate(number=Count("batch", distinct=True), latest=Max("sent_at"))
    own = {each: rows for each, rows in groups.items() if _is_his(each, group)}
    waiting = sum(any(row.due_at <= now for row in rows) for rows in own.values())
    # What waited while he had got too many would come out one by one, each late.
    if got["number"] + waiting <= most_alone(cap):
        return ready
    most = most_alone(cap * _CRITICAL_CAPS if _is_urgent(ready) else cap)
    if got["number"] >= most and got["latest"] > now - BETWEEN_DIGESTS:
        _hold(ready, now)
        return []
    return [row for each, rows in own.items() for row in _tellable(each, rows, now)]


def most_alone(cap: int) -> int:
    """Return how many of the mails of an hour come alone; the others are digests."""
    return max(1, cap - _DIGESTS_AN_HOUR)


def _is_urgent(rows: Iterable[Notification]) -> bool:
    return any(
        row.change in _URGENT
        and row.incident is not None
        and row.incident.severity == Severity.CRITICAL
        for row in rows
    )


def _hold(rows: Iterable[Notification], now: datetime) -> None:
    """Note that the cap keeps these back: they are told even if it is over by then."""
    fresh = [row.pk for row in rows if row.held_at is None]
    if fresh:
        Notification.objects.filter(pk__in=fresh).update(held_at=now)


def _is_his(each: Group, group: Group) -> bool:
    return each.reader == group.reader and each.kind is not Kind.REGULAR


def _tellable(
    group: Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    if in_flight(rows, now):
        return []
    fresh = [row for row in rows if row.batch is None]
    return of_the_told(group, fresh) if group.kind is Kind.RECOVERY else fresh
