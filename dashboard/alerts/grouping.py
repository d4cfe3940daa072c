"""What goes out together, and when it may: the news of one outage are one mail."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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

    def of_reader(self) -> QuerySet[Notification]:
        """Return all that was ever for the same reader."""
        return Notification.objects.filter(
            channel=self.channel, recipient=self.recipient
        )


Groups = Mapping[Group, Sequence[Notification]]


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


def ready_of(
    group: Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    """Return the rows that may go out now in one mail; empty to let them wait.

    Where one is due, those that are not yet go with it.
    """
    if in_flight(rows, now):
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


def in_flight(rows: Iterable[Notification], now: datetime) -> bool:
    return any(row.leased_until is not None and row.leased_until > now for row in rows)


def _may_tell(group: Group, rows: Sequence[Notification], now: datetime) -> bool:
    if any(row.change == Change.ESCALATED for row in rows):
        return True
    # News of an outage waits only for news of an outage, not for a team's low credits;
    # and a critical one for no warning, which if it got worse would not wait either.
    of_outage = Q(incident__kind__in=_OUTAGE)
    as_bad = Q(incident__severity=Severity.CRITICAL) if _is_critical(rows) else Q()
    lately = group.of_reader().filter(
        of_outage if _tells_of_outage(rows) else ~of_outage,
        as_bad,
        state=Delivery.SENT,
        sent_at__gt=now - _interval(),
        incident__gateway=group.about,
        change__in=NEWS,
    )
    if lately.exists():
        return False
    hold = timedelta(seconds=_LONGEST_HOLD * settings.MAIL_GROUP_WAIT_S)
    if now >= min(row.created_at for row in rows) + hold:
        return True
    return not _is_unfolding(group.about, hold, now)


def _tells_of_outage(rows: Iterable[Notification]) -> bool:
    return any(
        row.incident is not None and row.incident.kind in _OUTAGE for row in rows
    )


def _is_critical(rows: Iterable[Notification]) -> bool:
    return any(
        row.incident is not None and row.incident.severity == Severity.CRITICAL
        for row in rows
    )


def _is_unfolding(gateway_id: int, hold: timedelta, now: datetime) -> bool:
    """Say whether some probe has just begun to fail and no incident is open for it."""
    # One that is good again tells nothing of what begins now.
    incidents = Incident.objects.filter(
        gateway=gateway_id, resolved_at=None, clear_since=None
    )
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
    group: Group, rows: Sequence[Notification], now: datetime
) -> Sequence[Notification]:
    """Return the recoveries whose news has gone out, once all that it told are over.

    While others of the same mail or of the same outage are still open, they wait, up to
    the group's interval or 90 s, so that one mail tells of all.
    """
    ready = of_the_told(group, rows)
    if not ready:
        return []
    oldest = min(row.created_at for row in ready)
    if now < oldest + max(_interval(), _LEAST_HOLD) and _others_open(group, ready):
        return []
    return ready


def of_the_told(group: Group, rows: Sequence[Notification]) -> Sequence[Notification]:
    """Return the recoveries whose news went out; withdraw those whose never will.

    What was missed is its own news.
    """
    news = group.of_reader().filter(
        incident__in=[row.incident_id for row in rows], change__in=NEWS
    )
    unsent = set(news.filter(state=Delivery.QUEUED).values_list("incident", flat=True))
    sent = news.filter(TOLD)
    missed = {row.incident_id for row in rows if row.change == Change.MISSED}
    told = missed | set(sent.values_list("incident", flat=True))
    _drop([row for row in rows if row.incident_id not in unsent | told])
    return [row for row in rows if row.incident_id in told - unsent]


def _others_open(group: Group, rows: Sequence[Notification]) -> bool:
    news = group.of_reader().filter(change__in=NEWS, state=Delivery.SENT)
    mails = news.filter(incident__in=[row.incident_id for row in rows])
    related = Q(batch__in=mails.values("batch"))
    if _tells_of_outage(rows):
        related |= Q(incident__kind__in=_OUTAGE)
    return news.filter(
        related, incident__gateway=group.about, incident__resolved_at=None
    ).exists()


def _drop(rows: Sequence[Notification]) -> None:
    """Withdraw recoveries of what nobody was told: its news was given up."""
    if rows:
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=Delivery.DROPPED
        )


def _interval() -> timedelta:
    return timedelta(seconds=settings.MAIL_GROUP_INTERVAL_S)
