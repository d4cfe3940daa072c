"""The outbox: what waits, what was given up, and the test mail."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core import mail as outgoing
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from dashboard.alerts.models import (
    Change,
    Delivery,
    Notification,
)
from tests.alerts.conftest import make_incident
from tests.factories import (
    NOW,
)
from tests.web.looking import HOSTILE, page

pytestmark = pytest.mark.django_db


class TestMail:
    def queued(self, **fields: object) -> Notification:
        defaults = {
            "incident": make_incident(),
            "change": Change.OPENED,
            "recipient": "ops@example.com",
            "created_at": NOW,
            "due_at": NOW,
        }
        return Notification.objects.create(**{**defaults, **fields})

    def test_a_dead_mail_can_be_tried_again(self, admin_page: Client) -> None:
        dead = self.queued(state=Delivery.DEAD, attempts=9, last_error="550 no")

        assert "550 no" in page(admin_page, "mail")
        admin_page.post(reverse("retry", args=[dead.pk]))

        dead.refresh_from_db()
        assert (dead.state, dead.attempts) == (Delivery.QUEUED, 0)

    def test_a_mail_that_the_cap_holds_says_so(self, admin_page: Client) -> None:
        """A-74."""
        self.queued(held_at=NOW)

        assert "held for a digest" in page(admin_page, "mail")

    def test_mails_stand_in_the_order_of_their_times_and_name_their_incidents(
        self, admin_page: Client
    ) -> None:
        """A recovery may be written while the news of another waits to go."""
        late = NOW + timedelta(minutes=5)
        batch = uuid4()
        sent = {"state": Delivery.SENT, "subject": "late", "batch": batch}
        for place in range(7):
            incident = make_incident(summary=f"Alarm {place}")
            self.queued(**sent, sent_at=late, incident=incident)
            if not place:
                self.queued(created_at=NOW + timedelta(minutes=4))

        rows = admin_page.get(reverse("mail")).context["page"].rows

        assert [row.subject == "late" for row in rows] == [True, False]
        assert [link.word for link in rows[0].incidents][:2] == ["Alarm 6", "Alarm 5"]
        text = page(admin_page, "mail")
        assert "Alarm 2</a> and 2 more" in text

    def test_a_sent_mail_can_be_read(self, admin_page: Client) -> None:
        self.queued(state=Delivery.SENT, subject="It broke", body=HOSTILE)

        text = page(admin_page, "mail")

        assert "It broke" in text
        assert HOSTILE not in text

    def test_without_a_mail_server_it_says_so(
        self, admin_page: Client, settings: Settings
    ) -> None:
        settings.EMAIL_CONFIGURED = False

        text = page(admin_page, "mail")

        assert "Mail is not set up" in text
        assert "EMAIL_URL=submission://" in text
        assert "Send a test" not in text

    def test_with_nothing_waiting_nothing_is_the_oldest(
        self, admin_page: Client
    ) -> None:
        self.queued(state=Delivery.SENT)

        assert "the oldest from" not in page(admin_page, "mail")

    def test_the_demo_does_not_tell_of_a_mail_server(
        self, admin_page: Client, settings: Settings
    ) -> None:
        settings.DEMO = True

        response = admin_page.post(
            reverse("test_mail"), {"to": "me@example.com"}, follow=True
        )

        assert "The demo sends nothing" in response.content.decode()

    def test_a_test_mail_goes_out(self, admin_page: Client) -> None:
        response = admin_page.post(
            reverse("test_mail"), {"to": "me@example.com"}, follow=True
        )

        assert "took it" in response.content.decode()
        assert outgoing.outbox[0].to == ["me@example.com"]

    def test_a_wrong_address_is_refused(self, admin_page: Client) -> None:
        response = admin_page.post(
            reverse("test_mail"), {"to": "a@b\nBcc: c@d"}, follow=True
        )

        assert "not a mail address" in response.content.decode()
        assert not outgoing.outbox

    def test_it_says_when_nobody_would_be_told(
        self, admin_page: Client, admin: User
    ) -> None:
        assert "Nobody is told" not in page(admin_page, "mail")

        User.objects.filter(pk=admin.pk).update(email="")

        assert "Nobody is told" in page(admin_page, "mail")
