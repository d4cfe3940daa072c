"""The pages of teams and incidents."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import (
    Change,
    Delivery,
    Notification,
    RuleKind,
)
from dashboard.probes.services import pause
from dashboard.teams.keys import set_key
from tests.factories import (
    NOW,
    make_gateway,
    make_incident,
    make_probe,
    make_reading,
    make_team,
)
from tests.web.looking import CANARY, HOSTILE, page

pytestmark = pytest.mark.django_db


class TestTeams:
    def test_a_team_tells_its_credits_and_its_key_by_its_end_only(
        self, admin_page: Client
    ) -> None:
        team = make_team(name=HOSTILE)
        set_key(team, CANARY, NOW)
        make_reading(team, -120, remaining=120.0)

        text = page(admin_page, "team", team.pk)

        assert "12 % left (120 of 1,000 credits)" in text
        assert "120 s ago" in text or "2 min ago" in text
        assert "too few readings" in text
        assert "••••tail" in text
        assert CANARY not in text
        assert HOSTILE not in text

    def test_a_team_without_key_says_what_waits_for_one(
        self, admin_page: Client
    ) -> None:
        text = page(admin_page, "team", make_team().pk)

        assert "balance and job probes wait for one" in text
        assert "no reading yet" in text

    def test_unknown_credits_are_not_zero(self, admin_page: Client) -> None:
        team = make_team()
        make_reading(team, remaining=None, allocated=None)

        assert "unknown" in page(admin_page, "team", team.pk)

    def test_the_team_that_runs_out_first_is_first(self, admin_page: Client) -> None:
        for name, left in (("Rich", 900.0), ("Poor", 10.0)):
            make_reading(make_team(name=name), remaining=left)

        text = page(admin_page, "teams")

        assert text.index("Poor") < text.index("Rich")

    def test_one_whose_watching_is_paused_is_not_as_it_was_told(
        self, admin_page: Client
    ) -> None:
        """For three minutes it was "active, enough", with all its probes off."""
        team = make_team(status="active", status_at=NOW)
        make_probe(team, last_at=NOW)
        make_reading(team)
        assert "not watched" not in page(admin_page, "teams")

        pause(team, NOW)

        for text in (
            page(admin_page, "teams"),
            page(admin_page, "team", team.pk),
            page(admin_page, "admin:teams_team_changelist"),
        ):
            assert "not watched" in text
            assert "when last asked: active" in text
            assert ">enough" not in text
        assert "no probe asks for them" in page(admin_page, "teams")

    def test_the_timeline_has_notes_and_mails(
        self, admin_page: Client, admin: User
    ) -> None:
        incident = make_incident(resolved_at=NOW)
        Notification.objects.create(
            incident=incident,
            change=Change.OPENED,
            recipient="ops@example.com",
            state=Delivery.SENT,
            created_at=NOW,
            due_at=NOW,
            sent_at=NOW,
        )
        address = reverse("note", args=[incident.pk])

        admin_page.post(address, {"text": f"  Restarted the proxy {HOSTILE} "})
        admin_page.post(address, {"text": "  "})

        assert incident.events.count() == 1
        text = page(admin_page, "incident", incident.pk)
        assert "Restarted the proxy" in text
        assert "opened, to ops@example.com" in text
        assert HOSTILE not in text

    def test_an_incident_names_what_it_speaks_for(self, admin_page: Client) -> None:
        greater = make_incident(summary="The gateway is down")
        make_incident(summary="A probe fails", inhibited_by=greater)

        assert "A probe fails" in page(admin_page, "incident", greater.pk)

    @pytest.mark.parametrize("number", [3, 30])
    def test_the_list_asks_a_constant_number_of_queries(
        self,
        admin_page: Client,
        number: int,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        gateway = make_gateway()
        for _ in range(number):
            make_reading(make_team(gateway))

        with django_assert_max_num_queries(11):
            page(admin_page, "teams")


class TestIncidents:
    def test_open_ones_come_first(self, admin_page: Client) -> None:
        make_incident(summary="Old and over", resolved_at=NOW)
        make_incident(summary="Still on", opened_at=NOW - timedelta(days=3))

        text = page(admin_page, "incidents")

        assert text.index("Still on") < text.index("Old and over")
        assert "Old and over" not in page(admin_page, "incidents", query="?state=open")

    def test_one_tells_its_evidence_and_who_was_told(self, admin_page: Client) -> None:
        incident = make_incident(
            value=0.5,
            limit=0.2,
            samples=90,
            error_class="server_error",
            evidence={"classes": {"server_error": 45}, "details": [HOSTILE]},
        )
        Notification.objects.create(
            incident=incident,
            change=Change.OPENED,
            recipient="ops@example.com",
            state=Delivery.SENT,
            created_at=NOW,
            due_at=NOW,
            sent_at=NOW,
        )

        text = page(admin_page, "incident", incident.pk)

        assert "50 %" in text
        assert "limit 20 %" in text
        assert "ops@example.com" in text
        assert HOSTILE not in text

    def test_a_value_is_told_in_its_unit(self, admin_page: Client) -> None:
        low = make_incident(kind=RuleKind.CREDITS, value=1200.0, limit=2000.0)
        down = make_incident(kind=RuleKind.GATEWAY_DOWN, value=0.75, limit=0.5)

        left, share = (page(admin_page, "incident", i.pk) for i in (low, down))

        assert "1,200 credits" in left
        assert "limit 2,000 credits" in left
        assert "75 %" in share
        assert "limit 50 %" in share

    def test_the_first_to_acknowledge_stays_named(
        self, admin_page: Client, admin: User
    ) -> None:
        incident = make_incident()
        address = reverse("acknowledge", args=[incident.pk])

        admin_page.post(address)
        other = Client()
        other.force_login(User.objects.create_superuser("second"))
        other.post(address)

        incident.refresh_from_db()
        assert incident.acknowledged_by == admin
        assert "Acknowledged by root" in page(admin_page, "incident", incident.pk)

    @pytest.mark.parametrize("number", [3, 30])
    def test_the_list_asks_a_constant_number_of_queries(
        self,
        admin_page: Client,
        number: int,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for _ in range(number):
            make_incident(team=make_team())

        with django_assert_max_num_queries(6):
            page(admin_page, "incidents")

    @pytest.mark.parametrize("query", ["?page=2", "?page=-1", "?page=x", "?state=x"])
    def test_odd_addresses_are_answered(self, admin_page: Client, query: str) -> None:
        page(admin_page, "incidents", query=query)
