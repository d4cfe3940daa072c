"""C-07, C-08: every address, tried by every method as everybody; what nobody placed fails."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin import site as admin_site
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import DjangoDbBlocker

from dashboard.alerts.channels import seal_into
from dashboard.alerts.models import (
    Change,
    Channel,
    ChannelKind,
    Delivery,
    Incident,
    Notification,
    Rule,
    RuleKind,
    Severity,
    Silence,
    Subscription,
)
from dashboard.alerts.regular import unsubscribe_token
from dashboard.probes.models import Breaker, ProbeKind
from dashboard.probes.queries import breaker_keys
from dashboard.teams.models import Role
from dashboard.web.models import PublicPage
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team
from tests.shared import lasting
from tests.web.people import person

pytestmark = pytest.mark.django_db

# For each view: its method ("form" for a page that takes its own form back), and whom it
# answers. "all": whoever is logged in, "team": members of the team, "operators" and
# "managers" of the team, "admin": site administrators, "public": everybody.
PLACES = {
    "overview": ("get", "all"),
    "probe": ("get", "team"),
    "run": ("post", "operators"),
    "accept": ("post", "managers"),
    "stop": ("post", "managers"),
    "search": ("get", "all"),
    "trends": ("get", "all"),
    "outcomes": ("get", "all"),
    "outcome": ("get", "team"),
    "teams": ("get", "all"),
    "team": ("get", "team"),
    "team_settings": ("form", "managers"),
    "team_rule": ("form", "managers"),
    "import_teams": ("form", "admin"),
    "incidents": ("get", "all"),
    "incident": ("get", "team"),
    "export_incident": ("get", "team"),
    "acknowledge": ("post", "operators"),
    "note": ("post", "operators"),
    "silence_incident": ("post", "operators"),
    "silences": ("form", "all"),
    "breakers": ("get", "all"),
    "rule_past": ("get", "admin"),
    "credits": ("get", "all"),
    "force": ("post", "operators"),
    "end_silence": ("post", "operators"),
    "audit": ("get", "admin"),
    "mail": ("get", "admin"),
    "test_mail": ("post", "admin"),
    "self_test": ("post", "admin"),
    "preferences": ("form", "all"),
    "unsubscribe": ("form", "public"),
    "retry": ("post", "admin"),
    "channels": ("form", "admin"),
    "test_channel": ("post", "admin"),
    "switch_channel": ("post", "admin"),
    "delete_channel": ("post", "admin"),
    "status": ("get", "admin"),
    "storage": ("get", "admin"),
    "start": ("form", "admin"),
    "watch": ("post", "admin"),
    "public": ("get", "public"),
    "badge": ("get", "public"),
    "login": ("form", "public"),
    "healthz": ("get", "public"),
    "healthz_prober": ("get", "public"),
    "favicon": ("get", "public"),
    "logout": ("post", "all"),
    "password": ("form", "all"),
    "to_log_in": ("get", "admin's door"),
    # Valid while nobody can log in only, so it has a test of its own.
    "setup": ("get", "nobody"),
}
ANSWERED = {200, 301, 302, 400, 503}
METHODS = ("get", "head", "post", "put", "delete", "options")
# Which methods a place's own stands for.
OWN = {"get": {"get", "head"}, "post": {"post"}, "form": {"get", "head", "post"}}
# From the least to the most: each may do what those before it may.
WELCOME = {
    "nobody": set(),
    "admin": {"root"},
    "managers": {"manager", "root"},
    "operators": {"operator", "manager", "root"},
    "any operators": {"operator", "manager", "stranger", "root"},
    "team": {"viewer", "operator", "manager", "root"},
    "all": {"viewer", "operator", "manager", "stranger", "charlie", "root"},
    # Whoever is logged in, and no administrator, would come back from there for ever.
    "admin's door": {"anonymous", "root"},
    "public": {
        *("anonymous", "viewer", "operator", "manager", "stranger", "charlie", "root")
    },
}
# What answers who is not logged in.
_OPEN = {"public", "admin's door"}
# Forms that fewer may send than may see their page.
POSTED = {"silences": "any operators"}
FIXED = {
    "to_log_in": "/admin/login/",
    "setup": "/setup/not-a-token/",
    "public": "/public/open/",
    "badge": "/public/open/badge.svg",
}
_OWN_OBJECTS = ("team", "incident", "outcome", "retry", "end_silence", "force")
# What each view with a number in its address shows or changes.
_OF_OBJECTS = {
    **dict.fromkeys(["probe", "run", "accept", "stop"], "probe"),
    **{name: name for name in _OWN_OBJECTS},
    "team_settings": "team",
    "import_teams": "gateway",
    "rule_past": "rule",
    **dict.fromkeys(
        ["acknowledge", "note", "silence_incident", "export_incident"], "incident"
    ),
    **dict.fromkeys(["test_channel", "switch_channel", "delete_channel"], "channel"),
}


@dataclass(frozen=True, slots=True)
class Site:
    clients: dict[str, Client]
    pks: dict[str, int]
    unsubscribe: str

    def with_new_clients(self) -> "Site":
        """Return the same with the same people, whatever became of their clients."""
        fresh = {who: Client() for who in self.clients}
        for who, client in fresh.items():
            client.cookies.update(self.clients[who].cookies)
        return replace(self, clients=fresh)

    def address(self, name: str) -> str:
        if name == "unsubscribe":
            return self.unsubscribe
        if name in FIXED:
            return FIXED[name]
        if name in _OF_OBJECTS:
            return reverse(name, args=[self.pks[_OF_OBJECTS[name]]])
        if name == "team_rule":
            return reverse(name, args=[self.pks["team"], "credits"])
        return reverse(name)


@pytest.fixture(scope="module")
def whole_site(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    with lasting(django_db_blocker), time_machine.travel(NOW, tick=False):
        yield make_site()


@pytest.fixture
def site(whole_site: Site, db: None) -> Site:
    return whole_site.with_new_clients()


def make_site() -> Site:
    admin = User.objects.create_superuser("rosa", "rosa@example.com")
    # An address that is refused before anything is asked of the network.
    gateway = make_gateway(base_url="http://127.0.0.1:9")
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
    PublicPage.objects.create(
        title="Open", slug="open", gateway=gateway, is_open=True, has_badge=True
    )
    channel = Channel(name="a program", kind=ChannelKind.WEBHOOK, enabled=False)
    # Nobody listens there.
    seal_into(channel, "http://127.0.0.1:9/", "a long enough secret")
    channel.save()
    Subscription.objects.create(user=admin, daily=True)
    root = Client()
    root.force_login(admin)
    return Site(
        clients={
            "anonymous": Client(),
            "viewer": person("vera", team, Role.VIEWER).client,
            "operator": person("otto", team, Role.OPERATOR).client,
            "manager": person("alice", team).client,
            # A manager, but of another team.
            "stranger": person("bob", other).client,
            "charlie": person("charlie").client,
            "root": root,
        },
        unsubscribe=reverse("unsubscribe", args=[unsubscribe_token(admin, "daily")]),
        pks={
            "probe": probe.pk,
            "channel": channel.pk,
            "team": team.pk,
            "gateway": gateway.pk,
            "end_silence": silence.pk,
            "force": breaker.pk,
            "incident": incident.pk,
            "outcome": make_outcome(probe).pk,
            "retry": mail.pk,
            "rule": Rule.objects.create(name="Errors", kind=RuleKind.NO_DATA).pk,
        },
    )


def own_views() -> Iterator[str]:
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or pattern.callback.__name__


def test_every_view_has_its_place_in_the_table() -> None:
    assert set(own_views()) == set(PLACES)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_view_answers_those_it_is_meant_for_and_nobody_else(
    site: Site, name: str
) -> None:
    own, audience = PLACES[name]
    address = site.address(name)
    # The own method last: it may log out, or change what the others are tried on.
    for method in sorted(METHODS, key=lambda method: method in OWN[own]):
        meant = POSTED.get(name, audience) if method == "post" else audience
        for who, client in site.clients.items():
            response = getattr(client, method)(address)
            told = f"{who} {method}: {response.status_code}"
            if who == "anonymous" and audience not in {*_OPEN, "nobody"}:
                assert response.get("Location", "").startswith("/log-in/"), told
            elif who not in WELCOME[meant]:
                assert response.status_code in {404, 405}, told
            elif method in OWN[own]:
                assert response.status_code in ANSWERED, told
                to_log_in = "/log-in/" in response.get("Location", "")
                assert audience in _OPEN or name == "logout" or not to_log_in, told
            elif method == "options":
                assert not response.content, told
            else:
                # Whoever is logged in is led away from the log-in by any method.
                away = name == "login" and who != "anonymous"
                assert response.status_code == (302 if away else 405), told


# A mail program posts there by itself (RFC 8058): the token in its address is the proof.
_SIGNED = {"unsubscribe"}


@pytest.mark.parametrize(
    "name", sorted(n for n, p in PLACES.items() if p[0] != "get" and n not in _SIGNED)
)
def test_a_change_needs_the_token_of_its_form(site: Site, name: str) -> None:
    """C-09."""
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(site.clients["root"].cookies)

    assert strict.post(site.address(name)).status_code == 403


def admin_addresses() -> list[str]:
    """Return every address of the admin, with a number where one is asked for."""
    found = []
    for pattern in admin_site.urls[0]:
        inner = pattern.url_patterns if isinstance(pattern, URLResolver) else [pattern]
        place = str(pattern.pattern) if isinstance(pattern, URLResolver) else ""
        for each in inner:
            text = re.sub(r"<[^>]*>|\(\?P<[^)]*\)", "1", place + str(each.pattern))
            text = text.strip("^$").replace("\\Z", "")
            # It ends the session, which is nothing to refuse.
            if text != "logout/":
                found.append(f"/admin/{text}")
    return found


@pytest.mark.slow
def test_the_admin_is_for_staff_only(site: Site) -> None:
    addresses = admin_addresses()

    assert len(addresses) > 60
    for who in ("anonymous", "manager"):
        for address in addresses:
            for method in ("get", "post"):
                response = getattr(site.clients[who], method)(address)
                refused = response.status_code in {404, 405}
                assert (
                    refused
                    or "/log-in/" in response["Location"]
                    or ("/admin/login/" in response["Location"])
                ), address


@pytest.mark.slow
def test_the_admin_answers_staff(site: Site) -> None:
    for address in admin_addresses():
        assert site.clients["root"].get(address).status_code < 500, address


def test_a_member_sees_the_health_of_his_teams_gateway_only(site: Site) -> None:
    own = make_probe(gateway=Incident.objects.get().gateway)
    strange = make_probe()
    alice = site.clients["manager"]

    assert alice.get(reverse("probe", args=[own.pk])).status_code == 200
    assert alice.get(reverse("probe", args=[strange.pk])).status_code == 404


def test_nobody_learns_of_other_teams_by_lists(site: Site) -> None:
    for path in ("/", "/teams/", "/incidents/", "/search/?q=team"):
        assert "The team is suspended" not in text(site.clients["stranger"], path)
        assert "suspended" not in text(site.clients["charlie"], path)


def text(client: Client, path: str) -> str:
    return client.get(path).content.decode()
