"""The page of channels, and the banner that says that nothing gets through."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.alerts.models import (
    Change,
    Channel,
    ChannelKind,
    Delivery,
    Notification,
)
from dashboard.web.pages import channels
from tests.alerts.conftest import make_incident, make_recipient, tell
from tests.factories import NOW
from tests.web.people import person

pytestmark = pytest.mark.django_db
SECRET = "correct horse battery"


def add(client: Client, **fields: object) -> str:
    told = {
        "name": "Pager",
        "kind": "webhook",
        "address": "https://hooks.example/T0/B0xyz",
        "secret": SECRET,
        **fields,
    }
    return client.post("/channels/", told, follow=True).content.decode()


def test_a_channel_is_kept_sealed_and_never_shown(admin_page: Client) -> None:
    shown = add(admin_page)

    channel = Channel.objects.get()
    assert "https://hooks.example/…" in shown
    assert "Pager is told from now on" in shown
    page = admin_page.get("/channels/").content.decode()
    for secret in ("B0xyz", SECRET):
        assert secret not in page
        assert secret not in str(vars(channel))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"address": "ftp://hooks.example"}, "Write https://HOST/PATH"),
        ({"address": "https://user:pw@hooks.example"}, "without a log-in"),
        ({"address": "http://127.0.0.1/x"}, "private or loopback"),
        ({"address": "http://[::ffff:10.0.0.1]/x"}, "private or loopback"),
        (
            {"address": "http://169.254.169.254/", "allow_private": "on"},
            "metadata service",
        ),
        ({"secret": "short"}, "At least 16 characters"),
        ({"kind": "slack"}, "Only signed webhooks have one"),
        ({"kind": "apprise", "secret": ""}, "pip install apprise"),
    ],
)
def test_what_cannot_be_posted_to_is_refused(
    admin_page: Client, fields: dict[str, str], complaint: str
) -> None:
    assert complaint in add(admin_page, **fields)
    assert not Channel.objects.exists()


def test_a_channel_is_switched_off_and_deleted(admin_page: Client) -> None:
    add(admin_page)
    pk = Channel.objects.get().pk

    for to in ("off", "off", "on", "off"):
        admin_page.post(f"/channels/{pk}/switch/", {"to": to})
        assert Channel.objects.get().enabled is (to == "on")
    admin_page.post(f"/channels/{pk}/delete/")
    assert not Channel.objects.exists()


def test_a_test_that_fails_says_why(admin_page: Client) -> None:
    add(admin_page, address="http://127.0.0.1:9/", allow_private="on")
    pk = Channel.objects.get().pk

    shown = admin_page.post(f"/channels/{pk}/test/", follow=True).content.decode()

    assert "It was not taken: Connection refused." in shown


def test_every_page_says_that_alarms_do_not_get_through(
    admin_page: Client, admin: User
) -> None:
    """A-75: it cannot be mailed, so it is shown; to those who can mend it."""
    make_recipient()
    tell(make_incident())
    assert "do not get through" not in admin_page.get("/teams/").content.decode()

    Notification.objects.update(state=Delivery.DEAD)
    shown = admin_page.get("/teams/").content.decode()
    assert "Alarms do not get through:</b> 1 was given up" in shown
    assert "do not get through" not in person("bob").client.get("/").content.decode()

    admin_page.post(f"/mail/{Notification.objects.get().pk}/retry/")
    assert Notification.objects.get().due_at == NOW
    assert "do not get through" not in admin_page.get("/teams/").content.decode()


def test_the_banner_tells_how_long_mails_wait_in_vain(
    admin_page: Client, settings: Settings
) -> None:
    make_recipient()
    tell(make_incident())
    Notification.objects.update(created_at=NOW.replace(hour=9), attempts=7)

    shown = admin_page.get("/teams/").content.decode()

    assert "1 message waits, the oldest for 3 h" in shown


@pytest.mark.parametrize(("minutes", "is_told"), [(20, False), (26, True)])
def test_a_mail_that_is_paced_is_not_told_as_stuck(
    admin_page: Client, minutes: int, *, is_told: bool
) -> None:
    """Who has got many mails in an hour gets the rest a quarter of an hour later."""
    make_recipient()
    tell(make_incident())
    due = NOW - timedelta(minutes=minutes)
    Notification.objects.update(created_at=due, due_at=due)

    shown = admin_page.get("/teams/").content.decode()

    assert ("do not get through" in shown) is is_told


def test_a_channel_counts_what_waits_and_the_last_30_days(admin_page: Client) -> None:
    add(admin_page)
    for days, state in ((40, "queued"), (40, "dead"), (20, "dead"), (40, "sent")):
        at = NOW - timedelta(days=days)
        Notification.objects.create(
            channel=ChannelKind.WEBHOOK,
            recipient=Channel.objects.get().name,
            change=Change.OPENED,
            incident=make_incident(),
            state=state,
            created_at=at,
            due_at=at,
            sent_at=at if state == "sent" else None,
        )

    (row,) = channels.rows(NOW)

    assert row.waiting == "1 waiting, the oldest 40 d ago, 1 given up in 30 days"
    assert "nothing in 30 days" in row.taken
