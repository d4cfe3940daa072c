"""Claim what goes out in one mail: grouped, paced and leased.

A batch is the news (or the recoveries) of one gateway for one recipient. Its rows are
claimed by one conditional UPDATE; on PostgreSQL two workers also skip each other's rows.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q
from django.db.models.functions import Lower

from dashboard.alerts.models import (
    NEWS,
    TOLD,
    TROUBLE,
    Change,
    Channel,
    ChannelKind,
    Delivery,
    Incident,
    Notification,
    Recipient,
    RuleKind,
    Severity,
)
from dashboard.alerts.recipients import first_administrator
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

# News this old is not sent again when its incident has ended meanwhile.
_OBSOLETE = timedelta(hours=1)
# Of the MAIL_CAP mails that somebody gets in an hour at most, so many tell of all that
# waited: the rest is never lost, and never later than this. Critical news passes the cap,
# until it has come to this many times the cap.
_DIGESTS_AN_HOUR = 4
_CRITICAL_CAPS = 2
BETWEEN_DIGESTS = timedelta(hours=1) / _DIGESTS_AN_HOUR

_ENDS = (Change.RESOLVED, Change.MISSED)
_REPORTS = (Change.DAILY, Change.WEEKLY)
_STOPS_TEAM = (RuleKind.TEAM_STATE, RuleKind.AUTH_FAILED)
_OUTAGE = (RuleKind.ERROR_RATE, RuleKind.BREAKER_OPEN, RuleKind.GATEWAY_DOWN)


class Kind(StrEnum):
    """What a mail is: each has templates of its own."""

    ALARM = "alarm"
    RECOVERY = "recovery"
    # All that waited while somebody got too many mails.
    DIGEST = "digest"
    # No incident's: a daily digest, a weekly report or a self-test.
    REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one mail, claimed until their lease ends."""

    id: uuid.UUID
    channel: str
    recipient: str
    rows: tuple[Notification, ...]

    @property
    def kind(self) -> Kind:
        groups = {_group(row) for row in self.rows}
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


@dataclass(frozen=True, slots=True)
class _Group:
    """What may go in one mail; `about` is a gateway's id, or a regular row's own."""

    channel: str
    recipient: str
    kind: Kind
    about: int

    @property
    def reader(self) -> tuple[str, str]:
        return self.channel, self.recipient


_Groups = Mapping[_Group, Sequence[Notification]]


