"""Claim what goes out in one mail: grouped, paced and leased.

A batch is the news (or the recoveries) of one gateway for one recipient. Its rows are
claimed by one conditional UPDATE; on PostgreSQL two workers also skip each other's rows.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from dashboard.alerts.caps import paced
from dashboard.alerts.grouping import Group, Kind, group_of, grouped, ready_of
from dashboard.alerts.models import (
    TROUBLE,
    Change,
    Channel,
    ChannelKind,
    Delivery,
    Incident,
    Notification,
    Recipient,
)
from dashboard.alerts.recipients import (
    first_administrator,
    of_a_team,
    outage_of_all,
)

# Longer than a mail server may take (EMAIL_TIMEOUT for each of its answers).
LEASE = timedelta(minutes=5)
# News this old is not sent again when its incident has ended meanwhile.
_OBSOLETE = timedelta(hours=1)
_REPORTS = (Change.DAILY, Change.WEEKLY)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one mail, claimed until their lease ends."""

    id: uuid.UUID
    channel: str
    recipient: str
    rows: tuple[Notification, ...]

    @property
    def kind(self) -> Kind:
        groups = {group_of(row) for row in self.rows}
        return groups.pop().kind if len(groups) == 1 else Kind.DIGEST

    @property
    def incidents(self) -> list[Incident]:
        """Return the incidents that it tells of, each once."""
        told = {row.incident_id: row.incident for row in self.rows if row.incident}
        return list(told.values())

    @property
    def turns(self) -> set[int | None]:
        """Return whose turn it was: that of gateways, or None of what is of no incident."""
        return {row.incident.gateway_id if row.incident else None for row in self.rows}

    @property
    def attempt(self) -> int:
        """Return which attempt this is, 1 for the first."""
        return max(row.attempts for row in self.rows) + 1


@transaction.atomic
def claim(
    now: datetime,
    *,
    mails: bool = True,
    but: Collection[str] = (),
    turns: Mapping[int | None, int] | None = None,
) -> Batch | None:
    """Claim the next batch that is ready, the one that waits longest; None for none.

    What goes to the channels of the names in `but` stays, and so do mails unless `mails`:
    a channel may be called like an address, or "email". A gateway that had fewer `turns`
    comes first: of an outage a thousand readers may be told, and each waits for the last.
    """
    of_mail = Q(channel=ChannelKind.EMAIL)
    queued = Notification.objects.filter(state=Delivery.QUEUED).exclude(
        ~of_mail & Q(recipient__in=but)
    )
    if not mails:
        queued = queued.exclude(of_mail)
    if not queued.filter(due_at__lte=now).exists():
        return None
    _withdraw(now)
    rows = (
        queued.select_for_update(skip_locked=True, of=("self",))
        .select_related("incident")
        .defer("body", "incident__evidence")
        .order_by("due_at", "pk")
    )
    groups = grouped(rows)
    had = Counter(turns or {})
    for group, waiting in sorted(groups.items(), key=lambda one: had[one[0].turn]):
        ready = ready_of(group, waiting, now)
        if ready and ready[0].batch is None and group.kind is not Kind.REGULAR:
            ready = paced(group, ready, groups, now)
        if ready:
            return _lease(group, ready, now)
    return None


def _withdraw(now: datetime) -> None:
    """Drop what nobody is to get any more, whatever it was when it was queued.

    News that may have arrived, long ago, of what is over by now: its recovery tells when
    it began, how bad it was, and that it has ended. And reports that their reader has
    ended meanwhile, or who has left or got another address.
    """
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    obsolete = Q(
        batch__isnull=False,
        change__in=TROUBLE,
        created_at__lte=now - _OBSOLETE,
        incident__resolved_at__isnull=False,
    )
    ended = (
        Q(change=Change.DAILY, user__subscription__daily=False)
        | Q(change=Change.WEEKLY, user__subscription__weekly=False)
        | Q(change__in=_REPORTS, user__is_active=False)
        | Q(change__in=_REPORTS) & ~Q(recipient=F("user__email"))
    )
    Notification.objects.filter(
        free, obsolete | ended | _of_no_reader(), state=Delivery.QUEUED
    ).update(state=Delivery.DROPPED, leased_until=None)


def _of_no_reader() -> Q:
    """Return which rows tell of an incident to who is not told of such now.

    A mailbox that is no recipient of it any more, or a channel that was given the name of
    another one.
    """
    of = OuterRef("incident__gateway"), OuterRef("incident__team")
    covers = (Q(gateway=None) | Q(gateway=of[0])) & (Q(team=None) | Q(team=of[1]))
    # Not by iexact, which takes a column for a pattern on SQLite: _ is any letter there.
    reading = Recipient.objects.alias(lower=Lower("email")).filter(
        lower=Lower(OuterRef("recipient"))
    )
    named = Channel.objects.filter(kind=OuterRef("channel"), name=OuterRef("recipient"))

    def reads(rows: QuerySet[Any]) -> Q:
        in_outage = outage_of_all() & Q(Exists(rows.filter(of_a_team(of[0]))))
        return Q(Exists(rows.filter(covers))) | in_outage

    # He is told where nobody else is, and of the end, too, when there is somebody then.
    mailbox = ~reads(reading) & ~Q(recipient__in=first_administrator())
    channel = Q(Exists(named)) & ~reads(named)
    mailed = Q(channel=ChannelKind.EMAIL)
    return Q(incident__isnull=False) & (mailed & mailbox | ~mailed & channel)


def _lease(group: Group, rows: Sequence[Notification], now: datetime) -> Batch | None:
    """Take the rows; None when another worker has."""
    batch = rows[0].batch or uuid.uuid4()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    wanted = Notification.objects.filter(pk__in=[row.pk for row in rows])
    wanted.filter(free, state=Delivery.QUEUED, batch=rows[0].batch).update(
        batch=batch, leased_until=now + LEASE
    )
    taken = (
        wanted.filter(batch=batch, leased_until=now + LEASE)
        .select_related(
            "incident__gateway", "incident__team", "incident__probe", "user"
        )
        .defer("body")
        .order_by("incident__opened_at", "pk")
    )
    rows = tuple(taken)
    return Batch(batch, group.channel, group.recipient, rows) if rows else None
