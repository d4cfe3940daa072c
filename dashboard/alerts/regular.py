"""Mails that come whether there is trouble or not: digests, reports and the self-test."""

import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db.models import Exists, OuterRef, Q

from dashboard.alerts.models import (
    REGULAR,
    Change,
    ChannelKind,
    Notification,
    Rule,
    RuleKind,
    Subscription,
)
from dashboard.alerts.recipients import first_administrator
from dashboard.alerts.rulebook import limits_of
from dashboard.alerts.rules import Limits, Sample, Step, error_rate
from dashboard.teams.models import Membership

logger = logging.getLogger(__name__)

_SALT = "dashboard.alerts.unsubscribe"
_SELF_TEST_HOUR = 7
_MADE_UP = 20


def queue_due(now: datetime) -> int:
    """Queue the regular mails that are due; return how many.

    Each once for its period: the database refuses a second one. What was due while
    nothing ran, or mail was not set up, is not made up for.
    """
    if not settings.EMAIL_CONFIGURED:
        return 0
    due = [*_due_reports(now), *_due_self_tests(now)]
    return _queue(due)


def _due_reports(now: datetime) -> Iterator[Notification]:
    wanted = Subscription.objects.filter(
        Q(daily=True) | Q(weekly=True), user__is_active=True
    ).exclude(user__email="")
    # Who sees no team would read that nothing is watched, as in an outage.
    member = Exists(Membership.objects.filter(user=OuterRef("user")))
    wanted = wanted.filter(Q(user__is_superuser=True) | Q(user__is_staff=True) | member)
    for each in wanted.select_related("user"):
        here = now.astimezone(ZoneInfo(each.time_zone))
        today, to = here.date(), each.user.email
        if here.hour < each.hour:
            continue
        if each.daily and today >= (each.daily_from or today):
            yield _row(Change.DAILY, f"{here:%Y-%m-%d}", to, now, each.user)
        is_begun = today >= (each.weekly_from or today)
        if each.weekly and here.weekday() == 0 and is_begun:
            yield _row(Change.WEEKLY, f"{here:%G-W%V}", to, now, each.user)


def first_day(subscription: Subscription, now: datetime) -> date:
    """Return the first day of a mail that is asked for now: after its hour, tomorrow."""
    here = now.astimezone(ZoneInfo(subscription.time_zone))
    is_late = here.hour >= subscription.hour
    return here.date() + timedelta(days=1) if is_late else here.date()


def _due_self_tests(now: datetime) -> Iterator[Notification]:
    if settings.SELF_TEST and now.astimezone(UTC).hour >= _SELF_TEST_HOUR:
        yield from _self_test(f"{now:%Y-%m-%d}", self_test_recipients(), now)


def _row(
    change: Change, level: str, to: str, now: datetime, user: User | None = None
) -> Notification:
    return Notification(
        incident=None,
        user=user,
        change=change,
        level=level,
        channel=ChannelKind.EMAIL,
        recipient=to,
        created_at=now,
        due_at=now,
    )


def _queue(rows: Iterable[Notification]) -> int:
    """Store those that are not there yet: on most looks all are, and nothing is written."""
    rows = list(rows)
    if not rows:
        return 0
    stored = Notification.objects.filter(
        incident=None, change__in=REGULAR, level__in={row.level for row in rows}
    )
    known = set(stored.values_list("change", "level", "recipient", "user"))
    new = [
        row
        for row in rows
        if (row.change, row.level, row.recipient, row.user_id) not in known
    ]
    Notification.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def self_test_recipients() -> list[str]:
    return settings.SELF_TEST_TO or first_administrator()


def queue_self_test(now: datetime) -> int:
    """Put a made-up alarm through the whole chain, now; return how many mails wait."""
    return _queue(_self_test(f"{now:%Y-%m-%dT%H:%M:%S}", self_test_recipients(), now))


def _self_test(level: str, to: Iterable[str], now: datetime) -> list[Notification]:
    """Return the mails of an outage that the error-rate rule has found by itself.

    Where the rule says nothing there is no mail: its absence is what the test tells.
    """
    # The one of all teams: how many runs a team's own needs, its managers say.
    rule = Rule.objects.filter(
        kind=RuleKind.ERROR_RATE, enabled=True, gateway=None, team=None, probe=None
    ).first()
    limits = limits_of(rule) if rule else Limits(critical_at=0.2)
    window_s = rule.window_s if rule else 300
    verdict = error_rate(_outage(window_s, now), limits, window_s, now)
    if verdict.step is not Step.FIRE:
        logger.error("self_test.rule_is_silent", extra={"rule": str(rule)})
        return []
    return [_row(Change.SELF_TEST, level, address, now) for address in to]


def _outage(window_s: int, now: datetime) -> list[Sample]:
    """Return made-up results of a whole window, all of them failed."""
    step = timedelta(seconds=window_s / (_MADE_UP + 1))
    return [
        Sample(at=now - step * place, error_class="server_error")
        for place in reversed(range(_MADE_UP))
    ]


def unsubscribe_token(user: User, change: str) -> str:
    """Return what ends one kind of mail to one user; it holds for ever."""
    return signing.dumps([user.pk, change], salt=_SALT, compress=False)


def subscription_of(token: str) -> tuple[Subscription, Change] | None:
    """Return what a link is about; None for one that we never made."""
    try:
        pk, change = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    found = Subscription.objects.filter(user=pk).select_related("user").first()
    return (found, Change(change)) if found else None


def unsubscribe(subscription: Subscription, change: Change) -> bool:
    """End one kind of mail; say whether it was not ended before."""
    field = "weekly" if change == Change.WEEKLY else "daily"
    wanted = Subscription.objects.filter(pk=subscription.pk, **{field: True})
    return bool(wanted.update(**{field: False}))
