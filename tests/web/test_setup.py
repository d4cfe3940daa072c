"""The first start: the one-time link, the guide, logging in and out."""

from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.teams.models import AuditEntry, Gateway
from dashboard.web.setup import setup_url
from tests.factories import NOW, make_gateway
from tests.web.people import at_once

pytestmark = pytest.mark.django_db

PASSWORD = "a long password of words"
ADMIN = {
    "username": "ann",
    "email": "ann@example.com",
    "password1": PASSWORD,
    "password2": PASSWORD,
}
GATEWAY = {
    "name": "Production",
    "base_url": "https://gateway.example.com/api/",
    "team_id": "acme",
    "key": "sk-test-canary-9876",
}
AGAIN = ["Give the key again, too."]


def link() -> str:
    url = setup_url(NOW, "http://testserver")
    assert url
    return url


def test_the_link_makes_the_first_administrator_and_leads_to_the_guide() -> None:
    client = Client()
    url = link()

    assert client.get(url).status_code == 200
    response = client.post(url, ADMIN)

    assert response["Location"] == "/start/"
    ann = User.objects.get()
    assert ann.is_superuser
    assert AuditEntry.objects.get(action="user").actor == "ann"
    assert ann.email == "ann@example.com"
    assert client.get("/start/").status_code == 200


def test_the_link_ends_when_somebody_can_log_in(admin_page: Client) -> None:
    User.objects.all().delete()
    url = link()
    User.objects.create_user("bob")

    assert Client().get(url).status_code == 404
    assert Client().post(url, ADMIN).status_code == 404
    assert setup_url(NOW) is None


def test_the_link_ends_after_a_day() -> None:
    url = link()

    with time_machine.travel(NOW + timedelta(days=1, seconds=1), tick=False):
        assert Client().get(url).status_code == 404


def test_a_link_of_another_installation_is_worth_nothing(
    settings: Settings,
) -> None:
    url = link()
    settings.SECRET_KEY = "another-secret" * 5

    assert Client().get(url).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_the_link_at_once_one_becomes_administrator() -> None:
    url = link()

    def send(name: str) -> int:
        return Client().post(url, {**ADMIN, "username": name}).status_code

    assert at_once(*(partial(send, f"ann-{n}") for n in range(4))) == [
        *(302, 404, 404, 404)
    ]
    assert User.objects.count() == 1


def test_a_weak_password_is_refused_beside_its_field() -> None:
    client = Client()

    response = client.post(
        link(), {**ADMIN, "password1": "short", "password2": "short"}
    )

    assert "too short" in response.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("base_url", "https://user:secret@gateway.example.com", "base_url"),
        ("base_url", "ftp://gateway.example.com", "base_url"),
        ("base_url", "no address", "base_url"),
        ("base_url", "http://169.254.169.254", "base_url"),
        ("base_url", "http://127.0.0.1:8080", "allow_private"),
        ("base_url", "http://localhost:8080", "allow_private"),
        ("base_url", "http://10.1.2.3", "allow_private"),
        ("key", "two words", "key"),
        ("name", "Taken", "name"),
        ("team_id", "", "team_id"),
        ("team_id", "acme\r\nother", "team_id"),
        ("name", "Evil\r\nBcc: eve@example.com", "name"),
        ("name", "\u202eevil", "name"),
    ],
)
def test_the_guide_says_beside_the_field_what_is_wrong(
    admin_page: Client, field: str, value: str, said: str
) -> None:
    make_gateway(name="Taken")

    response = admin_page.post("/start/", {**GATEWAY, field: value})

    assert response.status_code == 200
    errors = response.context["form"].errors
    assert [name for name in errors if list(errors[name]) != AGAIN] == [said]
    assert Gateway.objects.count() == 1
    assert "secret" not in str(response.context["form"].errors)


def test_a_key_is_not_shown_again_but_asked_for(admin_page: Client) -> None:
    response = admin_page.post("/start/", {**GATEWAY, "base_url": ""})

    assert GATEWAY["key"] not in response.content.decode()
    assert response.context["form"].errors["key"] == AGAIN


def test_logging_in_leads_to_the_overview_and_out_again(admin: User) -> None:
    client = Client()
    asked = {"username": "root", "password": "correct horse", "next": "/teams/"}

    assert client.post("/log-in/", asked)["Location"] == "/teams/"
    assert client.get("/teams/").status_code == 200
    assert client.post("/log-out/")["Location"] == "/log-in/"
    assert client.get("/teams/").status_code == 302


def test_a_log_in_does_not_lead_to_another_site(admin: User) -> None:
    asked = {"username": "root", "password": "correct horse", "next": "//evil.example"}

    assert Client().post("/log-in/", asked)["Location"] == "/"


def test_wrong_log_ins_are_throttled(admin: User) -> None:
    client = Client()
    wrong = {"username": "root", "password": "wrong"}

    codes = [client.post("/log-in/", wrong).status_code for _ in range(7)]

    assert codes[0] == 200
    assert codes[-1] == 429


def test_only_the_demo_shows_its_log_in(settings: Settings) -> None:
    assert "gatewatch-demo" not in Client().get("/log-in/").content.decode()

    settings.DEMO = True

    assert "gatewatch-demo" in Client().get("/log-in/").content.decode()
