"""What the outbox shows: each mail once, though it may tell of several changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import Change, ChannelKind, Delivery, Notification
from dashboard.alerts.queries import outbox_state
from dashboard.web import words
from dashboard.web.pages.incident import DELIVERIES
from dashboard.web.pages.parts import Badge, Link
from dashboard.web.ranges import Tab
from dashboard.web.states import Tone

# Enough to see what happened lately; the incidents tell the whole story.
MOST = 100
# A digest may tell of dozens; all stand in what it said.
_MOST_NAMED = 5
# It runs once a day.
_SELF_TEST_AGES = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class MailRow:
    key: int
    badge: Badge
    recipient: str
    channel: str
    subject: str
    body: str
    at: SafeString
    attempts: str
    error: str
    incidents: list[Link]
    more_incidents: int
    retry_url: str


@dataclass(frozen=True, slots=True)
class SelfTest:
    """How the latest made-up alarm fared on its way from the rule to the mail server."""

    badge: Badge
    at: SafeString
    text: str


@dataclass(frozen=True, slots=True)
class Mail:
    is_configured: bool
    is_demo: bool
    nobody_told: bool
    queued: str
    dead: str
    oldest: SafeString
    self_test: SelfTest
    tabs: list[Tab]
    rows: list[MailRow]


def mail(state: str, now: datetime, *, is_configured: bool, is_demo: bool) -> Mail:
    """Return the outbox, newest first, all states or one; a handful of queries."""
    state = state if state in Delivery.values else ""
    found = Notification.objects.select_related("incident")
    chosen = found.filter(state=state) if state else found
    outbox = outbox_state(now)
    return Mail(
        is_configured=is_configured,
        is_demo=is_demo,
        nobody_told=outbox.nobody_told,
        queued=f"{outbox.depth:,}",
        dead=f"{outbox.dead:,}",
        oldest=words.time(outbox.oldest_at, now, ""),
        self_test=_self_test(now),
        tabs=[Tab("All", "?", not state)]
        + [
            Tab(each.word.capitalize(), f"?state={key}", key == state)
            for key, each in DELIVERIES.items()
        ],
        rows=_rows(list(chosen.order_by("-pk")[:MOST]), now),
    )


def _self_test(now: datetime) -> SelfTest:
    latest = (
        Notification.objects.filter(change=Change.SELF_TEST).order_by("-pk").first()
    )
    if latest is None:
        return SelfTest(Badge(Tone.UNKNOWN, "never ran"), SafeString(), "")
    at = words.time(latest.sent_at or latest.created_at, now)
    if latest.sent_at is not None:
        took = (latest.sent_at - latest.created_at).total_seconds()
        text = f"from the rule to the mail server in {words.duration(took)}"
        is_old = now - latest.sent_at > _SELF_TEST_AGES
        badge = Badge(Tone.WARN, "old") if is_old else Badge(Tone.OK, "arrived")
        return SelfTest(badge, at, text)
    if latest.state == Delivery.DEAD:
        return SelfTest(Badge(Tone.BAD, "given up"), at, latest.last_error)
    return SelfTest(Badge(Tone.UNKNOWN, "on its way"), at, latest.last_error)


def _rows(notifications: Iterable[Notification], now: datetime) -> list[MailRow]:
    """Return a row for each mail, in the order of the times that stand beside them."""
    mails: dict[UUID | int, list[Notification]] = {}
    for each in sorted(notifications, key=lambda one: (_at(one), one.pk), reverse=True):
        mails.setdefault(each.batch or each.pk, []).append(each)
    return [_row(together, now) for together in mails.values()]


def _at(each: Notification) -> datetime:
    return each.sent_at or each.created_at


def _row(together: Sequence[Notification], now: datetime) -> MailRow:
    first = together[0]
    told = [each.incident for each in together if each.incident]
    is_dead = first.state == Delivery.DEAD
    return MailRow(
        key=first.pk,
        badge=DELIVERIES[Delivery(first.state)],
        recipient=first.recipient,
        channel=""
        if first.channel == ChannelKind.EMAIL
        else first.get_channel_display(),
        subject=first.subject or _planned(first),
        body=next((each.body for each in together if each.body), ""),
        at=words.clock(_at(first), now),
        attempts=words.count(first.attempts, "attempt") if first.attempts else "",
        error=first.trouble,
        incidents=[
            Link(each.summary, reverse("incident", args=[each.pk]))
            for each in told[:_MOST_NAMED]
        ],
        more_incidents=len(told[_MOST_NAMED:]),
        retry_url=reverse("retry", args=[first.pk]) if is_dead else "",
    )


def _planned(first: Notification) -> str:
    """Return what a mail will be about that was not written yet."""
    change = first.get_change_display()
    return f"{first.incident.summary} ({change})" if first.incident else change
