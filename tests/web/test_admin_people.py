"""The admin: who comes to teams, who leaves them, and who is mailed."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.alerts.models import Change, Notification, Recipient
from dashboard.teams.models import AuditEntry, Membership
from dashboard.teams.reach import teams
from tests.factories import NOW, make_team

pytestmark = pytest.mark.django_db

NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
LEAVING: dict[str, tuple[str, dict[str, object]]] = {
    "members": ("teams/membership/{held}/delete/", {"post": "yes"}),
    "many members": (
        "teams/membership/",
        {"action": "delete_selected", "_selected_action": "{held}", "post": "yes"},
    ),
    "the team": (
        "teams/team/{team}/change/",
        {
            "team_id": "acme",
            "memberships-TOTAL_FORMS": 1,
            "memberships-INITIAL_FORMS": 1,
            "memberships-0-id": "{held}",
            "memberships-0-user": "{user}",
            "memberships-0-role": "viewer",
            "memberships-0-DELETE": "on",
        },
    ),
    "users": ("auth/user/{user}/delete/", {"post": "yes"}),
    "many users": (
        "auth/user/",
        {"action": "delete_selected", "_selected_action": "{user}", "post": "yes"},
    ),
    "a user who is switched off": (
        "auth/user/{user}/change/",
        {"username": "bob", "email": "bob@example.com", **NO_MEMBERS},
    ),
    "a user whose team is taken": (
        "auth/user/{user}/change/",
        {
            "username": "bob",
            "email": "bob@example.com",
            "is_active": "on",
            "memberships-TOTAL_FORMS": 1,
            "memberships-INITIAL_FORMS": 1,
            "memberships-0-id": "{held}",
            "memberships-0-team": "{team}",
            "memberships-0-role": "viewer",
            "memberships-0-DELETE": "on",
        },
    ),
    "a user who is given another team": (
        "auth/user/{user}/change/",
        {
            "username": "bob",
            "email": "bob@example.com",
            "is_active": "on",
            "memberships-TOTAL_FORMS": 1,
            "memberships-INITIAL_FORMS": 1,
            "memberships-0-id": "{held}",
            "memberships-0-team": "{other}",
            "memberships-0-role": "viewer",
        },
    ),
}


@pytest.mark.parametrize("where", LEAVING)
def test_who_leaves_a_team_is_not_mailed_of_it_any_more(
    admin_page: Client, where: str
) -> None:
    """C-17, C-18: wherever a site administrator removes him."""
    team = make_team(team_id="acme")
    bob = User.objects.create_user("bob", "bob@example.com")
    held = Membership.objects.create(user=bob, team=team)
    for email in ("Bob@example.com", "ops@example.com"):
        Recipient.objects.create(email=email, gateway=team.gateway, team=team)
    pks = {"team": team.pk, "user": bob.pk, "held": held.pk, "other": make_team().pk}
    place, sent = LEAVING[where]
    fields = {name: str(value).format(**pks) for name, value in sent.items()}

    answer = admin_page.post(f"/admin/{place.format(**pks)}", fields)

    assert answer.status_code == 302
    assert Recipient.objects.get().email == "ops@example.com"
    line = AuditEntry.objects.get(action="recipient")
    assert (line.subject, line.detail) == ("Bob@example.com", "removed")
    left = AuditEntry.objects.filter(detail="not a member now")
    named = [("bob", team.pk)] if "memberships-0-id" in sent else []
    assert list(left.values_list("subject", "team_pk")) == named


@pytest.mark.parametrize("where", ["the team", "a user whose team is taken"])
def test_who_was_removed_since_the_page_was_opened_is_gone_already(
    admin_page: Client, where: str
) -> None:
    """C-19: a manager was quicker than the administrator, whose page said nothing of it."""
    team = make_team(team_id="acme")
    bob = User.objects.create_user("bob", "bob@example.com")
    held = Membership.objects.create(user=bob, team=team)
    pks = {"team": team.pk, "user": bob.pk, "held": held.pk}
    held.delete()
    place, sent = LEAVING[where]
    fields = {name: str(value).format(**pks) for name, value in sent.items()}

    answer = admin_page.post(f"/admin/{place.format(**pks)}", fields)

    assert answer.status_code == 302
    assert not AuditEntry.objects.filter(action="member").exists()


def test_somebody_comes_with_his_teams_in_one_form(admin_page: Client) -> None:
    """C-17: he sees those two only, and each has its line in the log."""
    first, second, third = (make_team(team_id=f"team-{place}") for place in "abc")
    sent = {
        "username": "vera",
        "email": "vera@example.com",
        **dict.fromkeys(["password1", "password2"], "correct horse battery"),
        "memberships-TOTAL_FORMS": 2,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-team": first.pk,
        "memberships-0-role": "viewer",
        "memberships-1-team": second.pk,
        "memberships-1-role": "operator",
    }

    answer = admin_page.post("/admin/auth/user/add/", sent)

    assert answer.status_code == 302
    vera = User.objects.get(email="vera@example.com")
    assert set(teams(vera)) == {first, second}
    lines = AuditEntry.objects.filter(action="member").order_by("team_pk")
    assert [(line.subject, line.team_pk, line.detail) for line in lines] == [
        ("vera", first.pk, "now viewer"),
        ("vera", second.pk, "now operator"),
    ]
    assert third not in teams(vera)


def test_a_name_adds_nothing_to_what_was_done(admin_page: Client) -> None:
    """C-15, C-18: Django tells of a member by his team's name, in quotation marks."""
    team = make_team(name="A”. Changed Superuser status. Added membership “b")
    vera = User.objects.create_user("vera")
    sent = {
        "team_id": team.team_id,
        "name": team.name,
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": vera.pk,
        "memberships-0-role": "viewer",
    }

    admin_page.post(f"/admin/teams/team/{team.pk}/change/", sent)

    line = AuditEntry.objects.get(action="team")
    assert re.fullmatch("[^“”]*“vera: viewer of [^“”]*”[.]", line.detail)


