"""Claim what goes out in one mail: grouped, paced and leased.

A batch is the news (or the recoveries) of one gateway for one recipient. Its rows are
claimed by one conditional UPDATE; on PostgreSQL two workers also skip each other's rows.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from dashboard.alerts.caps import paced
from dashboard.alerts.grouping import Group, Groups, Kind, group_of, grouped, ready_of
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
from dashboard.alerts.runs import RunCounter

# Longer than a mail server may take (EMAIL_TIMEOUT for each of its answers).
LEASE = timedelta(minutes=5)
# News this old is not sent again when its incident has ended meanwhile.
_OBSOLETE = timedelta(hours=1)
# So long what was found ready is claimed from.
_LOOK = timedelta(seconds=1)
# What decides whether a row may go out.
_ASKED = (
    *("change", "channel", "recipient", "created_at", "due_at", "leased_until"),
    *("held_at", "batch"),
    *("incident__kind", "incident__severity", "incident__gateway"),
)
_REPORTS = (Change.DAILY, Change.WEEKLY)


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one mail, claimed until their lease ends.

    `counter` knows the runs that other mails of the same round tell of.
    """

    id: uuid.UUID
    channel: str
    recipient: str
    rows: tuple[Notification, ...]
    counter: RunCounter = field(default_factory=RunCounter, compare=False)

    @property
    def groups(self) -> set[Group]:
        return {group_of(row) for row in self.rows}

    @property
    def kind(self) -> Kind:
        groups = self.groups
        return groups.pop().kind if len(groups) == 1 else Kind.DIGEST

    @property
    def incidents(self) -> list[Incident]:
        """Return the incidents that it tells of, each once."""
        told = {row.incident_id: row.incident for row in self.rows if row.incident}
        return list(told.values())

    @property
    def attempt(self) -> int:
        """Return which attempt this is, 1 for the first."""
        return max(row.attempts for row in self.rows) + 1


class Claims:
    """Claims one batch after the other, those of the gateways in turns.

    What is ready is asked of all that waits, once for many claims: of an outage a
    thousand readers may be told. Each claim asks it anew, of its own reader only.
    """

    def __init__(self, *, mails: bool = True) -> None:
        """Without `mails` these stay, since there is no server."""
        self._mails = mails
        self._away: set[str] = set()
        self._turns: Counter[int | None] = Counter()
        self._counter = RunCounter()
        self._ready: list[Group] = []
        self._old_at: datetime | None = None

    def next(self, now: datetime) -> Batch | None:
        """Claim the batch whose turn it is, the one that waits longest; None for none.

        That of a gateway which had fewer turns comes first: another's alarm does not
        wait for the last reader of an outage.
        """
        if self._old_at is None:
            # From the claim after it: the longer a look takes, the more it must serve.
            self._old_at = now + _LOOK
        batch = self._claim(now) if now < self._old_at else None
        if batch is None:
            self._ready = _look(now, mails=self._mails, but=self._away)
            self._old_at = None
            batch = self._claim(now)
        return batch

    def leave(self, batch: Batch) -> None:
        """Leave what goes the way of this one, which did not get through: it stays."""
        if batch.channel == ChannelKind.EMAIL:
            self._mails = False
        else:
            self._away.add(batch.recipient)
        self._ready = [group for group in self._ready if self._may_go(group)]

    def _may_go(self, group: Group) -> bool:
        # A channel may be called like an address, or "email".
        is_mail = group.channel == ChannelKind.EMAIL
        return self._mails if is_mail else group.recipient not in self._away

    def _claim(self, now: datetime) -> Batch | None:
        while self._ready:
            group = min(self._ready, key=lambda each: self._turns[each.turn])
            self._ready.remove(group)
            batch = _claim(group, now)
            if batch is not None:
                taken = batch.groups
                self._turns.update({each.turn for each in taken})
                self._ready = [each for each in self._ready if each not in taken]
                return replace(batch, counter=self._counter)
        return None


@transaction.atomic
def _look(now: datetime, *, mails: bool, but: Collection[str]) -> list[Group]:
    """Return what is ready, what waits longest first."""
    of_mail = Q(channel=ChannelKind.EMAIL)
    queued = Notification.objects.filter(state=Delivery.QUEUED).exclude(
        ~of_mail & Q(recipient__in=but)
    )
    if not mails:
        queued = queued.exclude(of_mail)
    if not queued.filter(due_at__lte=now).exists():
        return []
    _withdraw(now)
    return list(_ready(queued, now))


@transaction.atomic
def _claim(group: Group, now: datetime) -> Batch | None:
    """Claim its mail; None when it is no longer ready, or another worker is at it."""
    own = Notification.objects.filter(
        channel=group.channel,
        recipient=group.recipient,
        state=Delivery.QUEUED,
        # True of all that waits, and has an index.
        sent_at=None,
    )
    rows = _ready(own, now).get(group)
    return _lease(group, rows, now) if rows else None


def _ready(queued: QuerySet[Notification], now: datetime) -> Groups:
    """Return what of these rows may go out; others' are skipped who are at theirs."""
    rows = (
        queued.select_for_update(skip_locked=True, of=("self",))
        .select_related("incident")
        .only(*_ASKED)
        .order_by("due_at", "pk")
    )
    groups = grouped(rows)
    return paced(ready_of(groups, now), groups, now)


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
