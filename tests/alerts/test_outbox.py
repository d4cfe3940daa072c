"""The outbox against a real SMTP server."""

import socket
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from dashboard.alerts import batches, delivery, lifecycle, outbox
from dashboard.alerts.delivery import backoff, deliver, send_test_mail
from dashboard.alerts.models import (
    Change,
    Delivery,
    Notification,
    Recipient,
    Severity,
    Subscription,
)
from dashboard.alerts.queries import outbox_state, outbox_trouble
from dashboard.alerts.regular import queue_due, queue_self_test
from dashboard.web.pages.mail import mail
from tests.alerts.conftest import after, make_incident, make_recipient, states, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import NOW, make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db

WAIT_S = 30


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


def test_the_recovery_is_in_the_thread_of_the_alarm(mailbox: Mailbox) -> None:
    make_recipient()
    incident = tell(make_incident())
    deliver(after(WAIT_S))
    lifecycle.resolve(incident, after(100))
    deliver(after(100 + WAIT_S))

    opened, resolved = mailbox.messages
    assert resolved["In-Reply-To"] == opened["Message-ID"]
    assert resolved["References"] == opened["Message-ID"]
    assert opened["In-Reply-To"] is None


def test_nobody_hears_of_what_was_over_before_the_mail_went(mailbox: Mailbox) -> None:
    make_recipient()
    incident = tell(make_incident())
    lifecycle.resolve(incident, after(10))

    assert deliver(after(3600)) == 0
    assert states() == ["dropped"]


def test_a_recovery_goes_only_to_those_who_were_told(mailbox: Mailbox) -> None:
    make_recipient("told@example.org")
    incident = tell(make_incident())
    deliver(after(WAIT_S))
    make_recipient("late@example.org")
    lifecycle.resolve(incident, after(100))

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
        outbox.queue_reminder(incident, 1, after(100))
    elif news == "recovery":
        lifecycle.resolve(incident, after(100))

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


def test_greylisting_is_waited_out(mailbox: Mailbox) -> None:
    make_recipient()
    tell(make_incident())
    mailbox.rcpt = "450 4.2.0 Greylisted"

    assert deliver(after(30), draw=lambda: 0.5) == 0
    row = Notification.objects.get()
    assert (row.state, row.attempts) == ("queued", 1)
    assert row.last_error == "450 4.2.0 Greylisted"
    assert deliver(after(89)) == 0
    mailbox.rcpt = "250 OK"
    assert deliver(after(95)) == 1


def test_a_refused_address_is_given_up_at_once(mailbox: Mailbox) -> None:
    make_recipient()
    incident = tell(make_incident())
    mailbox.rcpt = "550 5.1.1 No such user"

    assert deliver(after(30)) == 0
    assert states() == ["dead"]
    assert outbox_state(after(30)).dead == 1
    # Pages count what was given up lately, and say so.
    assert outbox_state(after(31 * 86_400)).dead == 0

    mailbox.rcpt = "250 OK"
    lifecycle.resolve(incident, after(60))
    assert deliver(after(600)) == 0


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?victim=40example.com?=@example.org",
        '"victim@example.com"@example.org',
        '"\x0c\x1c"@example.org',
        "\N{KELVIN SIGN}ate@example.org",
    ],
)
def test_nothing_goes_to_an_address_that_programs_read_differently(
    mailbox: Mailbox, address: str
) -> None:
    """C-17: Django finds all of them valid."""
    validate_email(address)
    with pytest.raises(ValidationError):
        Recipient(email=address).full_clean()
    make_recipient(address)
    tell(make_incident())

    assert deliver(after(30)) == 0
    assert states() == ["dead"]
    assert mailbox.messages == []


def test_a_name_that_a_filter_refuses_ends_nobodys_reports(mailbox: Mailbox) -> None:
    """A-73: it stands in them every day; a self-test proves nothing by another mail."""
    make_probe(make_team(name="GTUBE"))
    boss = User.objects.create_superuser("boss", "boss@example.org")
    Subscription.objects.create(user=boss, daily=True)
    queue_due(NOW)
    mailbox.unwanted = b"GTUBE"
    assert deliver(after(60)) == 2
    mailbox.unwanted = b"Self-test"
    queue_self_test(after(120))
    assert deliver(after(120)) == 0

    subjects = [str(message["Subject"]) for message in mailbox.messages]
    assert "[Gatewatch] Your report was refused by the mail server" in subjects
    assert states() == ["sent", "sent", "dead"]


@pytest.mark.parametrize(
    ("unwanted", "most"), [(b"buy now", 1_000_000), (b"", 5000)], ids=["spam", "long"]
)
def test_what_the_server_will_not_take_hides_nobody_elses_news(
    settings: Settings, mailbox: Mailbox, unwanted: bytes, most: int
) -> None:
    """A-73: what a gateway wrote let a filter refuse the digest that told of another."""
    make_recipient()
    settings.MAIL_CAP = 5
    tell(make_incident())
    deliver(after(30))
    mailbox.unwanted, mailbox.most = unwanted, most
    hostile = make_gateway(name="Staging")
    for _ in range(4):
        tell(make_incident(hostile, evidence={"text": "buy now"}))
    outage = tell(make_incident(make_gateway(name="Production")))

    assert deliver(after(60)) == 1
    told = mailbox.messages[-1]
    assert told["Subject"] == (
        "[Gatewatch] CRITICAL Production, Staging: a mail was refused that tells of 5 "
        "critical"
    )
    assert b"buy now" not in told.as_bytes()
    assert set(states()) == {"sent"}
    lifecycle.resolve(outage, after(90))
    assert deliver(after(1000)) == 1


