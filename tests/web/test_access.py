"""Every address of the site, tried as everybody: a view that nobody placed fails here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from dashboard.alerts.models import (
    Change,
    Delivery,
    Incident,
    Notification,
    RuleKind,
    Severity,
    Silence,
)
from dashboard.probes.models import Breaker, ProbeKind
from dashboard.probes.queries import breaker_keys
from dashboard.teams.models import Role
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db

# For each view: its method, and whom it answers. "all": whoever is logged in, "team":
# members of the team, "admin": site administrators, "public": everybody.
PLACES = {
    "overview": ("get", "all"),
    "probe": ("get", "team"),
    "run": ("post", "team"),
    "accept": ("post", "team"),
    "stop": ("post", "team"),
    "search": ("get", "all"),
    "outcomes": ("get", "all"),
    "outcome": ("get", "team"),
    "teams": ("get", "all"),
    "team": ("get", "team"),
    "incidents": ("get", "all"),
    "incident": ("get", "team"),
    "acknowledge": ("post", "team"),
    "note": ("post", "team"),
    "silences": ("get", "all"),
    "breakers": ("get", "all"),
    "credits": ("get", "all"),
    "force": ("post", "team"),
    "end_silence": ("post", "team"),
    "mail": ("get", "admin"),
    "test_mail": ("post", "admin"),
    "retry": ("post", "admin"),
    "status": ("get", "admin"),
    "start": ("get", "admin"),
    "watch": ("post", "admin"),
    "login": ("get", "public"),
    "healthz": ("get", "public"),
    "healthz_prober": ("get", "public"),
    "favicon": ("get", "public"),
    "logout": ("post", "all"),
    "password": ("get", "all"),
    "to_log_in": ("get", "public"),
    # Valid while nobody can log in only, so it has a test of its own.
    "setup": ("get", "nobody"),
}
ANSWERED = {200, 301, 302, 503}


@dataclass(frozen=True, slots=True)
class Site:
    clients: dict[str, Client]
    pks: dict[str, int]

    def address(self, name: str) -> str:
        if name == "to_log_in":
            return "/admin/login/"
        if name == "setup":
            return reverse("setup", args=["not-a-token"])
        if name in {"probe", "run", "accept", "stop"}:
            return reverse(name, args=[self.pks["probe"]])
        if name in {"team", "incident", "outcome", "retry", "end_silence", "force"}:
            return reverse(name, args=[self.pks[name]])
        if name in {"acknowledge", "note"}:
            return reverse(name, args=[self.pks["incident"]])
        return reverse(name)


@pytest.fixture
def site(admin: User) -> Site:
    gateway = make_gateway()
    team, other = make_team(gateway), make_team()
    probe = make_probe(team=team, kind=ProbeKind.DEEP_JOB, enabled=False)
    incident = Incident.objects.create(
        kind=RuleKind.TEAM_STATE,
        identity="team_state:team:1",
        gateway=gateway,
        team=team,
        severity=Severity.CRITICAL,
        summary="The team is suspended",
        opened_at=NOW,
        evaluated_at=NOW,
    )
    mail = Notification.objects.create(
        incident=incident,
        change=Change.OPENED,
        recipient="root@example.com",
        state=Delivery.DEAD,
        created_at=NOW,
        due_at=NOW,
    )
    breaker = Breaker.objects.create(
        gateway=gateway, key=next(iter(breaker_keys(probe).values()))
    )
    silence = Silence.objects.create(
        team=team, starts_at=NOW, ends_at=NOW + timedelta(days=1), reason="Maintenance"
    )
    root = Client()
    root.force_login(admin)
    return Site(
        clients={
            "anonymous": Client(),
            "alice": person("alice", team).client,
            "bob": person("bob", other).client,
            "charlie": person("charlie").client,
            "root": root,
        },
        pks={
            "probe": probe.pk,
            "team": team.pk,
            "end_silence": silence.pk,
            "force": breaker.pk,
            "incident": incident.pk,
            "outcome": make_outcome(probe).pk,
            "retry": mail.pk,
        },
    )


def own_views() -> Iterator[str]:
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or pattern.callback.__name__


def test_every_view_has_its_place_in_the_table() -> None:
    assert set(own_views()) == set(PLACES)


def is_meant_for(who: str, audience: str) -> bool:
    welcome = {
        "public": {"anonymous", "alice", "bob", "charlie", "root"},
        "all": {"alice", "bob", "charlie", "root"},
        "team": {"alice", "root"},
        "admin": {"root"},
        "nobody": set(),
    }
    return who in welcome[audience]


@pytest.mark.parametrize("who", ["anonymous", "alice", "bob", "charlie", "root"])
@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_view_answers_those_it_is_meant_for_and_nobody_else(
    site: Site, name: str, who: str
) -> None:
    method, audience = PLACES[name]

    response = getattr(site.clients[who], method)(site.address(name))

    if is_meant_for(who, audience):
        # A change whose form is empty is refused as such, not hidden.
        assert response.status_code in ANSWERED | ({400} if name == "force" else set())
        if audience != "public" and name != "logout":
            assert "/log-in/" not in response.get("Location", "")
    elif who == "anonymous" and audience != "nobody":
        assert response.status_code == 302
        assert response["Location"].startswith("/log-in/")
    else:
        assert response.status_code == 404


@pytest.mark.parametrize("name", sorted(n for n, p in PLACES.items() if p[0] == "post"))
def test_a_get_changes_nothing(site: Site, name: str) -> None:
    assert site.clients["root"].get(site.address(name)).status_code == 405


@pytest.mark.parametrize("name", sorted(n for n, p in PLACES.items() if p[0] == "post"))
def test_a_change_needs_the_token_of_its_form(
    site: Site, admin: User, name: str
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin)

    assert strict.post(site.address(name)).status_code == 403


@pytest.mark.parametrize("who", ["anonymous", "alice", "bob", "charlie"])
def test_the_admin_is_for_staff_only(site: Site, who: str) -> None:
    for path in ("/admin/", "/admin/teams/team/", "/admin/alerts/rule/add/"):
        response = site.clients[who].get(path)
        assert response.status_code == 302
        assert "log" in response["Location"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
@pytest.mark.parametrize("name", ["accept", "stop"])
def test_only_managers_spend_credits(site: Site, name: str, role: Role) -> None:
    team = make_probe(team=make_team(), kind=ProbeKind.DEEP_JOB).team
    probe = make_probe(team=team, kind=ProbeKind.KEY_CHECK)
    dora = person("dora", team, role).client

    assert dora.get(reverse("probe", args=[probe.pk])).status_code == 200
    assert dora.post(reverse(name, args=[probe.pk])).status_code == 404


@pytest.mark.parametrize("name", ["run", "acknowledge", "note", "end_silence", "force"])
def test_a_viewer_only_looks(site: Site, name: str) -> None:
    incident = Incident.objects.get()
    eve = person("eve", incident.team, Role.VIEWER).client

    assert eve.post(site.address(name)).status_code == 404
    assert Incident.objects.get().acknowledged_at is None


def test_a_member_sees_the_health_of_his_teams_gateway_only(site: Site) -> None:
    own = make_probe(gateway=Incident.objects.get().gateway)
    strange = make_probe()
    alice = site.clients["alice"]

    assert alice.get(reverse("probe", args=[own.pk])).status_code == 200
    assert alice.get(reverse("probe", args=[strange.pk])).status_code == 404


def test_nobody_learns_of_other_teams_by_lists(site: Site) -> None:
    for path in ("/", "/teams/", "/incidents/", "/search/?q=team"):
        assert "The team is suspended" not in text(site.clients["bob"], path)
        assert "suspended" not in text(site.clients["charlie"], path)


def text(client: Client, path: str) -> str:
    return client.get(path).content.decode()
