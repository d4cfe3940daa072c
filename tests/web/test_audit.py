"""The audit log: only added to, complete, and without a single value."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apiclient.breaker import breaker_key
from dashboard.alerts.models import Rule, Silence, Subscription
from dashboard.probes.models import Breaker, ProbeKind
from dashboard.probes.queries import breaker_keys
from dashboard.teams import audit
from dashboard.teams.models import AuditAction, AuditEntry, Membership, Role, Team
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db
CANARY = "sk-canary-0123456789-tail"
NO_MEMBERS = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}


def told() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "detail"))


def test_the_database_refuses_to_change_a_line() -> None:
    """C-18."""
    entry = audit.note(AuditAction.TEAM, "team Acme", now=NOW, actor="root")

    with pytest.raises(DatabaseError, match="is not changed"), transaction.atomic():
        AuditEntry.objects.update(actor="somebody else")

    entry.refresh_from_db()
    assert entry.actor == "root"


def test_it_is_kept_for_a_year() -> None:
    """C-22."""
    for days in (1, 365, 367, 800):
        audit.note(AuditAction.TEAM, f"{days}", now=NOW - timedelta(days=days))

    assert audit.prune(NOW) == 2
    assert {entry.subject for entry in AuditEntry.objects.all()} == {"1", "365"}


def test_a_line_stays_one_line() -> None:
    """C-18: a name with a line break forges no second one."""
    entry = audit.note(AuditAction.TEAM, "a\r\nroot: key set\u202e", now=NOW)

    assert entry.subject == "a  root: key set "


def test_a_line_says_which_of_two_whatever_their_team_is_called() -> None:
    """C-18: of a long id the end was cut off, and with it what was forced."""
    keys = [breaker_key("host", "团" * 255, "GET", route) for route in ("/a", "/b")]

    kept = [audit.note(AuditAction.BREAKER, key, now=NOW).subject for key in keys]

    assert [(text[:5], text[-7:], len(text)) for text in kept] == [
        ("host|", f"|GET {route}", 200) for route in ("/a", "/b")
    ]


def test_who_is_refused_is_noted_once_an_hour() -> None:
    """C-18: and gets the answer of what does not exist."""
    team = make_team()
    charlie = person("charlie").client
    for _ in range(3):
        assert charlie.get(reverse("team", args=[team.pk])).status_code == 404
    assert charlie.get("/mail/").status_code == 404
    assert charlie.get(reverse("team", args=[team.pk + 1])).status_code == 404

    denied = AuditEntry.objects.filter(action=AuditAction.DENIED).order_by("pk")
    assert [(entry.actor, entry.subject) for entry in denied] == [
        ("charlie", f"team {team.pk}"),
        ("charlie", "a page for site administrators"),
    ]


def test_two_teams_of_one_name_are_refused_each() -> None:
    """C-18: once an hour for each, also where a manager calls his like the other."""
    teams, vera = [make_team(name="Acme"), make_team(name="Acme")], person("vera")
    user = User.objects.get(username=vera.name)
    for team in teams:
        Membership.objects.create(user=user, team=team, role=Role.VIEWER)
        page = reverse("team_settings", args=[team.pk])
        assert vera.client.get(page).status_code == 404

    denied = AuditEntry.objects.filter(action=AuditAction.DENIED).order_by("pk")
    assert [entry.subject for entry in denied] == [
        f"managing team Acme ({team.pk})" for team in teams
    ]


def test_who_reaches_for_what_is_another_teams_is_noted() -> None:
    """C-18: also where only a number of it is sent."""
    probe = make_probe(make_team(), kind=ProbeKind.DEEP_JOB)
    key = next(iter(breaker_keys(probe).values()))
    breaker = Breaker.objects.create(gateway=probe.gateway, key=key)
    silence = Silence.objects.create(
        team=probe.team, starts_at=NOW, ends_at=NOW + timedelta(hours=1), reason="x"
    )
    result = make_outcome(probe)
    dora = person("dora", make_team(), Role.MANAGER).client

    for answer in (
        dora.get(reverse("outcome", args=[result.pk])),
        dora.post(reverse("force", args=[breaker.pk]), {"to": "forced_open"}),
        dora.post(reverse("end_silence", args=[silence.pk])),
    ):
        assert answer.status_code == 404

    denied = AuditEntry.objects.filter(action=AuditAction.DENIED).order_by("pk")
    assert [entry.subject for entry in denied] == [
        f"outcome {result.pk}",
        f"breaker {breaker.pk}",
        f"silence {silence.pk}",
    ]


@pytest.mark.slow
def test_whoever_tries_everything_fills_no_disk(admin: User) -> None:
    """C-20: neither by numbers nor by a list of passwords."""
    make_team()
    charlie = person("charlie").client
    others = [make_team(make_gateway()) for _ in range(audit.MOST_REFUSALS + 5)]
    for team in others:
        charlie.get(reverse("team", args=[team.pk]))
    for number in range(audit.MOST_REFUSALS + 5):
        said = {"username": f"name-{number}", "password": "wrong"}
        Client().post("/log-in/", said)

    for action in (AuditAction.DENIED, AuditAction.LOG_IN_FAILED):
        written = AuditEntry.objects.filter(action=action).count()
        assert written == audit.MOST_REFUSALS


def test_whoever_is_refused_from_many_networks_fills_no_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C-20: one account wrote fifty lines an hour from each of its networks."""
    monkeypatch.setattr(audit, "MOST_REFUSALS", 3)
    addresses = [reverse("team", args=[make_team().pk]) for _ in range(2)]
    charlie = person("charlie").client

    for network in range(3):
        for address in addresses:
            charlie.get(address, REMOTE_ADDR=f"2001:db8:0:{network}::1")

    denied = AuditEntry.objects.filter(action=AuditAction.DENIED)
    assert denied.count() == 3
    # Of what he tried, also that it was from elsewhere.
    assert denied.values("address").distinct().count() == 2


