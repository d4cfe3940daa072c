"""Write the notifications of a change, in the transaction of the change.

Sending them is dashboard.alerts.delivery.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max, Q

from dashboard.alerts.models import (
    NEWS,
    TOLD,
    TROUBLE,
    Change,
    Delivery,
    Incident,
    Notification,
)
from dashboard.alerts.recipients import Reader, readers_of

# A row that was claimed may have arrived though nobody recorded it.
_MAYBE_TOLD = TOLD | Q(state=Delivery.QUEUED, batch__isnull=False)
_SURELY_UNTOLD = Q(state=Delivery.QUEUED, batch__isnull=True)


def told(incidents: Iterable[Incident]) -> set[int]:
    """Return the ids of those incidents that somebody was, or may have been, told of."""
    rows = Notification.objects.filter(
        _MAYBE_TOLD, incident__in=[i.pk for i in incidents], change__in=NEWS
    )
    return set(rows.values_list("incident", flat=True))


def queued_or_dead(incidents: Iterable[Incident]) -> set[int]:
    """Return the ids of those incidents whose opening waits, or was given up."""
    rows = Notification.objects.filter(
        incident__in=[i.pk for i in incidents],
        change=Change.OPENED,
        state__in=[Delivery.QUEUED, Delivery.DEAD],
    )
    return set(rows.values_list("incident", flat=True))


def queue_opening(incident: Incident, now: datetime) -> None:
    """Tell the incident's recipients of it, once the group's wait is over."""
    # One that was dropped while another incident spoke for it is due again.
    Notification.objects.filter(
        incident=incident, change=Change.OPENED, state=Delivery.DROPPED
    ).update(
        state=Delivery.QUEUED, created_at=now, due_at=_after_wait(now), held_at=None
    )
    _store(_rows(incident.pk, Change.OPENED, readers_of(incident), now))
    _note_told(incident)


def queue_escalation(incident: Incident, now: datetime) -> None:
    """Tell those who know of the incident that it got worse, without waiting.

    Whose opening is still waiting learns it by that mail.
    """
    knowing, level = _knowing([incident.pk])[incident.pk], incident.level
    Notification.objects.filter(
        incident=incident, change=Change.ESCALATED, level=level, state=Delivery.DROPPED
    ).update(state=Delivery.QUEUED, created_at=now, due_at=now, held_at=None)
    rows = _rows(incident.pk, Change.ESCALATED, knowing, now, level=level)
    for row in rows:
        row.due_at = now
    _store(rows)
    _note_told(incident)


def queue_recoveries(incidents: Sequence[Incident], now: datetime) -> None:
    """Tell exactly those who were told of the incidents that these are over.

    Whose news was held, by the cap or for want of a server, is told of both at once.
    """
    Notification.objects.filter(
        _SURELY_UNTOLD,
        incident__in=incidents,
        change=Change.OPENED,
        held_at__isnull=False,
    ).update(change=Change.MISSED)
    drop_unsent(incidents)
    knowing = _knowing([incident.pk for incident in incidents])
    _store(
        row
        for incident in incidents
        for row in _rows(incident.pk, Change.RESOLVED, knowing[incident.pk], now)
    )


def due_reminders(incidents: Iterable[Incident], now: datetime) -> dict[int, int]:
    """Return the number of the reminder that is due, by incident id.

    One is due MAIL_REPEAT_S after the last mail of trouble, while nothing waits to go,
    and so long after one that could not go: whom it was for may be no reader any more.
    Source: Alertmanager's repeat_interval.
    """
    if not settings.MAIL_REPEAT_S:
        return {}
    told = (
        Notification.objects.filter(
            incident__in=[i.pk for i in incidents], change__in=TROUBLE
        )
        .values("incident")
        .annotate(
            last=Max("sent_at"),
            tried=Max("created_at", filter=Q(change=Change.REPEATED)),
            number=Max("number"),
            waiting=Count("pk", filter=Q(state=Delivery.QUEUED)),
        )
    )
    latest = now - timedelta(seconds=settings.MAIL_REPEAT_S)
    return {
        row["incident"]: row["number"] + 1
        for row in told
        if not row["waiting"]
        and row["last"] is not None
        and max(row["last"], row["tried"] or row["last"]) <= latest
    }


def next_number(incident: Incident) -> int:
    """Return the number of the incident's next reminder."""
    before = Notification.objects.filter(incident=incident).aggregate(n=Max("number"))
    return (before["n"] or 0) + 1


def queue_reminders(numbers: Mapping[int, int], now: datetime) -> None:
    """Tell those who know of incidents that these still last.

    `numbers` are the reminders' own, by incident id.
    """
    knowing = _knowing(numbers)
    _store(
        row
        for pk, number in numbers.items()
        for row in _rows(pk, Change.REPEATED, knowing[pk], now, number=number)
    )


def drop_unsent(incidents: Sequence[Incident]) -> None:
    """Withdraw the news of incidents that has surely not gone out."""
    if not incidents:
        return
    unsent = Notification.objects.filter(
        _SURELY_UNTOLD, incident__in=incidents, change__in=TROUBLE
    )
    worse = list(unsent.filter(change=Change.ESCALATED).values_list("incident"))
    unsent.update(state=Delivery.DROPPED)
    if worse:
        Incident.objects.filter(pk__in=[pk for (pk,) in worse]).update(told_level="")


def retry_dead(notification: Notification, now: datetime) -> int:
    """Queue a dead notification again, and those that went in the same mail."""
    same = Q(pk=notification.pk)
    if notification.batch:
        same |= Q(batch=notification.batch)
    return Notification.objects.filter(same, state=Delivery.DEAD).update(
        state=Delivery.QUEUED, due_at=now, attempts=0, leased_until=None
    )


def _note_told(incident: Incident) -> None:
    if incident.told_level != incident.level:
        incident.told_level = incident.level
        Incident.objects.filter(pk=incident.pk).update(told_level=incident.level)


def _knowing(incident_ids: Collection[int]) -> dict[int, list[Reader]]:
    """Return who knows of each incident."""
    rows = Notification.objects.filter(
        _MAYBE_TOLD, incident__in=incident_ids, change__in=NEWS
    )
    knowing: dict[int, list[Reader]] = defaultdict(list)
    found = rows.values_list("incident", "channel", "recipient").distinct()
    for pk, channel, recipient in sorted(found):
        knowing[pk].append(Reader(channel, recipient))
    return knowing


def _rows(
    incident_id: int,
    change: Change,
    readers: Iterable[Reader],
    now: datetime,
    *,
    level: str = "",
    number: int = 0,
) -> list[Notification]:
    return [
        Notification(
            incident_id=incident_id,
            change=change,
            level=level,
            number=number,
            channel=reader.channel,
            recipient=reader.recipient,
            created_at=now,
            due_at=_after_wait(now),
        )
        for reader in readers
    ]


def _store(rows: Iterable[Notification]) -> None:
    Notification.objects.bulk_create(rows, ignore_conflicts=True)


def _after_wait(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.MAIL_GROUP_WAIT_S)
