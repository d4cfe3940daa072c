"""Each one's own regular mails, and the link that ends them."""

from datetime import date

import pytest
from django.contrib.auth.models import User
from django.forms import Select
from django.test import Client
from django.test.html import parse_html
from django.urls import reverse
from pytest_django import Settings

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Change, Notification, Subscription
from dashboard.alerts.regular import unsubscribe_token
from dashboard.web.mail_forms import PlainSelect, PreferencesForm
from tests.factories import NOW, make_team
from tests.web.people import at_once, person

pytestmark = pytest.mark.django_db


def test_each_one_chooses_for_himself() -> None:
    bob = person("bob").client
    person("carol")
    told = {"weekly": "on", "time_zone": "Europe/Berlin", "hour": "6"}

    shown = bob.post("/preferences/", told, follow=True).content.decode()

    kept = Subscription.objects.get()
    assert (kept.user.username, kept.daily, kept.weekly) == ("bob", False, True)
    assert (kept.time_zone, kept.hour) == ("Europe/Berlin", 6)
    assert "bob@example.com" in shown
    assert "None comes before a team is shared with you." in shown


def test_what_is_asked_for_after_its_hour_begins_with_the_next() -> None:
    """It is Monday noon: this morning's mails were asked for by nobody."""
    bob = person("bob", make_team()).client
    told = {"daily": "on", "time_zone": "UTC", "hour": "8"}

    late = bob.post("/preferences/", told, follow=True).content.decode()
    again = bob.post("/preferences/", told, follow=True).content.decode()
    told["weekly"] = "on"
    weekly = bob.post("/preferences/", told, follow=True).content.decode()
    early = person("eve", make_team()).client
    told["hour"] = "13"
    soon = early.post("/preferences/", told, follow=True).content.decode()

    assert "Saved. The first comes on Tuesday, 3 March, from 08:00 on (UTC)." in late
    assert "The first" not in again
    assert "The first comes on Monday, 9 March" in weekly
    assert "The first comes on Monday, 2 March, from 13:00 on" in soon
    kept = Subscription.objects.get(user__username="bob")
    assert kept.daily_from == kept.weekly_from == date(2026, 3, 3)


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_at_once_is_kept_once() -> None:
    bob = person("bob").client
    told = {"daily": "on", "time_zone": "UTC", "hour": "6"}

    def send() -> int:
        return bob.post("/preferences/", told).status_code

    assert at_once(*[send] * 4) == [302] * 4
    assert Subscription.objects.get().daily


@pytest.mark.parametrize(
    "told",
    [{"time_zone": "Mars/Olympus", "hour": "6"}, {"time_zone": "UTC", "hour": "24"}],
)
def test_a_zone_or_an_hour_that_is_none_is_refused(told: dict[str, str]) -> None:
    assert person("bob").client.post("/preferences/", told).status_code == 200
    assert not Subscription.objects.exists()


def test_the_zones_are_the_same_list_without_a_template_for_each() -> None:
    widget = PreferencesForm.base_fields["time_zone"].widget
    assert isinstance(widget, PlainSelect)
    choices = list(widget.choices)
    common = Select(choices=choices)
    attrs = {"id": "id_time_zone"}

    plain = widget.render("time_zone", "Europe/Berlin", attrs)

    assert plain.count(" selected>") == 1
    assert parse_html(plain) == parse_html(
        common.render("time_zone", "Europe/Berlin", attrs)
    )


def link(change: Change = Change.DAILY) -> str:
    user = User.objects.create_user("rita", "rita@example.org")
    Subscription.objects.create(user=user, daily=True, weekly=True)
    return reverse("unsubscribe", args=[unsubscribe_token(user, change)])


def test_looking_at_the_link_changes_nothing_and_a_post_ends_it() -> None:
    """Programs look at links before people do; a mail program posts without a form."""
    address = link()
    stranger = Client(enforce_csrf_checks=True)

    assert b"No more daily digest?" in stranger.get(address).content
    assert Subscription.objects.get().daily

    told = {"List-Unsubscribe": "One-Click"}
    assert b"You get it no more" in stranger.post(address, told).content
    kept = Subscription.objects.get()
    assert (kept.daily, kept.weekly) == (False, True)


def test_a_link_that_was_changed_leads_nowhere(client: Client) -> None:
    address = link(Change.WEEKLY)

    assert client.post(f"{address[:-3]}xx/").status_code == 404
    assert Subscription.objects.get().weekly


def test_the_mail_page_tells_how_the_self_test_fared(
    admin_page: Client, settings: Settings
) -> None:
    """A-82: on demand, and its arrival is kept and shown."""
    assert "never ran" in admin_page.get("/mail/").content.decode()

    shown = admin_page.post("/mail/self-test/", follow=True).content.decode()
    assert "On its way" in shown
    assert "on its way" in shown

    deliver(NOW)
    shown = admin_page.get("/mail/").content.decode()
    assert "from the rule to the mail server in 0 s" in shown
    Notification.objects.update(sent_at=NOW.replace(day=1, hour=0))
    assert ">old<" in admin_page.get("/mail/").content.decode().replace(" ", "")