def test_a_server_whose_own_room_is_full_is_tried_again(mailbox: Mailbox) -> None:
    """RFC 1870 has the same code for both; the short mail tells which it is."""
    make_recipient()
    tell(make_incident())
    mailbox.most = 0

    assert deliver(after(30)) == 0
    assert states() == ["queued"]

    mailbox.most = 1_000_000
    assert deliver(after(300)) == 1


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


def test_a_server_that_is_away_costs_one_attempt_a_round(
    settings: Settings, mailbox: Mailbox
) -> None:
    make_recipient("a@example.org")
    make_recipient("b@example.org")
    tell(make_incident())
    settings.EMAIL_PORT = 1

    deliver(after(30))

    attempts = Notification.objects.order_by("attempts").values_list(
        "attempts", flat=True
    )
    assert list(attempts) == [0, 1]
    settings.EMAIL_PORT = mailbox.port
    assert deliver(after(200)) == 2


def test_a_connection_lost_after_data_sends_the_same_mail_again(
    mailbox: Mailbox,
) -> None:
    make_recipient()
    tell(make_incident())
    mailbox.drop_after_data = True
    deliver(after(30), draw=lambda: 0.5)
    mailbox.drop_after_data = False

    assert deliver(after(95)) == 1

    assert len(mailbox.ids) == 2
    assert len(set(mailbox.ids)) == 1


@pytest.mark.slow
def test_a_mail_that_never_gets_through_is_given_up_after_a_day(
    mailbox: Mailbox,
) -> None:
    make_recipient()
    tell(make_incident())
    mailbox.data = "451 Try later"
    minutes = 1
    while Notification.objects.filter(state=Delivery.QUEUED).exists():
        deliver(after(60 * minutes), draw=lambda: 0.5)
        minutes += 1

    assert 23 * 60 <= minutes <= 25 * 60
    assert states() == ["dead"]


def test_what_joined_an_old_mail_has_a_day_of_its_own(mailbox: Mailbox) -> None:
    """A-73: an alarm was given up an hour after it opened, with those of yesterday."""
    make_recipient()
    gateway = make_gateway()
    tell(make_incident(gateway))
    Notification.objects.update(attempts=28)
    new = tell(make_incident(gateway))
    mailbox.data = "451 Try later"

    deliver(after(30), draw=lambda: 0.5)

    assert states() == ["dead", "queued"]
    row = Notification.objects.get(incident=new)
    assert (row.attempts, row.batch) == (1, None)
    mailbox.data = "250 OK"
    assert deliver(row.due_at) == 1


def test_the_waits_double_up_to_an_hour() -> None:
    waits = [backoff(attempt, 0.5) for attempt in range(1, 9)]

    assert waits == [timedelta(minutes=m) for m in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert backoff(1, 0.0) == timedelta(seconds=45)
    assert backoff(1, 1.0) == timedelta(seconds=75)


def test_a_claimed_mail_is_claimed_by_nobody_else() -> None:
    make_recipient()
    tell(make_incident())

    first = batches.claim(after(30))

    assert first is not None
    assert batches.claim(after(31)) is None
    again = batches.claim(after(30) + batches.LEASE)
    assert again is not None
    assert again.id == first.id


def test_news_that_may_have_arrived_is_followed_by_its_recovery(
    mailbox: Mailbox,
) -> None:
    make_recipient()
    incident = tell(make_incident())
    assert batches.claim(after(30)) is not None
    lifecycle.resolve(incident, after(60))

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


def test_a_server_that_hangs_costs_an_attempt_and_no_mail(
    settings: Settings, mailbox: Mailbox
) -> None:
    """A-73. It takes the connection and never greets."""
    make_recipient()
    tell(make_incident())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = silent.getsockname()[1], 0.2
        assert deliver(after(WAIT_S)) == 0
    row = Notification.objects.get()
    assert (row.state, row.attempts, row.leased_until) == ("queued", 1, None)
    assert row.last_error

    settings.EMAIL_PORT = mailbox.port
    assert deliver(row.due_at) == 1
    assert len(mailbox.messages) == 1


def test_what_ended_while_the_server_was_away_is_told_once(mailbox: Mailbox) -> None:
    """A-73: an outage that took the mail server along is heard of when it is back."""
    make_recipient()
    incident = tell(make_incident())
    mailbox.rcpt = "450 4.3.0 Try again later"
    deliver(after(WAIT_S), draw=lambda: 0.5)
    lifecycle.resolve(incident, after(60))
    mailbox.rcpt = "250 OK"

    assert deliver(after(100)) == 1
    assert deliver(after(9000)) == 0

    (only,) = mailbox.messages
    assert only["Subject"].startswith("[Gatewatch] RESOLVED")
    assert Notification.objects.get().change == Change.MISSED


def test_what_ended_while_no_mail_got_through_is_told_once(mailbox: Mailbox) -> None:
    """A-73: an hour later one mail tells of both, in the thread that may be there."""
    make_recipient()
    incident = tell(make_incident())
    mailbox.drop_after_data = True
    deliver(after(WAIT_S), draw=lambda: 0.5)
    mailbox.drop_after_data = False
    maybe = mailbox.messages.pop()
    lifecycle.resolve(incident, after(3500))

    assert deliver(after(3700)) == 1
    assert deliver(after(9000)) == 0

    (only,) = mailbox.messages
    assert only["Subject"].startswith("[Gatewatch] RESOLVED")
    assert only["In-Reply-To"] == maybe["Message-ID"]
    assert states() == ["dropped", "sent"]


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
        assert batches.claim(after(60)) is not None
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