@transaction.atomic
def claim(
    now: datetime, *, mails: bool = True, but: Collection[str] = ()
) -> Batch | None:
    """Claim the next batch that is ready, the one that waits longest; None for none.

    What goes to the channels of the names in `but` stays, and so do mails unless `mails`:
    a channel may be called like an address, or "email".
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
        .order_by("due_at", "pk")
    )
    groups = _grouped(rows)
    for group, waiting in groups.items():
        ready = _ready(group, waiting, now)
        if ready and ready[0].batch is None and group.kind is not Kind.REGULAR:
            ready = _paced(group, ready, groups, now)
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
        covers, lower=Lower(OuterRef("recipient"))
    )
    # He is told where nobody else is, and of the end, too, when there is somebody then.
    mailbox = ~Q(Exists(reading)) & ~Q(recipient__in=first_administrator())
    named = Channel.objects.filter(kind=OuterRef("channel"), name=OuterRef("recipient"))
    channel = Q(Exists(named)) & ~Q(Exists(named.filter(covers)))
    mailed = Q(channel=ChannelKind.EMAIL)
    return Q(incident__isnull=False) & (mailed & mailbox | ~mailed & channel)


def _grouped(rows: Iterable[Notification]) -> dict[_Group, list[Notification]]:
    groups: dict[_Group, list[Notification]] = {}
    for row in rows:
        groups.setdefault(_group(row), []).append(row)
    return groups


def _group(row: Notification) -> _Group:
    if row.incident is None:
        return _Group(row.channel, row.recipient, Kind.REGULAR, row.pk)
    kind = Kind.RECOVERY if row.change in _ENDS else Kind.ALARM
    return _Group(row.channel, row.recipient, kind, row.incident.gateway_id)


def _ready(
    group: _Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    """Return the rows that may go out now in one mail; empty to let them wait.

    Where one is due, those that are not yet go with it.
    """
    if _in_flight(rows, now):
        return []
    due = [row for row in rows if row.due_at <= now]
    # What may have arrived goes again as the very same mail.
    again = next((row.batch for row in due if row.batch is not None), None)
    if again is not None:
        return list(Notification.objects.filter(batch=again, state=Delivery.QUEUED))
    if not any(row.batch is None for row in due):
        return []
    fresh = [row for row in rows if row.batch is None]
    match group.kind:
        case Kind.REGULAR:
            return fresh
        case Kind.RECOVERY:
            return _ready_recoveries(group, fresh, now)
        case _:
            return fresh if _may_tell(group, fresh, now) else []


def _in_flight(rows: Iterable[Notification], now: datetime) -> bool:
    return any(row.leased_until is not None and row.leased_until > now for row in rows)


def _paced(
    group: _Group, ready: Sequence[Notification], groups: _Groups, now: datetime
) -> Sequence[Notification]:
    """Return what may go out to a reader who has got many mails in this hour.

    All that waits for him goes together then: at once with critical news, else no sooner
    than a quarter of an hour after his last one. Programs are never too many.
    """
    cap = settings.MAIL_CAP
    if not cap or group.channel == ChannelKind.WEBHOOK:
        return ready
    got = Notification.objects.filter(
        channel=group.channel,
        recipient=group.recipient,
        state=Delivery.SENT,
        sent_at__gt=now - timedelta(hours=1),
        incident__isnull=False,
    ).aggregate(number=Count("batch", distinct=True), latest=Max("sent_at"))
    own = {each: rows for each, rows in groups.items() if _is_his(each, group)}
    waiting = sum(any(row.due_at <= now for row in rows) for rows in own.values())
    # What waited while he had got too many would come out one by one, each late.
    if got["number"] + waiting <= _most_alone(cap):
        return ready
    most = _most_alone(cap * _CRITICAL_CAPS if _is_critical(ready) else cap)
    if got["number"] >= most and got["latest"] > now - BETWEEN_DIGESTS:
        _hold(ready, now)
        return []
    return [row for each, rows in own.items() for row in _tellable(each, rows, now)]


def _most_alone(cap: int) -> int:
    return max(1, cap - _DIGESTS_AN_HOUR)


def _is_critical(rows: Iterable[Notification]) -> bool:
    return any(
        row.change in NEWS
        and row.incident is not None
        and row.incident.severity == Severity.CRITICAL
        for row in rows
    )


def _hold(rows: Iterable[Notification], now: datetime) -> None:
    """Note that the cap keeps these back: they are told even if it is over by then."""
    fresh = [row.pk for row in rows if row.held_at is None]
    if fresh:
        Notification.objects.filter(pk__in=fresh).update(held_at=now)


def _is_his(each: _Group, group: _Group) -> bool:
    return each.reader == group.reader and each.kind is not Kind.REGULAR


def _tellable(
    group: _Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    if _in_flight(rows, now):
        return []
    fresh = [row for row in rows if row.batch is None]
    return _of_the_told(group, fresh) if group.kind is Kind.RECOVERY else fresh


def _may_tell(group: _Group, rows: Sequence[Notification], now: datetime) -> bool:
    if any(row.change == Change.ESCALATED for row in rows):
        return True
    # News of an outage waits only for news of an outage: not for a team's low credits.
    of_outage = Q(incident__kind__in=_OUTAGE)
    last = Notification.objects.filter(
        of_outage if _tells_of_outage(rows) else ~of_outage,
        state=Delivery.SENT,
        channel=group.channel,
        recipient=group.recipient,
        incident__gateway=group.about,
        change__in=NEWS,
    ).aggregate(at=Max("sent_at"))["at"]
    if last is not None and now < last + _interval():
        return False
    hold = timedelta(seconds=_LONGEST_HOLD * settings.MAIL_GROUP_WAIT_S)
    if now >= min(row.created_at for row in rows) + hold:
        return True
    return not _is_unfolding(group.about, hold, now)


def _tells_of_outage(rows: Iterable[Notification]) -> bool:
    return any(
        row.incident is not None and row.incident.kind in _OUTAGE for row in rows
    )


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
    of_teams = incidents.filter(kind__in=_STOPS_TEAM).values("team")
    told = Q(pk__in=of_probes) | Q(team__isnull=False, team__in=of_teams)
    return begun.exclude(told).exists()


def _ready_recoveries(
    group: _Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    """Return the recoveries whose news has gone out, once all that it told are over.

    While others of the same mail or of the same outage are still open, they wait, up to
    the group's interval or 90 s, so that one mail tells of all.
    """
    ready = _of_the_told(group, rows)
    if not ready:
        return []
    oldest = min(row.created_at for row in ready)
    if now < oldest + max(_interval(), _LEAST_HOLD) and _others_open(group, ready):
        return []
    return ready


def _of_the_told(group: _Group, rows: Sequence[Notification]) -> Sequence[Notification]:
    """Return the recoveries whose news went out; withdraw those whose never will.

    What was missed is its own news.
    """
    news = Notification.objects.filter(
        channel=group.channel,
        recipient=group.recipient,
        incident__in=[row.incident_id for row in rows],
        change__in=NEWS,
    )
    unsent = set(news.filter(state=Delivery.QUEUED).values_list("incident", flat=True))
    sent = news.filter(TOLD)
    missed = {row.incident_id for row in rows if row.change == Change.MISSED}
    told = missed | set(sent.values_list("incident", flat=True))
    _drop([row for row in rows if row.incident_id not in unsent | told])
    return [row for row in rows if row.incident_id in told - unsent]


def _others_open(group: _Group, rows: Sequence[Notification]) -> bool:
    mails = Notification.objects.filter(
        channel=group.channel,
        recipient=group.recipient,
        incident__in=[row.incident_id for row in rows],
        change__in=NEWS,
        state=Delivery.SENT,
    ).values("batch")
    related = Q(batch__in=mails)
    if _tells_of_outage(rows):
        related |= Q(incident__kind__in=_OUTAGE)
    return Notification.objects.filter(
        related,
        channel=group.channel,
        recipient=group.recipient,
        incident__gateway=group.about,
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
        .select_related(
            "incident__gateway", "incident__team", "incident__probe", "user"
        )
        .order_by("incident__opened_at", "pk")
    )
    rows = tuple(taken)
    return Batch(batch, group.channel, group.recipient, rows) if rows else None


def _interval() -> timedelta:
    return timedelta(seconds=settings.MAIL_GROUP_INTERVAL_S)
