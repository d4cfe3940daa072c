"""The only door: throttled, the same answer for all, and sessions that end."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import Settings

from dashboard.teams.audit import MOST_REFUSALS
from dashboard.teams.models import AuditAction, AuditEntry
from tests.factories import NOW

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice", "alice@example.com", PASSWORD)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def log_in(client: Client, password: str = PASSWORD, **headers: str) -> int:
    said = {"username": "alice", "password": password}
    return client.post("/log-in/", said, headers=headers).status_code


def is_in(client: Client, **headers: str) -> bool:
    return client.get("/teams/", headers=headers).status_code == 200


def test_many_wrong_passwords_close_the_door_whoever_one_says_to_be(
    alice: User,
) -> None:
    """C-11: by name and address; a forged header makes nobody somebody else."""
    codes = [log_in(Client(), "wrong", x_forwarded_for=f"9.9.9.{n}") for n in range(20)]

    assert codes[:4] == [200] * 4
    assert set(codes[5:]) == {429}
    assert log_in(Client()) == 429
    kinds = AuditEntry.objects.values_list("action", flat=True)
    assert AuditAction.LOCKED_OUT in kinds
    assert {row.address for row in AuditEntry.objects.all()} == {"127.0.0.1"}


def test_behind_a_trusted_proxy_its_own_word_counts(
    alice: User, settings: Settings
) -> None:
    """C-11: the last address is the proxy's, the others are the visitor's."""
    settings.TRUST_PROXY = True
    for number in range(20):
        log_in(Client(), "wrong", x_forwarded_for=f"9.9.9.{number}, 5.5.5.5")

    assert log_in(Client(), x_forwarded_for="5.5.5.5") == 429
    assert log_in(Client(), x_forwarded_for="5.5.5.5, 6.6.6.6") == 302
    assert log_in(Client(), x_forwarded_for="'; DROP TABLE") == 302


def test_all_addresses_of_an_ipv6_network_are_one_visitor(
    alice: User, settings: Settings
) -> None:
    """C-11, C-20: everybody has 2**64 of them, to knock with and to fill the log with."""
    settings.TRUST_PROXY = True
    network = [f"2001:db8:0:1::{number:x}" for number in range(1, 61)]
    codes = [log_in(Client(), "wrong", x_forwarded_for=each) for each in network]

    assert codes[:4] == [200] * 4
    assert set(codes[5:]) == {429}
    assert log_in(Client(), x_forwarded_for="2001:db8:0:2::1") == 302
    refused = AuditEntry.objects.filter(action=AuditAction.LOCKED_OUT)
    assert refused.count() == MOST_REFUSALS
    assert refused.filter(address="2001:db8:0:1::9").exists()


def test_the_old_password_is_asked_through_the_same_door(alice: User) -> None:
    """C-11: a browser that was left open is no place to try passwords."""
    client = Client()
    log_in(client)
    new = {"new_password1": "another battery horse"}
    new["new_password2"] = new["new_password1"]

    codes = [
        client.post("/password/", {"old_password": f"guess {number}", **new})
        for number in range(6)
    ]

    assert [answer.status_code for answer in codes] == [200] * 4 + [429] * 2
    assert client.post("/password/", {"old_password": PASSWORD, **new}).status_code == (
        429
    )
    refused = AuditEntry.objects.filter(action=AuditAction.LOG_IN_FAILED)
    assert {entry.subject for entry in refused} == {"alice"}


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(alice: User) -> None:
    """C-11."""
    said = [
        Client().post("/log-in/", {"username": name, "password": "wrong"})
        for name in ("alice", "nobody")
    ]

    bodies = [each.content.decode().split("<form", 1)[1] for each in said]
    tokens = [each.context["csrf_token"] for each in said]
    bodies = [
        body.replace(str(token), "").replace(name, "")
        for body, token, name in zip(bodies, tokens, ("alice", "nobody"), strict=True)
    ]
    assert bodies[0] == bodies[1]


def test_what_was_typed_as_a_name_is_not_kept(alice: User) -> None:
    """C-18: people type their password there."""
    Client().post("/log-in/", {"username": PASSWORD, "password": ""})
    Client().post("/log-in/", {"username": PASSWORD, "password": "x"})

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == ("log_in_failed", "an unknown name")
    counted = AccessAttempt.objects.get()
    assert PASSWORD not in str(vars(counted))


@pytest.mark.parametrize(
    ("password", "taken"),
    [
        ("elevenchars", False),
        ("twelve chars", True),
        ("password1234", False),
        ("alice@example.com", False),
        ("a long sentence without any digit or capital at all " * 2, True),
    ],
)
def test_a_password_is_long_and_not_common_and_nothing_else(
    password: str,
    taken: bool,  # noqa: FBT001
    alice: User,
) -> None:
    """C-12: no rules of composition, and 64 characters and more are welcome."""
    if taken:
        return validate_password(password, alice)
    with pytest.raises(ValidationError):
        validate_password(password, alice)
    return None


@pytest.mark.parametrize("there", ["/log-in/", "/admin/", "/admin/teams/team/"])
def test_nobody_who_is_logged_in_is_sent_round_in_a_circle(
    alice: User, there: str
) -> None:
    client = Client()
    log_in(client)

    response = client.get("/log-in/", {"next": there}, follow=True)

    assert response.status_code == (200 if there == "/log-in/" else 404)


def test_the_admin_sends_to_the_one_page_for_the_password(admin_page: Client) -> None:
    """C-18: there the change is noted."""
    response = admin_page.post("/admin/password_change/")

    assert response.headers["Location"] == "/password/"


class TestSession:
    def test_it_has_another_id_after_the_log_in_and_is_gone_after_the_log_out(
        self, alice: User
    ) -> None:
        """C-10."""
        client = Client()
        client.get("/log-in/")
        client.session.save()
        before = client.session.session_key
        log_in(client)
        during = client.session.session_key
        stolen = Client()
        stolen.cookies["sessionid"] = client.cookies["sessionid"].value

        assert before != during
        assert is_in(stolen)
        client.post("/log-out/")
        assert not is_in(stolen)

    def test_all_others_end_when_the_password_changes(self, alice: User) -> None:
        """C-10."""
        here, elsewhere = Client(), Client()
        log_in(here)
        log_in(elsewhere)
        new = "another battery horse"

        here.post(
            "/password/",
            {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
        )

        assert is_in(here)
        assert not is_in(elsewhere)
        assert AuditEntry.objects.filter(action=AuditAction.PASSWORD).exists()

    def test_all_end_when_the_user_is_switched_off(self, alice: User) -> None:
        """C-10."""
        client = Client()
        log_in(client)
        User.objects.update(is_active=False)

        assert not is_in(client)

    def test_it_ends_after_eight_hours_without_an_act(
        self, alice: User, clock: time_machine.Traveller
    ) -> None:
        """C-10: a page that renews itself is nobody's act."""
        client = Client()
        log_in(client)

        clock.shift(timedelta(hours=7, minutes=55))
        assert is_in(client)
        clock.shift(timedelta(hours=7, minutes=55))
        assert is_in(client, hx_request="true")
        clock.shift(timedelta(hours=0, minutes=6))
        assert not is_in(client, hx_request="true")

    def test_it_ends_after_seven_days_however_busy(
        self, alice: User, clock: time_machine.Traveller
    ) -> None:
        """C-10."""
        client = Client()
        log_in(client)
        for _ in range(24):
            clock.shift(timedelta(hours=7))
            assert is_in(client)

        clock.shift(timedelta(minutes=1))
        assert not is_in(client)

    def test_its_cookie_is_for_this_host_and_no_script(self, alice: User) -> None:
        """C-10."""
        client = Client()
        log_in(client)

        cookie = client.cookies["sessionid"]
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
        assert cookie["domain"] == ""
