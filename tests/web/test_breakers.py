"""The page of the breakers: why each is in its state, what comes next, who forced it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.probes.models import Breaker, BreakerEvent, Probe
from dashboard.probes.queries import breaker_keys
from tests.factories import (
    NOW,
    beat,
    make_gateway,
    make_incident,
    make_probe,
    make_team,
)
from tests.web.people import person

pytestmark = pytest.mark.django_db


def make_breaker(probe: Probe, **fields: object) -> Breaker:
    defaults = {
        "failures": 5,
        "opened_at": NOW.timestamp() - 10,
        "open_until": NOW.timestamp() + 50,
        "reason": "server_error",
    }
    key = next(iter(breaker_keys(probe).values()))
    return Breaker.objects.create(
        gateway=probe.gateway, key=key, **{**defaults, **fields}
    )


def page(client: Client) -> str:
    response = client.get(reverse("breakers"))
    assert response.status_code == 200
    return response.content.decode()


def test_nothing_watched_and_nothing_failed_are_two_things(admin_page: Client) -> None:
    assert "Nothing is watched yet" in page(admin_page)

    make_probe(make_team())

    assert "none has counted a failure" in page(admin_page)


def test_an_open_one_tells_why_and_counts_down(admin_page: Client) -> None:
    make_breaker(make_probe(make_team()))

    text = page(admin_page)

    assert "Opened after 5 failures, the last: Server error." in text
    assert "the next trial is in 50 s" in text
    assert "<title>1 open" in text


def test_one_that_half_of_its_calls_opened_says_so_and_not_too_few_failures(
    admin_page: Client,
) -> None:
    """The page said "1 failure", and above it that five in a row open one."""
    probe = make_probe(make_team())
    breaker = make_breaker(probe, failures=2, reason="rate_limited")
    BreakerEvent.objects.create(
        gateway=probe.gateway,
        key=breaker.key,
        at=NOW,
        before="closed",
        after="open",
        reason="connection_lost",
        failures=1,
    )

    text = page(admin_page)

    assert (
        "Opened after half of the latest calls failed, the last: Rate limited." in text
    )
    assert "Half of the latest calls failed, the last: Connection lost." in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"open_until": NOW.timestamp() - 1}, "The next call is its trial"),
        ({"open_until": 0, "failures": 2}, "2 failures in a row so far"),
        ({"failures": 0, "reason": "slow calls"}, "Opened after too many slow calls."),
        ({"failures": 7}, "Open: 7 failures in a row by now, the last: Server error."),
        ({"open_until": 0, "forced": "forced_open"}, ">forced open<"),
        ({"open_until": NOW.timestamp() - 1}, ">half-open<"),
        ({"open_until": 0, "forced": "forced_open"}, "Forced open by a person"),
        ({"open_until": 0, "forced": "forced_closed"}, "Forced closed by a person"),
    ],
)
def test_each_state_is_told_in_words(
    admin_page: Client, fields: dict[str, object], said: str
) -> None:
    make_breaker(make_probe(make_team()), **fields)

    assert said in page(admin_page)


def test_what_a_person_forced_is_told_in_an_outage_as_well(admin_page: Client) -> None:
    beat()
    probe = make_probe(make_team(), last_at=NOW)
    make_incident(probe.gateway, kind="gateway_down", summary="The gateway is down")
    make_incident(None, probe.team, probe, kind="breaker_open", summary="It is open")
    breaker = make_breaker(probe, open_until=NOW.timestamp() + 50)

    def kinds() -> list[str]:
        return [each.badge.word for each in admin_page.get("/").context["page"].alarms]

    assert kinds() == ["gateway down", "breaker open"]
    admin_page.post(reverse("force", args=[breaker.pk]), {"to": "forced_open"})
    assert kinds() == ["gateway down", "breaker open", "breaker forced open"]


def test_forcing_it_is_told_with_who_did_it(admin_page: Client) -> None:
    breaker = make_breaker(make_probe(make_team()))
    address = reverse("force", args=[breaker.pk])

    admin_page.post(address, {"to": "forced_open"})
    assert "Forced by root." in page(admin_page)
    admin_page.post(address, {"to": ""})

    breaker.refresh_from_db()
    assert (breaker.forced, breaker.open_until) == ("", 0)
    assert "Reset by root." in page(admin_page)


@pytest.mark.parametrize("to", ["half_open", "nonsense", None])
def test_it_is_forced_to_nothing_else(admin_page: Client, to: str | None) -> None:
    breaker = make_breaker(make_probe(make_team()))
    sent = {} if to is None else {"to": to}

    response = admin_page.post(reverse("force", args=[breaker.pk]), sent)

    assert response.status_code == 400
    assert not BreakerEvent.objects.exists()


def test_a_member_sees_and_forces_his_own_teams_only() -> None:
    gateway = make_gateway()
    own, other = (make_probe(make_team(gateway, name=n)) for n in ("Own", "Other"))
    make_breaker(own)
    strange = make_breaker(other)
    for probe in (own, other):
        BreakerEvent.objects.create(
            gateway=gateway,
            key=next(iter(breaker_keys(probe).values())),
            at=NOW - timedelta(hours=1),
            before="closed",
            after="open",
            failures=5,
            reason="server_error",
        )
    alice = person("alice", own.team).client

    text = page(alice)

    assert "Own at" in text
    assert "Other at" not in text
    assert text.count("5 failures, the last: Server error.") == 2
    address = reverse("force", args=[strange.pk])
    assert alice.post(address, {"to": ""}).status_code == 404


@pytest.mark.parametrize("number", [3, 30])
def test_it_asks_a_constant_number_of_queries(
    admin_page: Client,
    admin: User,
    number: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    gateway = make_gateway()
    for _ in range(number):
        breaker = make_breaker(make_probe(make_team(gateway)))
        BreakerEvent.objects.create(
            gateway=gateway,
            key=breaker.key,
            at=NOW,
            before="open",
            after="closed",
            actor=admin,
        )

    with django_assert_num_queries(8):
        page(admin_page)


def make_change(probe: Probe, ago: timedelta, **fields: object) -> None:
    defaults = {"before": "closed", "after": "open", "failures": 5}
    BreakerEvent.objects.create(
        gateway=probe.gateway,
        key=next(iter(breaker_keys(probe).values())),
        at=NOW - ago,
        **{**defaults, **fields},
    )


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["timeout", "server_error"]),
        ("?range=24h", ["timeout"]),
        ("?range=30d", ["timeout", "server_error", "network"]),
        ("?from=2000-01-01T00:00Z&to=2000-01-02T00:00Z", []),
    ],
)
def test_the_range_of_the_address_holds_for_page_and_file(
    admin_page: Client, asked: str, found: list[str]
) -> None:
    probe = make_probe(make_team())
    for days, reason in ((0, "timeout"), (3, "server_error"), (20, "network")):
        make_change(probe, timedelta(days=days, hours=1), reason=reason)
    address = reverse("breakers") + asked

    file = admin_page.get(address + ("&" if asked else "?") + "format=json").json()

    assert [row["reason"] for row in file["sheets"]["changes"]] == found
    text = admin_page.get(address).content.decode()
    assert text.count("5 failures, the last") == len(found)
    assert ("format=csv" in text) is bool(found)


def test_a_change_is_no_formula_in_a_spreadsheet(admin_page: Client) -> None:
    """C-16: a gateway's name for a team is told, and never run."""
    make_change(make_probe(make_team(name="=1+1")), timedelta(hours=1))

    text = admin_page.get(reverse("breakers") + "?format=csv").content.decode()

    assert "'=1+1 at " in text
