"""Claim what goes out in one mail: grouped, paced and leased.

A batch is the news (or the recoveries) of one gateway for one recipient. Its rows are
claimed by one conditional UPDATE; on PostgreSQL two workers also skip each other's rows.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q

from dashboard.alerts.models import (
    NEWS,
    Change,
    Delivery,
    Incident,
    Notification,
    RuleKind,
)
from dashboard.probes.models import Probe

# Longer than a mail server may take (EMAIL_TIMEOUT for each of its answers).
LEASE = timedelta(minutes=5)
# News waits up to this many group waits for probes that have just begun to fail: they
# will raise an alarm of the same cause in a moment, or show that the gateway is down.
_LONGEST_HOLD = 4
_JUST_BEGUN = timedelta(minutes=5)
# A recovery waits for the others of its outage at least this long: a breaker closes with
# the first success, an error rate needs its whole window, in the demo a minute.
_LEAST_HOLD = timedelta(seconds=90)

_OUTAGE = (RuleKind.ERROR_RATE, RuleKind.BREAKER_OPEN, RuleKind.GATEWAY_DOWN)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one mail, claimed until their lease ends."""

    id: uuid.UUID
    recipient: str
    recovery: bool
    rows: tuple[Notification, ...]

    @property
    def attempt(self) -> int:
        """Return which attempt this is, 1 for the first."""
        return max(row.attempts for row in self.rows) + 1


@dataclass(frozen=True, slots=True)
class _Group:
    recipient: str
    gateway_id: int
    recovery: bool


@transaction.atomic
def claim(now: datetime) -> Batch | None:
    """Claim the next batch that is ready, the one that waits longest; None for none."""
    queued = Notification.objects.filter(state=Delivery.QUEUED)
    if not queued.filter(due_at__lte=now).exists():
        return None
    rows = (
        queued.select_for_update(skip_locked=True, of=("self",))
        .select_related("incident")
        .order_by("due_at", "pk")
    )
    for group, waiting in _grouped(rows).items():
        ready = _ready(group, waiting, now)
        if ready:
            return _lease(group, ready, now)
    return None


def _grouped(rows: Iterable[Notification]) -> dict[_Group, list[Notification]]:
    groups: dict[_Group, list[Notification]] = {}
    for row in rows:
        recovery = row.change == Change.RESOLVED
        group = _Group(row.recipient, row.incident.gateway_id, recovery)
        groups.setdefault(group, []).append(row)
    return groups


def _ready(
    group: _Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    """Return the rows that may go out now in one mail; empty to let them wait.

    Where one is due, those that are not yet go with it.
    """
    if any(row.leased_until is not None and row.leased_until > now for row in rows):
        return []
    due = [row for row in rows if row.due_at <= now]
    # What may have arrived goes again as the very same mail.
    again = next((row.batch for row in due if row.batch is not None), None)
    if again is not None:
        return [row for row in rows if row.batch == again]
    fresh = [row for row in rows if row.batch is None]
    if not any(row.batch is None for row in due):
        return []
    if group.recovery:
        return _ready_recoveries(group, fresh, now)
    return fresh if _may_tell(group, fresh, now) else []


def _may_tell(group: _Group, rows: Sequence[Notification], now: datetime) -> bool:
    if any(row.change == Change.ESCALATED for row in rows):
        return True
    # News of an outage waits only for news of an outage: not for a team's low credits.
    of_outage = Q(incident__kind__in=_OUTAGE)
    is_outage = any(row.incident.kind in _OUTAGE for row in rows)
    last = Notification.objects.filter(
        of_outage if is_outage else ~of_outage,
        state=Delivery.SENT,
        recipient=group.recipient,
        incident__gateway=group.gateway_id,
        change__in=NEWS,
    ).aggregate(at=Max("sent_at"))["at"]
    if last is not None and now < last + _interval():
        return False
    hold = timedelta(seconds=_LONGEST_HOLD * settings.MAIL_GROUP_WAIT_S)
    if now >= min(row.created_at for row in rows) + hold:
        return True
    return not _is_unfolding(group.gateway_id, hold, now)


def _is_unfolding(gateway_id: int, hold: timedelta, now: datetime) -> bool:
    """Say whether some probe has just begun to fail and no incident is open for it."""
    incidents = Incident.objects.filter(gateway=gateway_id, resolved_at=None)
    if incidents.filter(kind=RuleKind.GATEWAY_DOWN).exists():
        return False
    begun = Probe.objects.filter(
        gateway=gateway_id,
        enabled=True,
        failing_since__gt=now - _JUST_BEGUN,
        # A slower one would not have decided by then.
        period_s__lte=hold.total_seconds(),
    )
    of_probes = incidents.filter(probe__isnull=False).values("probe")
    of_teams = incidents.filter(kind=RuleKind.TEAM_STATE).values("team")
    told = Q(pk__in=of_probes) | Q(team__isnull=False, team__in=of_teams)
    return begun.exclude(told).exists()


def _ready_recoveries(
    group: _Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    """Return the recoveries whose news has gone out, once all that it told are over.

    While others of the same mail or of the same outage are still open, they wait, up to
    the group's interval or 90 s, so that one mail tells of all.
    """
    news = Notification.objects.filter(
        recipient=group.recipient,
        incident__in=[row.incident_id for row in rows],
        change__in=NEWS,
    )
    unsent = set(news.filter(state=Delivery.QUEUED).values_list("incident", flat=True))
    sent = news.filter(state=Delivery.SENT)
    told = set(sent.values_list("incident", flat=True))
    _drop([row for row in rows if row.incident_id not in unsent | told])
    ready = [row for row in rows if row.incident_id in told - unsent]
    if not ready:
        return []
    oldest = min(row.created_at for row in ready)
    if now < oldest + max(_interval(), _LEAST_HOLD) and _others_open(group, ready):
        return []
    return ready


def _others_open(group: _Group, rows: Sequence[Notification]) -> bool:
    mails = Notification.objects.filter(
        recipient=group.recipient,
        incident__in=[row.incident_id for row in rows],
        change__in=NEWS,
        state=Delivery.SENT,
    ).values("batch")
    related = Q(batch__in=mails)
    if any(row.incident.kind in _OUTAGE for row in rows):
        related |= Q(incident__kind__in=_OUTAGE)
    return Notification.objects.filter(
        related,
        recipient=group.recipient,
        incident__gateway=group.gateway_id,
        incident__resolved_at=None,
        change__in=NEWS,
        state=Delivery.SENT,
    ).exists()


def _drop(rows: Sequence[Notification]) -> None:
    """Withdraw recoveries of what nobody was told: its news was given up."""
    if rows:
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=Delivery.DROPPED
        )


def _lease(group: _Group, rows: Sequence[Notification], now: datetime) -> Batch | None:
    """Take the rows; None when another worker has."""
    batch = rows[0].batch or uuid.uuid4()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    Notification.objects.filter(
        free,
        pk__in=[row.pk for row in rows],
        state=Delivery.QUEUED,
        batch=rows[0].batch,
    ).update(batch=batch, leased_until=now + LEASE)
    taken = (
        Notification.objects.filter(batch=batch, leased_until=now + LEASE)
        .select_related("incident__gateway", "incident__team", "incident__probe")
        .order_by("incident__opened_at", "pk")
    )
    rows = tuple(taken)
    return Batch(batch, group.recipient, group.recovery, rows) if rows else None


def _interval() -> timedelta:
    return timedelta(seconds=settings.MAIL_GROUP_INTERVAL_S)
