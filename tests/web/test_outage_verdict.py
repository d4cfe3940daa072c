"""What the overview says of an outage: one thing, with all its probes, and since when."""

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.alerts.models import RuleKind, Severity
from dashboard.probes.models import Probe
from tests.factories import (
    NOW,
    beat,
    make_gateway,
    make_incident,
    make_probe,
    make_team,
)
from tests.web.looking import overview

pytestmark = pytest.mark.django_db


def make_outage(number: int = 5, error_class: str = "unavailable") -> list[Probe]:
    """Let so many teams' probes of one gateway fail, each ten seconds after another."""
    gateway = make_gateway(name="Production")
    return [
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error=error_class,
            failing_since=NOW - timedelta(seconds=100 - 10 * place),
        )
        for place in range(number)
    ]


def first_alarm(page: Client) -> str:
    return str(page.get("/").context["page"].verdict.detail)


@pytest.mark.parametrize("spoken_for", [False, True], ids=["alone", "spoken for"])
def test_an_outage_keeps_all_its_probes_while_their_alarms_open(
    admin_page: Client, *, spoken_for: bool
) -> None:
    """The number fell from 15 to 8 with 16 failing, and the time with it."""
    beat()
    probes = make_outage()
    whole = (
        "Production: 5 probes, Unavailable · whose fault: the gateway's (unavailable)"
    )
    assert first_alarm(admin_page) == f"{whole} · for 80 s"
    breaker = make_incident(
        probes[0].gateway,
        kind=RuleKind.BREAKER_OPEN,
        severity=Severity.WARNING,
        summary="Production: breaker of all endpoints is open",
        opened_at=NOW,
    )

    for probe in probes:
        greater = breaker if spoken_for else None
        make_incident(team=probe.team, probe=probe, inhibited_by=greater)
        assert first_alarm(admin_page) == f"{whole} · for 80 s"


def test_no_trouble_of_a_team_stands_before_an_outage_that_it_is_part_of(
    admin_page: Client,
) -> None:
    beat()
    probes = make_outage()
    make_incident(
        team=probes[0].team,
        kind=RuleKind.AUTH_FAILED,
        summary="fir: the key is refused",
        opened_at=NOW - timedelta(hours=9),
    )

    assert first_alarm(admin_page).startswith("Production: 5 probes, Unavailable")


def test_an_outage_that_fails_in_two_ways_is_one(admin_page: Client) -> None:
    beat()
    probes = make_outage()
    Probe.objects.filter(pk__in=[p.pk for p in probes[:2]]).update(last_error="timeout")

    assert first_alarm(admin_page).startswith(
        "Production: 5 probes, Unavailable (3), Timed out (2) · whose fault: "
    )
    assert len(admin_page.get("/").context["page"].alarms) == 1


@pytest.mark.parametrize(
    ("kind", "severity", "first"),
    [
        (RuleKind.LATENCY, Severity.CRITICAL, "Team status of Acme: Unavailable"),
        (RuleKind.BREAKER_OPEN, Severity.WARNING, "Team status of Acme: Unavailable"),
        (RuleKind.BREAKER_OPEN, Severity.CRITICAL, "Half of everything fails"),
        (RuleKind.ERROR_RATE, Severity.WARNING, "Half of everything fails"),
    ],
)
def test_no_lesser_alarm_stands_in_place_of_a_failure(
    admin_page: Client, kind: RuleKind, severity: Severity, first: str
) -> None:
    beat()
    team = make_team(name="Acme")
    probe = make_probe(
        team=team,
        last_at=NOW,
        last_error="unavailable",
        failing_since=NOW - timedelta(seconds=64),
    )
    make_incident(team=team, probe=probe, kind=kind, severity=severity)

    assert first_alarm(admin_page).startswith(first)


@pytest.mark.parametrize("told", [False, True], ids=["seen", "told"])
def test_what_the_whole_gateway_has_comes_before_a_team_that_was_bad_earlier(
    admin_page: Client, *, told: bool
) -> None:
    beat()
    gateway = make_gateway(name="Production")
    fir = make_team(gateway, name="fir")
    for _ in range(3):
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error="unavailable",
            failing_since=NOW - timedelta(seconds=64),
        )
    make_incident(
        gateway,
        fir,
        kind=RuleKind.TEAM_STATE,
        level="suspended",
        summary="fir: the team is suspended",
        error_class="team_suspended",
        opened_at=NOW - timedelta(minutes=9),
    )
    if told:
        make_incident(
            gateway,
            kind=RuleKind.GATEWAY_DOWN,
            summary="Production: 3 of 3 probes failing",
            error_class="unavailable",
            opened_at=NOW - timedelta(seconds=64),
        )

    first, second = admin_page.get("/").context["page"].alarms
    detail = admin_page.get("/").context["page"].verdict.detail

    assert detail.startswith("Production: 3 ")
    assert detail.endswith(" · whose fault: the gateway's (unavailable) · for 64 s")
    assert first.title.startswith("Production: 3 ")
    assert second.title == "fir: the team is suspended"


def test_keys_refused_at_many_teams_are_no_outage_of_the_gateway(
    admin_page: Client,
) -> None:
    beat()
    gateway = make_gateway(name="Production")
    for _ in range(3):
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error="auth_failed",
            failing_since=NOW - timedelta(seconds=4),
        )
    make_probe(
        team=make_team(gateway, name="elm"),
        last_at=NOW,
        last_error="server_error",
        failing_since=NOW - timedelta(seconds=64),
    )

    first, second = admin_page.get("/").context["page"].alarms

    assert first.title == "Team status of elm: Server error"
    assert second.title == "Production: 3 probes, Key refused"


def test_what_failed_before_for_its_own_reason_does_not_date_an_outage(
    admin_page: Client,
) -> None:
    beat()
    gateway = make_gateway(name="Production")
    for since in (timedelta(days=3), *[timedelta(seconds=30)] * 4):
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error="connect_failed",
            failing_since=NOW - since,
        )

    text = overview(admin_page)

    assert "Production: 5 probes, Cannot connect" in text
    assert "for 30 s" in text
    assert "for 3 d" not in text
