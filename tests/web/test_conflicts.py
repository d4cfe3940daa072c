"""C-19: two at once change the same; the later one is told so, and nothing is half done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, OperationalError
from django.db.models import Model
from django.db.models.signals import pre_save
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse
from psycopg.errors import AdminShutdown, DeadlockDetected

from dashboard.alerts.models import Recipient, Rule, RuleKind, Silence
from dashboard.probes.models import Breaker
from dashboard.probes.queries import breaker_keys
from dashboard.teams.models import AuditEntry, Gateway, Membership, Role, Team
from dashboard.web.models import PublicPage
from dashboard.web.views import breakers
from tests.factories import NOW, make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db


@contextmanager
def meanwhile(model: type[Model], act: Callable[[], object]) -> Iterator[None]:
    """Let another act after a form was found right, before what it tells is written."""
    waits = [act]

    def first(**_: object) -> None:
        if waits:
            waits.pop()()

    pre_save.connect(first, sender=model)
    yield
    pre_save.disconnect(first, sender=model)


def filled(row: Model) -> dict[str, object]:
    """Return what a form of the row sends where nothing is changed."""
    fields = model_to_dict(row).items()
    return {
        name: told for name, told in fields if told is not None and told is not False
    }


def rows(team: Team) -> dict[str, Model]:
    """Return one row of each kind that the admin changes."""
    own = {"gateway": team.gateway, "team": team}
    held = person("bob", team, Role.VIEWER)
    return {
        "teams/gateway": team.gateway,
        "teams/team": team,
        "teams/membership": Membership.objects.get(user__username=held.name),
        "alerts/rule": Rule.objects.create(name="own", kind=RuleKind.TEAM_STATE, **own),
        "alerts/recipient": Recipient.objects.create(email="bob@example.com", **own),
        "alerts/silence": Silence.objects.create(
            reason="work", starts_at=NOW, ends_at=NOW.replace(hour=20), **own
        ),
        "web/publicpage": PublicPage.objects.create(title="Acme", team=team),
        "probes/probe": make_probe(team),
    }


CHANGED: dict[str, dict[str, object]] = {
    "teams/gateway": {"name": "Other"},
    "teams/team": {
        "name": "Other",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    },
    "teams/membership": {"role": "operator"},
    "alerts/rule": {"name": "other"},
    "alerts/recipient": {"email": "alice@example.com"},
    "alerts/silence": {
        "reason": "rest",
        "starts_at_0": "2026-03-02",
        "starts_at_1": "12:00",
        "ends_at_0": "2026-03-02",
        "ends_at_1": "20:00",
    },
    "web/publicpage": {"title": "Other"},
    "probes/probe": {"period_s": 99},
}


@pytest.mark.parametrize("kind", CHANGED)
def test_what_is_deleted_while_it_is_changed(kind: str, admin_page: Client) -> None:
    row = rows(make_team())[kind]
    stored = filled(row)
    address = f"/admin/{kind}/{row.pk}/change/"

    with meanwhile(type(row), type(row)._default_manager.filter(pk=row.pk).delete):
        answer = admin_page.post(address, {**stored, **CHANGED[kind]})

    assert answer.status_code == 409
    assert "Changed meanwhile" in answer.content.decode()
    assert not AuditEntry.objects.filter(detail__startswith="Changed").exists()


def test_two_gateways_of_one_name(admin_page: Client) -> None:
    """By a second click, while the first waits for the gateway's list."""
    first = Gateway(name="One", base_url="https://gateway.example")

    with meanwhile(Gateway, partial(Gateway.objects.bulk_create, [first])):
        answer = admin_page.post("/start/watch/", filled(first))

    assert answer.status_code == 409
    assert not Team.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_silence_of_a_team_that_is_deleted(admin_page: Client) -> None:
    team = make_team()
    told = {"team": team.pk, "hours": 4, "kind": "", "reason": "not now"}

    with meanwhile(Silence, Team.objects.filter(pk=team.pk).delete):
        answer = admin_page.post("/silences/", told)

    assert answer.status_code == 409
    assert not Silence.objects.exists()


def test_what_was_said_before_it_was_given_up_is_told_by_no_page(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: object, **__: object) -> None:
        raise IntegrityError

    gateway = make_team().gateway
    monkeypatch.setattr(LogEntry.objects, "log_actions", give_up)
    moved = {"name": gateway.name, "base_url": "https://elsewhere.example"}

    answer = admin_page.post(f"/admin/teams/gateway/{gateway.pk}/change/", moved)

    assert answer.status_code == 409
    for page in (answer, admin_page.get("/")):
        assert "is forgotten" not in page.content.decode()


@pytest.mark.parametrize(
    ("cause", "code"), [(DeadlockDetected(), 409), (AdminShutdown(), 503)]
)
def test_who_waits_in_a_circle(
    cause: Exception, code: int, admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives one of two up; that it is away is a fault of ours."""
    admin_page.raise_request_exception = False

    def give_up(*_: object) -> None:
        raise OperationalError from cause

    monkeypatch.setattr(breakers, "force_now", give_up)
    probe = make_probe()
    [key, *_] = breaker_keys(probe).values()
    breaker = Breaker.objects.create(gateway=probe.gateway, key=key)

    answer = admin_page.post(reverse("force", args=[breaker.pk]), {"to": "forced_open"})

    assert answer.status_code == code
    is_told = b"nothing is watched, stored or mailed" in answer.content
    assert is_told == (code == 503)
