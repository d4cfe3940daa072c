"""How many mails somebody gets in an hour: what is too much waits for a digest."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

from django.conf import settings
from django.db.models import Count, Max

from dashboard.alerts.grouping import (
    Group,
    Groups,
    Kind,
    Rows,
    in_flight,
    of_readers,
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


def paced(ready: Groups, groups: Groups, now: datetime) -> Groups:
    """Return what of the ready may go out: readers who got many mails in this hour wait.

    All that waits for such a one goes together then: at once with what a critical alarm
    has to tell, else no sooner than a quarter of an hour after his last one. Programs are
    never too many.
    """
    capped = {group: rows for group, rows in ready.items() if _is_paced(group, rows)}
    if not settings.MAIL_CAP or not capped:
        return ready
    got, waiting = _got(capped, now), _by_reader(groups)
    told = {group: rows for group, rows in ready.items() if group not in capped}
    digests: dict[tuple[str, str], Groups] = {}
    held: list[Notification] = []
    for reader, own in _by_reader(capped).items():
        number, latest = got.get(reader, (0, now))
        # What waited while he had got too many would come out one by one, each late.
        if number + _due(waiting[reader], now) <= most_alone(settings.MAIL_CAP):
            told |= own
        elif number >= _most(own) and latest > now - BETWEEN_DIGESTS:
            held += chain.from_iterable(own.values())
        else:
            digests[reader] = waiting[reader]
    _hold(held, now)
    mails = _in_one(digests, now)
    # By each of its groups: it goes in the turn of whichever gateway comes first.
    told |= {group: mails[group.reader] for group in capped if group.reader in mails}
    return {group: told[group] for group in ready if told.get(group)}


def most_alone(cap: int) -> int:
    """Return how many of the mails of an hour come alone; the others are digests."""
    return max(1, cap - _DIGESTS_AN_HOUR)


def _is_paced(group: Group, rows: Sequence[Notification]) -> bool:
    """Say whether it counts: it tells of an alarm, and not as the very same mail again."""
    is_alarm = group.kind is not Kind.REGULAR and rows[0].batch is None
    return is_alarm and group.channel != ChannelKind.WEBHOOK


def _got(groups: Groups, now: datetime) -> dict[tuple[str, str], tuple[int, datetime]]:
    """Return how many mails each reader got in the last hour, and when the latest."""
    sent = of_readers(groups.keys()).filter(
        state=Delivery.SENT,
        sent_at__gt=now - timedelta(hours=1),
        incident__isnull=False,
    )
    counts = sent.values_list("channel", "recipient").annotate(
        Count("batch", distinct=True), Max("sent_at")
    )
    return {
        (channel, recipient): (number, latest)
        for channel, recipient, number, latest in counts
    }


def _by_reader(groups: Groups) -> dict[tuple[str, str], dict[Group, Rows]]:
    own: dict[tuple[str, str], dict[Group, Rows]] = defaultdict(dict)
    for group, rows in groups.items():
        if group.kind is not Kind.REGULAR:
            own[group.reader][group] = rows
    return own


def _due(groups: Groups, now: datetime) -> int:
    return sum(any(row.due_at <= now for row in rows) for rows in groups.values())


def _most(groups: Groups) -> int:
    """Return after how many mails in an hour these wait for a digest."""
    is_urgent = any(map(_is_urgent, groups.values()))
    return most_alone(settings.MAIL_CAP * (_CRITICAL_CAPS if is_urgent else 1))


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


def _in_one(
    digests: Mapping[tuple[str, str], Groups], now: datetime
) -> dict[tuple[str, str], Rows]:
    """Return all that may be told of each reader's groups as the rows of one mail."""
    fresh = {
        group: [row for row in rows if row.batch is None]
        for own in digests.values()
        for group, rows in own.items()
        if not in_flight(rows, now)
    }
    ends = {group: rows for group, rows in fresh.items() if group.kind is Kind.RECOVERY}
    tellable = {**{g: fresh[g] for g in fresh if g not in ends}, **of_the_told(ends)}
    return {
        reader: [row for group in own for row in tellable.get(group, ())]
        for reader, own in digests.items()
    }