def test_whoever_changes_things_all_day_fills_no_disk(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-20: an account without any team wrote a hundred lines a second."""
    monkeypatch.setattr(audit, "MOST_ACTS", 1 + 3)  # with his log-in
    charlie = person("charlie").client

    def change(client: Client, hour: int) -> int:
        wanted = {"time_zone": "UTC", "hour": hour}
        return client.post("/preferences/", wanted).status_code

    assert [change(charlie, hour) for hour in range(5)] == [302, 302, 302, 429, 429]
    assert charlie.get("/preferences/").status_code == 200
    assert Subscription.objects.get().hour == 2
    assert charlie.post("/log-out/").status_code == 302
    assert [change(admin_page, hour) for hour in range(5)] == [302] * 5
    in_an_hour = timezone.now() + timedelta(minutes=61)
    assert not audit.has_done_much("charlie", in_an_hour)


def test_whoever_logs_in_all_day_fills_no_disk(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-20: a viewer's program left two lines, and a session, for each log-in."""
    monkeypatch.setattr(audit, "MOST_ACTS", 3)
    word = "a long enough password"
    User.objects.create_user("charlie", password=word)
    admin.set_password(word)
    admin.save()

    def log_in(name: str, word: str = word) -> int:
        return (
            Client().post("/log-in/", {"username": name, "password": word}).status_code
        )

    assert [log_in("charlie") for _ in range(5)] == [302, 302, 302, 429, 429]
    # To who does not know the password nothing of it is told.
    assert log_in("charlie", "wrong") == 200
    assert Session.objects.count() == 3
    assert [log_in(admin.username) for _ in range(5)] == [302] * 5


def test_who_comes_from_this_link_is_noted_without_our_interface() -> None:
    """C-18: with the longest names PostgreSQL took no such address."""
    link_local = "fe80::1234:5678:9abc:def0"
    visitor = Client(REMOTE_ADDR=f"{link_local}%br-0123456789ab")

    refused = visitor.post("/log-in/", {"username": "charlie", "password": "wrong"})

    assert refused.status_code == 200
    assert AuditEntry.objects.get().address == link_local


def test_a_changed_team_names_its_fields_and_a_key_never_its_value(
    admin_page: Client,
) -> None:
    """C-18."""
    gateway = make_gateway()
    admin_page.post(
        "/admin/teams/team/add/",
        {"gateway": gateway.pk, "team_id": "acme", "key": CANARY, **NO_MEMBERS},
    )
    team = Team.objects.get()
    fields = {"gateway": gateway.pk, "team_id": "acme", "name": "New name"}
    address = f"/admin/teams/team/{team.pk}/change/"
    admin_page.post(address, {**fields, "forget_key": "on", **NO_MEMBERS})
    admin_page.post(f"/admin/teams/team/{team.pk}/delete/", {"post": "yes"})

    assert [action for action, _ in told() if action != "log_in"] == [
        "key_set",
        "team",
        "key_forgotten",
        "team",
        "team",
    ]
    entries = AuditEntry.objects.exclude(action="log_in")
    assert {entry.team_pk for entry in entries} == {team.pk}
    assert {entry.actor for entry in entries} == {"root"}
    assert "Changed Name" in str(told())
    assert not [entry for entry in told() if "canary" in entry[1] or "tail" in entry[1]]
    assert "New name" not in str([entry.detail for entry in entries])


def test_a_key_alone_leaves_one_line_and_the_teams_history_has_it(
    admin_page: Client,
) -> None:
    """C-18: Django's own history knows nothing of what was done on other pages."""
    team = make_team(team_id="acme")
    balance = make_probe(
        team, kind=ProbeKind.BALANCE, next_run=NOW + timedelta(hours=1)
    )
    fields = {"gateway": team.gateway_id, "team_id": "acme", **NO_MEMBERS}

    admin_page.post(f"/admin/teams/team/{team.pk}/change/", {**fields, "key": CANARY})

    entries = AuditEntry.objects.exclude(action="log_in")
    assert [(e.action, e.detail) for e in entries] == [("key_set", "")]
    # And the key is tried at once.
    balance.refresh_from_db()
    assert balance.next_run == NOW
    past = admin_page.get(f"/admin/teams/team/{team.pk}/history/")
    assert past["Location"] == f"/teams/{team.pk}/settings/#history"
    assert admin_page.get("/admin/teams/team/0x/history/").status_code == 404


def test_a_changed_rule_tells_from_what_to_what_but_of_one_team_only(
    admin_page: Client,
) -> None:
    """C-18: in words with units; what was typed freely is no more than named."""
    one, other = make_team(), make_team()
    rule = Rule.objects.create(name="A", kind="error_rate", team=one, warn_at=0.3)
    fields = {"name": CANARY, "enabled": "on", "team": one.pk}
    counts = {"window_s": 600, "min_samples": 5, "min_bad": 3, "clear_after": 3}
    fields |= {**counts, "for_s": 0, "long_window_s": 0, "keep_s": 0, "warn_at": 0.4}
    address = f"/admin/alerts/rule/{rule.pk}/change/"

    admin_page.post(address, {**fields, "against_baseline": "on"})
    admin_page.post(address, {**fields, "warn_at": 0.2, "team": other.pk})

    latest, first = AuditEntry.objects.filter(action="rule").order_by("-pk")
    assert first.detail == (
        "Changed Name, Warn at from 30 % to 40 %, Window from 300 s to 600 s and "
        "Against baseline from off to on."
    )
    assert "%" not in latest.detail
    assert latest.team_pk == other.pk
    past = admin_page.get(f"/admin/alerts/rule/{rule.pk}/history/").content.decode()
    assert "Warn at from 30 % to 40 %" in past
    assert reverse("audit") in past


def test_rules_users_and_silences_are_noted(admin_page: Client) -> None:
    """C-18."""
    admin_page.post(
        "/admin/auth/user/add/",
        {
            "username": "dora",
            **NO_MEMBERS,
            "password1": "correct horse battery",
            "password2": "correct horse battery",
        },
    )
    admin_page.post(
        "/admin/alerts/rule/add/",
        {
            "kind": "team_state",
            "name": "Mine",
            "window_s": 300,
            "min_samples": 5,
            "min_bad": 3,
            "for_s": 0,
            "clear_after": 3,
            "long_window_s": 0,
            "keep_s": 0,
        },
    )
    silence = {"kind": "", "hours": 4, "reason": "Maintenance"}
    admin_page.post("/silences/", silence)
    admin_page.post(reverse("end_silence", args=[Silence.objects.get().pk]))

    assert User.objects.filter(username="dora").exists()
    assert Rule.objects.exists()
    assert [action for action, _ in told() if action != "log_in"] == [
        "user",
        "rule",
        "silence",
        "silence",
    ]
    assert "correct horse" not in str(told())


def test_consent_to_a_cost_is_noted() -> None:
    """C-18."""
    team = make_team(model_aliases=["chat-fast"])
    probe = make_probe(team=team, kind=ProbeKind.DEEP_JOB, enabled=False, period_s=900)
    alice = person("alice", team, Role.MANAGER).client
    consent = {"model": "chat-fast", "daily_credit_cap": 20}

    alice.post(reverse("accept", args=[probe.pk]), consent)
    alice.post(reverse("stop", args=[probe.pk]))

    assert ("probe", "cost accepted, at most 20 credits a day") in told()
    assert ("probe", "switched off") in told()


class TestPage:
    def test_it_is_found_by_who_what_and_when(self, admin_page: Client) -> None:
        audit.note(AuditAction.TEAM, "team Acme", now=NOW, actor="bob")
        audit.note(AuditAction.RULE, "rule Mine", now=NOW, actor="eve")
        audit.note(AuditAction.RULE, "old rule", now=NOW - timedelta(days=60))

        def shown(query: str) -> str:
            return admin_page.get(f"/audit/{query}").content.decode()

        assert "team Acme" in shown("")
        assert "old rule" not in shown("")
        assert "old rule" in shown("?days=366")
        assert "rule Mine" not in shown("?action=team")
        assert "team Acme" not in shown("?q=EVE")
        assert "rule Mine" in shown("?q=EVE")
        for nonsense in ("?page=-1", "?page=9999999", "?days=x", "?action=x"):
            assert admin_page.get(f"/audit/{nonsense}").status_code == 200

    def test_it_has_pages_and_asks_the_same_for_many(self, admin_page: Client) -> None:
        """C-20."""
        for number in range(120):
            audit.note(AuditAction.TEAM, f"line {number}.", now=NOW)
        with CaptureQueriesContext(connection) as queries:
            first = admin_page.get("/audit/").content.decode()

        assert len(queries) < 8
        assert "line 119." in first
        assert "line 69." not in first
        assert "line 69." in admin_page.get("/audit/?page=2").content.decode()

    def test_a_team_is_told_by_what_it_cannot_choose(self, admin_page: Client) -> None:
        """C-18: its manager may call it like another one, for a while, and so may its id."""
        gateway = make_gateway(name="Production")
        acme = make_team(gateway, team_id="acme", name="Acme")
        evil = make_team(gateway, team_id="Acme (acme)", name="Acme")
        gone = make_team(gateway, team_id="gone", name="Acme")
        for team in (acme, evil, gone):
            audit.note(AuditAction.TEAM, team, now=NOW, team=team)
        pk = gone.pk
        gone.delete()
        Team.objects.filter(pk=evil.pk).update(name="")

        text = admin_page.get(reverse("audit")).content.decode()

        assert f"team {acme.pk}, Acme (acme) at Production" in text
        assert f"team {evil.pk}, Acme (acme) at Production" in text
        assert f"team {pk}, which is gone" in text

    def test_what_people_wrote_is_text(self, admin_page: Client) -> None:
        """C-15."""
        audit.note(AuditAction.TEAM, "<script>alert(1)</script>", now=NOW)

        assert "<script>alert" not in admin_page.get("/audit/").content.decode()


def test_a_page_that_is_opened_to_everybody_is_noted(admin_page: Client) -> None:
    """C-18."""
    team = make_team()

    admin_page.post(
        "/admin/web/publicpage/add/",
        {"title": "Open", "team": team.pk, "is_open": "on", "slug": "open"},
    )

    entry = AuditEntry.objects.get(action="other")
    assert entry.subject.startswith("public page Open")