def test_a_long_name_leaves_no_new_member_untold(admin_page: Client) -> None:
    """C-18: Django's one line of all members has the team's name with each."""
    team, told = make_team(name="A" * 120), ["ann", "bob", "vera"]
    sent = {
        "team_id": team.team_id,
        "name": team.name,
        "memberships-TOTAL_FORMS": len(told),
        "memberships-INITIAL_FORMS": 0,
    }
    for place, name in enumerate(told):
        sent[f"memberships-{place}-user"] = User.objects.create_user(name).pk
        sent[f"memberships-{place}-role"] = "manager"

    admin_page.post(f"/admin/teams/team/{team.pk}/change/", sent)

    lines = AuditEntry.objects.filter(action="member", team_pk=team.pk)
    assert sorted((line.subject, line.detail) for line in lines) == [
        (name, "now manager") for name in told
    ]


@pytest.mark.parametrize("lost", ["is_active", "is_staff", "is_superuser"])
def test_the_last_site_administrator_stays_one(
    admin_page: Client, admin: User, lost: str
) -> None:
    """C-08: nobody could make another, and the set-up link is closed."""
    rights = dict.fromkeys(("is_active", "is_staff", "is_superuser"), "on")
    sent = {"username": "root", **rights, **NO_MEMBERS}
    del sent[lost]
    User.objects.create_superuser("away", is_active=False)

    refused = admin_page.post(f"/admin/auth/user/{admin.pk}/change/", sent)

    assert "make somebody else a site administrator first" in refused.content.decode()
    admin_page.post(f"/admin/auth/user/{admin.pk}/delete/", {"post": "yes"})
    admin.refresh_from_db()
    assert getattr(admin, lost)

    User.objects.update(is_active=True)
    admin_page.post(f"/admin/auth/user/{admin.pk}/change/", sent)

    admin.refresh_from_db()
    assert not getattr(admin, lost)


def test_two_who_share_an_address_are_not_mailed_when_both_are_deleted(
    admin_page: Client,
) -> None:
    """C-17."""
    team, users = make_team(), [User.objects.create_user(n, "x@x.org") for n in "ab"]
    for user in users:
        Membership.objects.create(user=user, team=team)
    Recipient.objects.create(email="x@x.org", gateway=team.gateway, team=team)
    chosen = {"_selected_action": [user.pk for user in users], "post": "yes"}

    admin_page.post("/admin/auth/user/", {"action": "delete_selected", **chosen})

    assert not User.objects.filter(email="x@x.org").exists()
    assert not Recipient.objects.exists()


def test_somebody_who_was_mailed_a_report_can_be_deleted(admin_page: Client) -> None:
    """C-17."""
    bob = User.objects.create_user("bob", "bob@example.com")
    Notification.objects.create(
        user=bob,
        change=Change.DAILY,
        recipient=bob.email,
        created_at=NOW,
        due_at=NOW,
    )

    admin_page.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})

    assert not User.objects.filter(username="bob").exists()
    assert not Notification.objects.exists()


@pytest.mark.parametrize("email", ["new@example.com", ""])
def test_mails_follow_somebody_to_his_new_address(
    admin_page: Client, email: str
) -> None:
    """C-17: the old one would be mailed on when he has left."""
    team = make_team()
    bob = User.objects.create_user("bob", "bob@example.com")
    Membership.objects.create(user=bob, team=team)
    Recipient.objects.create(email="Bob@example.com", gateway=team.gateway, team=team)
    fields = {"username": "bob", "email": email, "is_active": "on", **NO_MEMBERS}

    admin_page.post(f"/admin/auth/user/{bob.pk}/change/", fields)

    told = [(each.email, each.team) for each in Recipient.objects.all()]
    assert told == ([(email, team)] if email else [])
    lines = AuditEntry.objects.filter(action="recipient").order_by("pk")
    moved = [("Bob@example.com", "removed"), *([(email, "added")] if email else [])]
    assert list(lines.values_list("subject", "detail")) == moved


def test_it_is_said_where_somebody_who_is_deleted_is_mailed_still(
    admin_page: Client,
) -> None:
    """C-17: an address that is told of everything may be nobody's own."""
    bob = User.objects.create_user("bob", "bob@example.com", is_staff=True)
    Recipient.objects.create(email="bob@example.com")

    answer = admin_page.post(
        f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"}, follow=True
    )

    assert "Alarms are still mailed to bob@example.com" in answer.content.decode()
