"""The outbox against a real SMTP server."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.alerts import batches, delivery, lifecycle, outbox
from dashboard.alerts.delivery import deliver, send_test_mail
from dashboard.alerts.models import (
    Delivery,
    Incident,
    Notification,
    Recipient,
    Severity,
)
from dashboard.alerts.queries import outbox_state, outbox_trouble
from dashboard.web.pages.mail import mail
from tests.alerts.conftest import after, make_incident, make_recipient, states, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import make_gateway

pytestmark = pytest.mark.django_db

WAIT_S, DAY_S = 30, 86_400


def test_a_mail_waits_for_others_and_arrives_once(mailbox: Mailbox) -> None:
    """A-56."""
    make_recipient()
    tell(make_incident())

    assert deliver(after(WAIT_S - 1)) == 0
    assert deliver(after(WAIT_S)) == 1
    assert deliver(after(WAIT_S + 1)) == 0

    assert len(mailbox.messages) == 1
    assert mailbox.messages[0]["To"] == "ops@example.org"
    assert states() == ["sent"]


def test_each_recipient_gets_a_mail_of_his_own(mailbox: Mailbox) -> None:
    make_recipient("a@example.org")
    make_recipient("b@example.org")
    tell(make_incident())

    assert deliver(after(WAIT_S)) == 2

    assert {message["To"] for message in mailbox.messages} == {
        "a@example.org",
        "b@example.org",
    }
    assert len(set(mailbox.ids)) == 2


def test_a_gateway_with_many_readers_has_its_mails_in_turns_with_the_others(
    mailbox: Mailbox,
) -> None:
    """A-74: of an outage a thousand may be told, and nobody else waits for the last."""
    for address in ("a@example.org", "b@example.org", "c@example.org"):
        make_recipient(address)
    tell(make_incident())
    Recipient.objects.all().delete()
    make_recipient("d@example.org")
    tell(make_incident(make_gateway()))
    for address in ("a@example.org", "b@example.org", "c@example.org"):
        make_recipient(address)

    assert deliver(after(WAIT_S)) == 4

    assert mailbox.messages[1]["To"] == "d@example.org"


def test_an_alarm_that_comes_up_while_many_are_mailed_has_its_turn_in_a_second() -> (
    None
):
    """A-74: what is ready is asked once for many mails."""
    for address in ("a@example.org", "b@example.org", "c@example.org"):
        make_recipient(address)
    first, other = tell(make_incident()), make_incident(make_gateway())
    claims = batches.Claims()

    def told(seconds: float) -> list[Incident]:
        batch = claims.next(after(seconds))
        return batch.incidents if batch else []

    assert told(30) == [first]
    tell(other)
    assert told(30.5) == [first]
    assert told(31.5) == [other]


def test_a_look_at_what_waits_costs_the_same_for_one_reader_and_for_many(
    mailbox: Mailbox, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """A-74: a thousand that waited were asked for one by one, for each mail of others."""
    recipients = [make_recipient(f"{number}@example.org") for number in range(20)]
    gateway = make_gateway()
    over, _lasting = tell(make_incident(gateway)), tell(make_incident(gateway))
    deliver(after(30))
    lifecycle.resolve([over], after(40))
    tell(make_incident(gateway), after(40))

    with CaptureQueriesContext(connection) as asked:
        assert batches.Claims().next(after(100)) is None
    for each in recipients[1:]:
        each.delete()
    Notification.objects.exclude(recipient=recipients[0].email).delete()

    with django_assert_num_queries(len(asked)):
        assert batches.Claims().next(after(100)) is None
    assert states().count("queued") == 2


def test_the_recovery_is_in_the_thread_of_the_alarm(mailbox: Mailbox) -> None:
    make_recipient()
    incident = tell(make_incident())
    deliver(after(WAIT_S))
    lifecycle.resolve([incident], after(100))
    deliver(after(100 + WAIT_S))

    opened, resolved = mailbox.messages
    assert resolved["In-Reply-To"] == opened["Message-ID"]
    assert resolved["References"] == opened["Message-ID"]
    assert opened["In-Reply-To"] is None


def test_nobody_hears_of_what_was_over_before_the_mail_went(mailbox: Mailbox) -> None:
    make_recipient()
    incident = tell(make_incident())
    lifecycle.resolve([incident], after(10))

    assert deliver(after(3600)) == 0
    assert states() == ["dropped"]


def test_a_recovery_goes_only_to_those_who_were_told(mailbox: Mailbox) -> None:
    make_recipient("told@example.org")
    incident = tell(make_incident())
    deliver(after(WAIT_S))
    make_recipient("late@example.org")
    lifecycle.resolve([incident], after(100))

    deliver(after(200))

    assert [message["To"] for message in mailbox.messages] == ["told@example.org"] * 2


@pytest.mark.parametrize("news", ["opening", "escalation", "reminder", "recovery"])
def test_who_is_taken_from_the_recipients_hears_no_more_of_it(
    mailbox: Mailbox, news: str
) -> None:
    """C-17: not what is queued, and not how it went on, though he knows how it began."""
    make_recipient("stays@example.org")
    gone = make_recipient("gone@example.org")
    incident = tell(make_incident(severity=Severity.WARNING))
    if news != "opening":
        deliver(after(WAIT_S))
    gone.delete()
    if news == "escalation":
        outbox.queue_escalation(incident, after(100))
    elif news == "reminder":
        outbox.queue_reminders({incident.pk: 1}, after(100))
    elif news == "recovery":
        lifecycle.resolve([incident], after(100))

    deliver(after(1000))

    to = [message["To"] for message in mailbox.messages]
    assert to.count("stays@example.org") == (1 if news == "opening" else 2)
    assert to.count("gone@example.org") == (0 if news == "opening" else 1)


def test_an_address_is_no_pattern_of_others(mailbox: Mailbox) -> None:
    """C-17: `_` and `%` stand for any letter where SQLite ignores case."""
    make_recipient("Some-one@example.org")
    gone = [make_recipient("some_one@example.org"), make_recipient("%@example.org")]
    tell(make_incident())
    for each in gone:
        each.delete()
    Recipient.objects.update(email="some-one@example.org")

    deliver(after(1000))

    assert [message["To"] for message in mailbox.messages] == ["Some-one@example.org"]


def test_mails_are_held_while_mail_is_not_set_up(
    mailbox: Mailbox, settings: Settings
) -> None:
    make_recipient()
    tell(make_incident())
    settings.EMAIL_CONFIGURED = False

    assert deliver(after(86_400 * 3)) == 0
    state = outbox_state(after(60))
    assert (state.depth, state.oldest_s, state.dead) == (1, 60, 0)

    settings.EMAIL_CONFIGURED = True
    assert deliver(after(86_400 * 3)) == 1


def test_what_a_mail_of_many_said_is_kept_once(mailbox: Mailbox) -> None:
    """Of five hundred keys refused at once, each row kept all: a quarter of a gigabyte."""
    make_recipient()
    gateway = make_gateway()
    for _ in range(3):
        tell(make_incident(gateway))
    mailbox.data = "451 later"
    deliver(after(30), draw=lambda: 0.5)
    tell(make_incident(gateway), after(40))
    mailbox.data = "250 OK"
    deliver(after(120))

    rows = Notification.objects.order_by("-pk")
    assert len(set(rows.values_list("batch", flat=True))) == 1
    assert [row.body.count("3 of 5 runs failed") for row in rows] == [4, 0, 0, 0]
    shown = mail("", after(130), is_configured=True, is_demo=False).rows
    assert [row.body for row in shown] == [rows[0].body]


def test_a_claimed_mail_is_claimed_by_nobody_else() -> None:
    make_recipient()
    tell(make_incident())

    first = batches.Claims().next(after(30))

    assert first is not None
    assert batches.Claims().next(after(31)) is None
    again = batches.Claims().next(after(30) + batches.LEASE)
    assert again is not None
    assert again.id == first.id


def test_news_that_may_have_arrived_is_followed_by_its_recovery(
    mailbox: Mailbox,
) -> None:
    make_recipient()
    incident = tell(make_incident())
    assert batches.Claims().next(after(30)) is not None
    lifecycle.resolve([incident], after(60))

    assert deliver(after(120)) == 0
    assert deliver(after(40) + batches.LEASE) == 2

    subjects = [str(message["Subject"]).split()[1] for message in mailbox.messages]
    assert subjects == ["CRITICAL", "RESOLVED"]


def test_a_mail_that_cannot_be_written_stops_no_other(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    make_recipient()
    tell(make_incident(error_class="no such class"))
    tell(make_incident())

    assert deliver(after(30)) == 1
    assert "mail.compose_failed" in caplog.text


def test_what_was_withdrawn_is_told_when_it_lasts(
    mailbox: Mailbox, settings: Settings
) -> None:
    """A-55: a reminder, or that it got worse, that a silence kept from going."""
    make_recipient()
    incident = tell(make_incident(level="low"))
    deliver(after(WAIT_S))
    incident.level = "critical"
    incident.save()
    outbox.queue_escalation(incident, after(100))
    outbox.queue_reminders({incident.pk: 1}, after(100))
    outbox.drop_unsent([incident])

    incident.refresh_from_db()
    assert incident.told_level == ""
    too_soon = after(99 + settings.MAIL_REPEAT_S)
    assert outbox.due_reminders([incident], too_soon) == {}
    [number] = outbox.due_reminders([incident], after(DAY_S)).values()
    outbox.queue_reminders({incident.pk: number}, after(DAY_S))
    outbox.queue_escalation(incident, after(DAY_S))
    deliver(after(DAY_S + WAIT_S))

    told = Notification.objects.filter(state=Delivery.SENT).values_list("change")
    assert sorted(change for (change,) in told) == ["escalated", "opened", "repeated"]


def test_the_test_mail_arrives_at_once(mailbox: Mailbox) -> None:
    assert send_test_mail("me@example.org", after(0)) == ""
    assert mailbox.messages[0]["To"] == "me@example.org"

    mailbox.rcpt = "550 No such user"
    assert send_test_mail("me@example.org", after(0)) == (
        "The mail server did not take it: 550 No such user"
    )


def test_the_test_mail_says_that_mail_is_not_set_up(settings: Settings) -> None:
    settings.EMAIL_CONFIGURED = False

    assert "EMAIL_URL" in delivery.send_test_mail("me@example.org", after(0))


def test_no_look_at_the_outbox_reads_all_that_was_ever_sent() -> None:
    """A gateway whose alarms come and go leaves millions of mails; pages look, too."""
    make_recipient()
    with CaptureQueriesContext(connection) as asked:
        tell(make_incident())
        assert batches.Claims().next(after(60)) is not None
        outbox_trouble(after(60))
        outbox_state(after(60))
    plans = []
    with connection.cursor() as cursor:
        # PostgreSQL would rather read a table that is empty.
        for query in asked if connection.vendor == "sqlite" else ():
            if query["sql"].startswith(("SELECT", "UPDATE")):
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plans += [row[-1] for row in cursor.fetchall()]

    assert connection.vendor == "postgresql" or len(plans) > 10
    assert "SCAN alerts_notification" not in plans
