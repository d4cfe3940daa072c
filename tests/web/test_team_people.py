"""Managers say who sees their team and who is told of it."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from dashboard.alerts.models import Recipient
from dashboard.teams.models import AuditEntry, Membership, Role, Team
from dashboard.web.members import MOST_NAMED
from tests.factories import make_team
from tests.web.people import person, send

pytestmark = pytest.mark.django_db


class TestPeople:
    def test_a_member_is_added_by_name_and_by_address(
        self, alice: Client, team: Team
    ) -> None:
        User.objects.create_user("bob", "bob@example.com")
        send(alice, team, "member", user="bob", role=Role.VIEWER)
        send(alice, team, "member", user="BOB@example.com", role=Role.OPERATOR)

        assert Membership.objects.get(user__username="bob").role == Role.OPERATOR

    @pytest.mark.parametrize("told", ["nobody", "shared@example.com", "gone"])
    def test_who_is_nobody_or_two_or_switched_off_is_not_added(
        self, told: str, alice: Client, team: Team
    ) -> None:
        User.objects.create_user("one", "shared@example.com")
        User.objects.create_user("two", "shared@example.com")
        User.objects.create_user("gone", is_active=False)

        assert "No account, or more" in send(
            alice, team, "member", user=told, role="viewer"
        )
        assert Membership.objects.count() == 1

    def test_going_through_a_list_of_names_ends_soon(
        self, alice: Client, admin_page: Client, team: Team
    ) -> None:
        """C-20: a manager finds out about few accounts an hour, found or not."""
        User.objects.create_user("bob", "bob@example.com")
        User.objects.create_user("carol")
        send(alice, team, "member", user="bob", role=Role.VIEWER)
        for number in range(MOST_NAMED - 1):
            send(alice, team, "member", user=f"guess{number}", role=Role.VIEWER)

        known = send(alice, team, "member", user="carol", role=Role.VIEWER)
        unknown = send(alice, team, "member", user="nobody", role=Role.VIEWER)

        assert "named many people" in known
        assert "named many people" in unknown
        assert not Membership.objects.filter(user__username="carol").exists()
        assert not AuditEntry.objects.filter(subject__contains="guess").exists()
        # Who is on the team already gets another role; a site administrator goes on.
        send(alice, team, "member", user="bob", role=Role.OPERATOR)
        assert Membership.objects.get(user__username="bob").role == Role.OPERATOR
        send(admin_page, team, "member", user="carol", role=Role.VIEWER)
        assert Membership.objects.filter(user__username="carol").exists()

    def test_a_name_with_a_role_that_there_is_not_is_counted_too(
        self, alice: Client, team: Team
    ) -> None:
        """C-20: its answer says who is here, and else would be asked without end."""
        User.objects.create_user("bob")
        for _ in range(MOST_NAMED):
            assert "No account, or more" not in send(alice, team, "member", user="bob")

        assert "named many people" in send(alice, team, "member", user="bob")
        noted = AuditEntry.objects.filter(subject="bob", detail="not added")
        assert set(noted.values_list("team_pk", flat=True)) == {team.pk}
        assert noted.count() == MOST_NAMED

    def test_the_last_manager_stays(self, alice: Client, team: Team) -> None:
        own = Membership.objects.get()

        gone = send(alice, team, "drop_member", pk=own.pk)
        lowered = send(alice, team, "member", user="alice", role=Role.VIEWER)

        assert "keeps one manager" in gone
        assert "keeps one manager" in lowered
        assert Membership.objects.get().role == Role.MANAGER

    def test_a_member_of_another_team_is_out_of_reach(
        self, alice: Client, team: Team
    ) -> None:
        """C-07."""
        person("bob", make_team())
        theirs = Membership.objects.get(user__username="bob")
        address = reverse("team_settings", args=[team.pk])
        forged = {"part": "drop_member", "pk": theirs.pk}

        assert alice.post(address, forged).status_code == 404
        assert Membership.objects.filter(pk=theirs.pk).exists()

    @pytest.mark.parametrize(("shared", "left"), [(False, 1), (True, 2)])
    def test_who_is_no_member_any_more_is_not_mailed_either(
        self, alice: Client, team: Team, *, shared: bool, left: int
    ) -> None:
        """C-17: what a team's mails tell is not for who has left it."""
        person("bob", team)
        User.objects.filter(username="bob").update(email="Bob@example.com")
        if shared:
            person("ben", team)
            User.objects.filter(username="ben").update(email="bob@example.com")
        for email in ("bob@example.com", "alice@example.com"):
            Recipient.objects.create(email=email, gateway=team.gateway, team=team)

        own = Membership.objects.get(user__username="bob")
        text = send(alice, team, "drop_member", pk=own.pk)

        assert "does not see" in text
        assert Recipient.objects.count() == left

    def test_only_members_are_mailed(self, alice: Client, team: Team) -> None:
        """C-17: nobody can have strangers mailed."""
        refused = send(alice, team, "recipient", email="victim@example.com")
        send(alice, team, "recipient", email="alice@example.com")

        assert Recipient.objects.get().email == "alice@example.com"
        assert Recipient.objects.get().team == team
        assert "Select a valid choice" in refused

    def test_a_recipient_goes_and_others_are_out_of_reach(
        self, alice: Client, team: Team
    ) -> None:
        own = Recipient.objects.create(
            email="alice@example.com", gateway=team.gateway, team=team
        )
        wide = Recipient.objects.create(email="root@example.com")
        address = reverse("team_settings", args=[team.pk])

        send(alice, team, "drop_recipient", pk=own.pk)
        forged = {"part": "drop_recipient", "pk": wide.pk}

        assert alice.post(address, forged).status_code == 404
        assert Recipient.objects.get() == wide
