"""The verdict of the overview, and what needs attention: whose fault, since when, what next."""

import sys
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.alerts.models import Incident, Rule, RuleKind, Severity, Silence
from dashboard.probes.models import Probe
from dashboard.teams.credit_hours import (
    fold as fold_credits,
)
from dashboard.teams.models import Gateway, TeamStatus
from dashboard.web.attention import Facts, items
from dashboard.web.prober import Prober, ProberState
from dashboard.web.states import Tone
from tests.factories import (
    NOW,
    beat,
    make_gateway,
    make_incident,
    make_probe,
    make_reading,
    make_team,
)
from tests.web.looking import overview

pytestmark = pytest.mark.django_db


def test_a_failure_shows_before_any_incident_exists(admin_page: Client) -> None:
    beat()
    make_probe(
        last_at=NOW - timedelta(seconds=4),
        last_error="server_error",
        failing_since=NOW - timedelta(seconds=64),
    )

    text = overview(admin_page)

    assert "1 thing needs attention" in text
    assert "Server error" in text
    assert "64 s ago" in text
    assert "<title>1 failing" in text


@pytest.mark.parametrize(
    ("error_class", "whose"),
    [
        ("server_error", "whose fault: the gateway&#x27;s (server error)"),
        ("provider_error", "the gateway&#x27;s (what is behind it: provider error)"),
        ("auth_failed", "whose fault: yours (key refused)"),
        ("not_found", "yours (the request itself: not found)"),
    ],
)
def test_the_verdict_says_whose_fault_it_is_and_since_when(
    admin_page: Client, error_class: str, whose: str
) -> None:
    beat()
    make_probe(
        team=make_team(name="Acme"),
        last_at=NOW,
        last_error=error_class,
        failing_since=NOW - timedelta(seconds=64),
    )

    detail = admin_page.get("/").context["page"].verdict.detail

    assert detail.startswith("Team status of Acme: ")
    assert detail.endswith("· for 64 s")
    assert whose in overview(admin_page)


def test_a_silent_prober_makes_the_verdict_unknown(admin_page: Client) -> None:
    beat(seconds_ago=200)
    make_probe(last_at=NOW - timedelta(seconds=200))

    text = overview(admin_page)

    assert "Unknown: the prober has not worked for 3 min" in text
    assert "The prober has stopped" in text
    assert "stale" in text


def test_an_incident_speaks_for_its_probe(admin_page: Client) -> None:
    beat()
    probe = make_probe(last_at=NOW, last_error="server_error", failing_since=NOW)
    make_incident(probe=probe)

    text = overview(admin_page)

    assert "1 thing needs attention" in text
    assert "Half of everything fails" in text


def test_many_alarms_cost_no_more_each_than_a_few() -> None:
    """C-20: a gateway that fails all of 500 teams held up everybody's overview."""

    def calls(number: int) -> int:
        gateway, made = Gateway(pk=1, name="Production"), 0
        probes = [
            Probe(
                pk=pk,
                gateway=gateway,
                period_s=60,
                last_at=NOW,
                last_error="server_error",
            )
            for pk in range(number)
        ]
        told = [
            Incident(gateway=gateway, probe=probe, opened_at=NOW, kind="error_rate")
            for probe in reversed(probes)
        ]
        for pk, incident in enumerate(told):
            incident.pk = pk
        working = Prober(1.0, ProberState.WORKING)

        def count(*_: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(count)
        try:
            found = items(Facts(NOW, working, probes, [], told, [], {}))
        finally:
            sys.setprofile(None)
        assert len(found) == number + 1
        return made

    assert calls(200) < 2.5 * calls(100)


@pytest.mark.parametrize(
    ("kind", "level", "words"),
    [
        (RuleKind.CREDITS, "critical", "credits critical"),
        (RuleKind.CREDITS, "exhausted", "credits exhausted"),
        (RuleKind.TEAM_STATE, "paused", "team paused"),
        (RuleKind.AUTH_FAILED, "", "key refused"),
        (RuleKind.GATEWAY_DOWN, "", "gateway down"),
    ],
)
def test_an_incident_is_called_what_it_is_by_now(
    admin_page: Client, kind: RuleKind, level: str, words: str
) -> None:
    beat()
    make_incident(kind=kind, level=level)
    make_probe(last_at=NOW)

    assert words in overview(admin_page)


def test_stopped_teams_and_low_credits_need_attention(admin_page: Client) -> None:
    beat()
    team = make_team(status=TeamStatus.SUSPENDED, status_at=NOW, name="Acme")
    make_probe(team=team, last_at=NOW)
    make_reading(team, remaining=50.0)

    text = overview(admin_page)

    assert "2 things need attention" in text
    assert "Team Acme is suspended" in text
    assert "5 % left (50 of 1,000 credits)" in text


def test_what_fails_everywhere_is_one_thing(admin_page: Client) -> None:
    beat()
    gateway = make_gateway(name="Production")
    for _ in range(5):
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error="server_error",
            failing_since=NOW - timedelta(seconds=30),
        )

    text = overview(admin_page)

    assert "1 thing needs attention" in text
    assert "Production: 5 probes, Server error" in text
    assert "and 2 more" in text


