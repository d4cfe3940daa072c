"""What goes out together, and when it may: the news of one outage are one mail."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from django.conf import settings
from django.db.models import Q, QuerySet

from dashboard.alerts.models import (
    NEWS,
    TOLD,
    Change,
    Delivery,
    Incident,
    Notification,
    RuleKind,
    Severity,
)
from dashboard.probes.models import Probe

# News waits up to this many group waits for probes that have just begun to fail: they
# will raise an alarm of the same cause in a moment, or show that the gateway is down.
_LONGEST_HOLD = 4
_JUST_BEGUN = timedelta(minutes=5)
# A recovery waits for the others of its outage at least this long: a breaker closes with
# the first success, an error rate needs its whole window, in the demo a minute.
_LEAST_HOLD = timedelta(seconds=90)
_ENDS = (Change.RESOLVED, Change.MISSED)
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
class Group:
    """What may go in one mail; `about` is a gateway's id, or a regular row's own."""

    channel: str
    recipient: str
    kind: Kind
    about: int

    @property
    def reader(self) -> tuple[str, str]:
        return self.channel, self.recipient

    @property
    def turn(self) -> int | None:
        """Return the gateway whose turn it is, None for what is of no incident."""
        return None if self.kind is Kind.REGULAR else self.about


Rows: TypeAlias = Sequence[Notification]
Groups: TypeAlias = Mapping[Group, Rows]


def grouped(rows: Iterable[Notification]) -> dict[Group, list[Notification]]:
    groups: dict[Group, list[Notification]] = {}
    for row in rows:
        groups.setdefault(group_of(row), []).append(row)
    return groups


def group_of(row: Notification) -> Group:
    if row.incident is None:
        return Group(row.channel, row.recipient, Kind.REGULAR, row.pk)
    kind = Kind.RECOVERY if row.change in _ENDS else Kind.ALARM
    return Group(row.channel, row.recipient, kind, row.incident.gateway_id)


def ready_of(groups: Groups, now: datetime) -> Groups:
    """Return which may go out now, each with the rows of its mail, in the same order.

    Where one is due, those that are not yet go with it. Of an outage thousands may be
    told: the queries are as many for all of them as for one.
    """
    again: dict[Group, uuid.UUID] = {}
    fresh: dict[Kind, dict[Group, Rows]] = defaultdict(dict)
    for group, rows in groups.items():
        due = [row for row in rows if row.due_at <= now]
        if not due or in_flight(rows, now):
            continue
        # What may have arrived goes again as the very same mail.
        batch = next((row.batch for row in due if row.batch is not None), None)
        if batch is not None:
            again[group] = batch
        else:
            fresh[group.kind][group] = [row for row in rows if row.batch is None]
    ready = {
        **_sent_again(again),
        **fresh[Kind.REGULAR],
        **_told_now(fresh[Kind.ALARM], now),
        **_ready_recoveries(fresh[Kind.RECOVERY], now),
    }
    return {group: ready[group] for group in groups if ready.get(group)}


def in_flight(rows: Iterable[Notification], now: datetime) -> bool:
    return any(row.leased_until is not None and row.leased_until > now for row in rows)


def of_readers(groups: Collection[Group]) -> QuerySet[Notification]:
    """Return all that was ever for the readers of these, in no order.

    And for some more where a channel is called like another one's reader.
    """
    return Notification.objects.order_by().filter(
        channel__in={group.channel for group in groups},
        recipient__in={group.recipient for group in groups},
    )


def _sent_again(batches: Mapping[Group, uuid.UUID]) -> Groups:
    rows: dict[uuid.UUID | None, list[Notification]] = defaultdict(list)
    if batches:
        same = Notification.objects.filter(batch__in=set(batches.values()))
        for row in same.filter(state=Delivery.QUEUED).defer("body"):
            rows[row.batch].append(row)
    return {group: rows[batch] for group, batch in batches.items()}


def _told_now(groups: Groups, now: datetime) -> Groups:
    """Return the news that need not wait for more."""
    if not groups:
        return {}
    lately: dict[Group, set[tuple[str, str]]] = defaultdict(set)
    sent = of_readers(groups.keys()).filter(
        state=Delivery.SENT,
        sent_at__gt=now - _interval(),
        incident__gateway__in={group.about for group in groups},
        change__in=NEWS,
    )
    for channel, recipient, gateway_id, kind, severity in sent.values_list(
        "channel",
        "recipient",
        "incident__gateway",
        "incident__kind",
        "incident__severity",
    ):
        group = Group(channel, recipient, Kind.ALARM, gateway_id)
        lately[group].add((kind, severity))
    hold = timedelta(seconds=_LONGEST_HOLD * settings.MAIL_GROUP_WAIT_S)
    unfolding = _unfolding({group.about for group in groups}, hold, now)

    def may_tell(group: Group, rows: Rows) -> bool:
        if any(row.change == Change.ESCALATED for row in rows):
            return True
        if _too_soon(rows, lately[group]):
            return False
        return group.about not in unfolding or now >= _oldest(rows) + hold

    return {group: rows for group, rows in groups.items() if may_tell(group, rows)}


def _too_soon(rows: Rows, lately: Iterable[tuple[str, str]]) -> bool:
    """Say whether these wait for what of their gateway went out lately: kinds, severities.

    News of an outage waits only for news of an outage, not for a team's low credits; and
    a critical one for no warning, which if it got worse would not wait either.
    """
    of_outage, is_critical = _tells_of_outage(rows), _is_critical(rows)
    return any(
        (kind in _OUTAGE) == of_outage
        and (severity == Severity.CRITICAL or not is_critical)
        for kind, severity in lately
    )


def _oldest(rows: Iterable[Notification]) -> datetime:
    return min(row.created_at for row in rows)


def _tells_of_outage(rows: Iterable[Notification]) -> bool:
    return any(
        row.incident is not None and row.incident.kind in _OUTAGE for row in rows
    )


def _is_critical(rows: Iterable[Notification]) -> bool:
    return any(
        row.incident is not None and row.incident.severity == Severity.CRITICAL
        for row in rows
    )


def _unfolding(
    gateway_ids: Collection[int], hold: timedelta, now: datetime
) -> set[int]:
    """Return where some probe has just begun to fail and no incident is open for it."""
    # One that is good again tells nothing of what begins now.
    incidents = Incident.objects.filter(
        gateway__in=gateway_ids, resolved_at=None, clear_since=None
    )
    begun = Probe.objects.filter(
        gateway__in=gateway_ids,
        enabled=True,
        failing_since__gt=now - _JUST_BEGUN,
        # A slower one would not have decided by then.
        period_s__lte=hold.total_seconds(),
    )
    down = incidents.filter(kind=RuleKind.GATEWAY_DOWN).values("gateway")
    of_probes = incidents.filter(probe__isnull=False).values("probe")
    of_teams = incidents.filter(kind__in=_STOPS_TEAM).values("team")
    told = (
        Q(gateway__in=down)
        | Q(pk__in=of_probes)
        | Q(team__isnull=False, team__in=of_teams)
    )
    found = begun.exclude(told).order_by().values_list("gateway", flat=True)
    return set(found.distinct())


def _ready_recoveries(groups: Groups, now: datetime) -> Groups:
    """Return the recoveries whose news has gone out, once all that it told are over.

    While others of the same mail or of the same outage are still open, they wait, up to
    the group's interval or 90 s, so that one mail tells of all.
    """
    ready = of_the_told(groups)
    longest = max(_interval(), _LEAST_HOLD)
    young = {g: rows for g, rows in ready.items() if now < _oldest(rows) + longest}
    waiting = _others_open(young)
    return {group: rows for group, rows in ready.items() if group not in waiting}


def of_the_told(groups: Groups) -> Groups:
    """Return the recoveries whose news went out; withdraw those whose never will.

    What was missed is its own news.
    """
    if not groups:
        return {}
    news = of_readers(groups.keys()).filter(
        incident__in=_incidents(groups), change__in=NEWS
    )
    keys = ("channel", "recipient", "incident")
    unsent = set(news.filter(state=Delivery.QUEUED).values_list(*keys))
    told = set(news.filter(TOLD).values_list(*keys))
    ready: dict[Group, list[Notification]] = defaultdict(list)
    untold = []
    for group, rows in groups.items():
        missed = {row.incident_id for row in rows if row.change == Change.MISSED}
        for row in rows:
            key = (*group.reader, row.incident_id)
            if key in unsent:
                continue
            if key in told or row.incident_id in missed:
                ready[group].append(row)
            else:
                untold.append(row)
    _drop(untold)
    return ready


def _others_open(groups: Groups) -> set[Group]:
    """Return those of whose mails, or of whose outage, something else is still open."""
    if not groups:
        return set()
    news = of_readers(groups.keys()).filter(change__in=NEWS, state=Delivery.SENT)
    batches: dict[tuple[str, str, int | None], set[uuid.UUID | None]] = defaultdict(set)
    mails = news.filter(incident__in=_incidents(groups))
    for channel, recipient, incident_id, batch in mails.values_list(
        "channel", "recipient", "incident", "batch"
    ):
        batches[channel, recipient, incident_id].add(batch)
    still: dict[Group, list[tuple[str, uuid.UUID | None]]] = defaultdict(list)
    still_open = news.filter(
        incident__gateway__in={group.about for group in groups},
        incident__resolved_at=None,
    )
    for channel, recipient, gateway_id, kind, batch in still_open.values_list(
        "channel", "recipient", "incident__gateway", "incident__kind", "batch"
    ):
        group = Group(channel, recipient, Kind.RECOVERY, gateway_id)
        still[group].append((kind, batch))
    waiting = set()
    for group, rows in groups.items():
        of_outage = _tells_of_outage(rows)
        same = set().union(*(batches[*group.reader, row.incident_id] for row in rows))
        if any(b in same or (of_outage and k in _OUTAGE) for k, b in still[group]):
            waiting.add(group)
    return waiting


def _incidents(groups: Groups) -> set[int | None]:
    return {row.incident_id for rows in groups.values() for row in rows}


def _drop(rows: Sequence[Notification]) -> None:
    """Withdraw recoveries of what nobody was told: its news was given up."""
    if rows:
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=Delivery.DROPPED
        )


def _interval() -> timedelta:
    return timedelta(seconds=settings.MAIL_GROUP_INTERVAL_S)
