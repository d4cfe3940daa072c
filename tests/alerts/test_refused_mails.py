"""What becomes of a mail that its server refuses, holds up or never answers."""

import socket
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pytest_django import Settings

from dashboard.alerts import lifecycle
from dashboard.alerts.delivery import backoff, deliver
from dashboard.alerts.models import (
    Change,
    Delivery,
    Notification,
    Recipient,
    Subscription,
)
from dashboard.alerts.queries import outbox_state
from dashboard.alerts.regular import queue_due, queue_self_test
from tests.alerts.conftest import after, make_incident, make_recipient, states, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import NOW, make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db


WAIT_S = 30


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
    lifecycle.resolve([incident], after(60))
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
    lifecycle.resolve([outage], after(90))
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
    lifecycle.resolve([incident], after(60))
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
    lifecycle.resolve([incident], after(3500))

    assert deliver(after(3700)) == 1
    assert deliver(after(9000)) == 0

    (only,) = mailbox.messages
    assert only["Subject"].startswith("[Gatewatch] RESOLVED")
    assert only["In-Reply-To"] == maybe["Message-ID"]
    assert states() == ["dropped", "sent"]