def test_the_tile_counts_the_alarms_that_the_list_of_incidents_has(
    admin_page: Client,
) -> None:
    beat()
    probe = make_probe(make_team(), last_at=NOW)
    down = make_incident(probe.gateway, kind=RuleKind.GATEWAY_DOWN, resolved_at=NOW)
    for greater in (None, down):
        make_incident(
            probe=probe,
            kind=RuleKind.BREAKER_OPEN,
            inhibited_by=greater,
            resolved_at=NOW,
        )

    tile = admin_page.get("/").context["page"].tiles[2]

    assert tile.title == "Breakers open, now"
    last = "the last just now, 1 more told as part of a greater one"
    assert tile.change == f"1 alarm in 24 h, {last}"
    Incident.objects.filter(kind=RuleKind.BREAKER_OPEN, inhibited_by=None).delete()
    tile = admin_page.get("/").context["page"].tiles[2]
    assert tile.change == "1 alarm in 24 h, told as part of a greater one"


def test_an_alarm_without_an_error_says_what_to_do_next(admin_page: Client) -> None:
    beat()
    team = make_team(name="cedar")
    make_probe(team=team, last_at=NOW)
    make_incident(
        kind=RuleKind.CREDITS,
        team=team,
        level="critical",
        summary="cedar: 3 % left (30 of 1,000 credits)",
    )

    assert "Add credits to the team, or slow down what uses them." in overview(
        admin_page
    )


def test_an_incident_lasts_since_its_first_failure_not_since_it_opened(
    admin_page: Client,
) -> None:
    beat()
    make_incident(
        gateway=make_probe(last_at=NOW).gateway,
        kind=RuleKind.GATEWAY_DOWN,
        summary="Production is down",
        opened_at=NOW - timedelta(seconds=11),
        evidence={"since": (NOW - timedelta(seconds=64)).isoformat()},
    )

    text = overview(admin_page)

    assert "for 64 s" in text
    assert "for 11 s" not in text


def test_what_is_good_again_does_not_lead_what_fails_now(admin_page: Client) -> None:
    """A-53: an outage that comes and goes waits for its calm, and hides nothing."""
    beat()
    probe = make_probe(make_team(name="fir"), last_at=NOW)
    good = NOW - timedelta(minutes=9)
    make_incident(
        gateway=probe.gateway,
        kind=RuleKind.GATEWAY_DOWN,
        summary="Production: gateway down",
        flapping_since=good,
        clear_since=good,
    )
    page = admin_page.get("/").context["page"]
    assert page.verdict.tone == Tone.WARN
    assert page.verdict.sentence == "Good again: 1 open alarm ends if it stays good"
    was = "Good again since 2 Mar 11:51, it was: Production: gateway down"
    assert page.verdict.detail == was
    assert page.title == "Overview"

    Probe.objects.filter(pk=probe.pk).update(
        last_error="server_error", failing_since=NOW - timedelta(seconds=64)
    )

    page = admin_page.get("/").context["page"]
    assert page.verdict.tone == Tone.BAD
    assert page.verdict.sentence == "1 thing needs attention"
    assert page.verdict.detail.startswith("Team status of fir: Server error")
    first, second = page.alarms
    assert first.title == "Team status of fir: Server error"
    assert second.badge.tone == Tone.WARN
    assert second.why.startswith("good again since 2 Mar 11:51; comes and goes")


def test_an_alarm_says_that_its_probe_works_at_the_moment(admin_page: Client) -> None:
    """A-52: it ends after some good runs, and told the numbers of its last failure."""
    beat()
    probe = make_probe(make_team(), last_at=NOW)
    make_incident(probe=probe, opened_at=NOW - timedelta(minutes=3))
    (alarm,) = admin_page.get("/").context["page"].alarms
    assert alarm.why == "its latest run was good"

    Probe.objects.filter(pk=probe.pk).update(last_error="timeout")
    (alarm,) = admin_page.get("/").context["page"].alarms
    assert alarm.why == ""


def test_what_is_silenced_says_so_and_stands_below_what_is_not(
    admin_page: Client,
) -> None:
    """A-59: somebody has seen it."""
    beat()
    make_probe(last_at=NOW)
    until = NOW + timedelta(hours=1)
    silence = Silence.objects.create(starts_at=NOW, ends_at=until, reason="known")
    make_incident(summary="Balance fails", silence=silence)
    page = admin_page.get("/").context["page"]
    assert page.verdict.tone == Tone.BAD
    assert " · silenced until 2 Mar 13:00 · " in page.verdict.detail

    make_incident(summary="Budget burns", clear_since=NOW)
    detail = admin_page.get("/").context["page"].verdict.detail
    assert detail.startswith("Balance fails")

    make_incident(summary="Credits low", severity=Severity.WARNING)

    page = admin_page.get("/").context["page"]
    assert page.verdict.tone == Tone.WARN
    assert page.verdict.sentence == "2 things need attention"
    assert page.verdict.detail.startswith("Credits low")
    assert [alarm.why for alarm in page.alarms] == [
        "",
        "silenced until 2 Mar 13:00",
        "good again since 2 Mar 12:00",
    ]


def test_it_names_the_team_that_runs_out_first(admin_page: Client) -> None:
    beat()
    gateway = make_gateway()
    slow, quick = make_team(gateway, name="Slow"), make_team(gateway, name="Quick")
    for team, spent in ((slow, 1.0), (quick, 40.0)):
        make_probe(team=team, last_at=NOW)
        for hours in range(7):
            make_reading(team, -3600 * hours - 60, remaining=500 + spent * hours)
            make_reading(
                team, -3600 * hours - 1800, remaining=500 + spent * (hours + 0.5)
            )
    fold_credits(NOW)

    shown = admin_page.get("/").context["page"]

    assert [line.team.word for line in shown.teams] == ["Quick", "Slow"]
    assert shown.teams[0].runway.startswith("12 h")
    # Both have half of theirs: what counts is for how long.
    assert shown.teams[0].credits.badge.word == "ends soon"
    assert shown.teams[1].credits.badge.word == "enough"
    tile = shown.tiles[3]
    assert tile.title == "First to run out of credits"
    assert tile.value == shown.teams[0].runway
    assert tile.fine.startswith("Quick: 50 % left (500 of 1,000 credits)")
    assert tile.change == "on 3 Mar, 960 a day, of 2 teams"


def test_a_team_above_its_own_limit_needs_no_attention(admin_page: Client) -> None:
    """Else the overview would warn for good of what its people have chosen."""
    beat()
    team = make_team()
    make_probe(team=team, last_at=NOW)
    make_reading(team, -60, remaining=150)
    assert "credits low" in overview(admin_page)

    Rule.objects.create(name="own", kind=RuleKind.CREDITS, team=team, warn_at=0.05)

    assert "credits low" not in overview(admin_page)
