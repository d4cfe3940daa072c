"""The overview in each state that it can be in."""

import gzip
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import Incident, RuleKind, Severity
from dashboard.probes.models import Heartbeat, ProbeKind
from dashboard.probes.taxonomy import meaning
from dashboard.rollups.services import fold
from dashboard.teams.credit_hours import fold as fold_credits
from dashboard.teams.models import TeamStatus
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db


def page(client: Client, *, part: bool = False) -> str:
    headers = {"HX-Request": "true"} if part else {}
    response = client.get("/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def beat(seconds_ago: float = 5) -> None:
    Heartbeat.objects.create(
        name="tick-0", beat_at=NOW - timedelta(seconds=seconds_ago)
    )


def test_an_empty_site_leads_its_administrator_to_the_guide(admin_page: Client) -> None:
    response = admin_page.get("/")

    assert response.status_code == 302
    assert response["Location"] == "/start/"


def test_a_new_probe_waits_for_its_first_result(admin_page: Client) -> None:
    beat()
    make_probe(next_run=NOW + timedelta(seconds=20))

    text = page(admin_page)

    assert "Waiting for the first result" in text
    assert "for the first result, due in 20 s" in text


def test_healthy_probes_are_all_clear(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW - timedelta(seconds=4), last_latency_us=50_000)

    text = page(admin_page)

    assert "All clear: 1 probe answered" in text
    assert "the latest 4 s ago" in text
    assert "<title>Overview" in text


def test_a_failure_shows_before_any_incident_exists(admin_page: Client) -> None:
    beat()
    make_probe(
        last_at=NOW - timedelta(seconds=4),
        last_error="server_error",
        failing_since=NOW - timedelta(seconds=64),
    )

    text = page(admin_page)

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
    assert detail.endswith("· since 64 s")
    assert whose in page(admin_page)


def test_a_silent_prober_makes_the_verdict_unknown(admin_page: Client) -> None:
    beat(seconds_ago=200)
    make_probe(last_at=NOW - timedelta(seconds=200))

    text = page(admin_page)

    assert "Unknown: the prober has not worked for 3 min" in text
    assert "The prober has stopped" in text
    assert "stale" in text


def test_a_probe_without_results_is_not_called_healthy(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW - timedelta(minutes=10))

    assert "results are missing" in page(admin_page)


def test_an_incident_speaks_for_its_probe(admin_page: Client) -> None:
    beat()
    probe = make_probe(last_at=NOW, last_error="server_error", failing_since=NOW)
    Incident.objects.create(
        kind=RuleKind.ERROR_RATE,
        identity=f"error_rate:probe:{probe.pk}",
        gateway=probe.gateway,
        probe=probe,
        severity=Severity.CRITICAL,
        summary="Half of everything fails",
        opened_at=NOW,
        evaluated_at=NOW,
    )

    text = page(admin_page)

    assert "1 thing needs attention" in text
    assert "Half of everything fails" in text


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
    Incident.objects.create(
        kind=kind,
        identity=f"{kind}:team:1",
        gateway=make_gateway(),
        severity=Severity.CRITICAL,
        level=level,
        summary="Something",
        opened_at=NOW,
        evaluated_at=NOW,
    )
    make_probe(last_at=NOW)

    assert words in page(admin_page)


def test_stopped_teams_and_low_credits_need_attention(admin_page: Client) -> None:
    beat()
    team = make_team(status=TeamStatus.SUSPENDED, status_at=NOW, name="Acme")
    make_probe(team=team, last_at=NOW)
    make_reading(team, remaining=50.0)

    text = page(admin_page)

    assert "2 things need attention" in text
    assert "Team Acme is suspended" in text
    assert "5 % left (50 of 1,000 credits)" in text


def test_a_job_that_takes_seconds_does_not_hide_the_others_latency(
    admin_page: Client,
) -> None:
    beat()
    team = make_team()
    status = make_probe(team=team, last_at=NOW)
    job = make_probe(team=team, kind=ProbeKind.DEEP_JOB, last_at=NOW)
    fold([make_outcome(status, -60 * n) for n in range(1, 31)])
    fold([make_outcome(job, -60 * n, latency_us=3_000_000) for n in range(1, 31)])

    text = page(admin_page)

    assert "n = 60, newest result just now" in text
    assert "n = 30, without paid probes, newest result just now" in text
    assert "p95 between 50 ms and 50 ms, without paid probes" in text


def test_results_that_do_not_count_are_not_called_missing(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW, last_error="config_error")

    assert "n = 0, newest result just now" in page(admin_page)


def test_the_live_part_is_the_page_without_its_frame(admin_page: Client) -> None:
    make_probe()

    part = page(admin_page, part=True)

    assert "<html" not in part
    assert "verdict" in part


@pytest.mark.parametrize("number", [3, 30])
def test_the_number_of_queries_does_not_grow_with_the_probes(
    admin_page: Client,
    number: int,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    beat()
    gateway = make_gateway()
    for _ in range(number):
        make_probe(team=make_team(gateway), last_at=NOW)

    with django_assert_max_num_queries(12):
        page(admin_page)


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

    text = page(admin_page)

    assert "1 thing needs attention" in text
    assert "Production: 5 probes, Server error" in text
    assert "and 2 more" in text


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
    opened = {"gateway": gateway, "severity": Severity.CRITICAL, "evaluated_at": NOW}
    Incident.objects.create(
        identity="team_state/1",
        kind=RuleKind.TEAM_STATE,
        team=fir,
        level="suspended",
        summary="fir: the team is suspended",
        error_class="team_suspended",
        opened_at=NOW - timedelta(minutes=9),
        **opened,
    )
    if told:
        Incident.objects.create(
            identity="gateway_down/1",
            kind=RuleKind.GATEWAY_DOWN,
            summary="Production: 3 of 3 probes failing",
            error_class="unavailable",
            opened_at=NOW - timedelta(seconds=64),
            **opened,
        )

    first, second = admin_page.get("/").context["page"].alarms
    detail = admin_page.get("/").context["page"].verdict.detail

    assert detail.startswith("Production: 3 ")
    assert detail.endswith(" · whose fault: the gateway's (unavailable) · since 64 s")
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


def test_an_alarm_without_an_error_says_what_to_do_next(admin_page: Client) -> None:
    beat()
    team = make_team(name="cedar")
    make_probe(team=team, last_at=NOW)
    Incident.objects.create(
        identity="credits/1",
        kind=RuleKind.CREDITS,
        gateway=team.gateway,
        team=team,
        severity=Severity.CRITICAL,
        level="critical",
        summary="cedar: 3 % left (30 of 1,000 credits)",
        opened_at=NOW,
        evaluated_at=NOW,
    )

    assert "Add credits to the team, or slow down what uses them." in page(admin_page)


def test_an_incident_lasts_since_its_first_failure_not_since_it_opened(
    admin_page: Client,
) -> None:
    beat()
    Incident.objects.create(
        identity="gateway_down/1",
        gateway=make_probe(last_at=NOW).gateway,
        kind=RuleKind.GATEWAY_DOWN,
        severity=Severity.CRITICAL,
        summary="Production is down",
        opened_at=NOW - timedelta(seconds=11),
        evaluated_at=NOW,
        evidence={"since": (NOW - timedelta(seconds=64)).isoformat()},
    )

    text = page(admin_page)

    assert "since 64 s" in text
    assert "since 11 s" not in text


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

    text = page(admin_page)

    assert "Production: 5 probes, Cannot connect" in text
    assert "since 30 s" in text
    assert "since 3 d" not in text


def test_a_page_that_is_renewed_stays_small(admin_page: Client) -> None:
    beat()
    gateway = make_gateway()
    for _ in range(30):
        probe = make_probe(team=make_team(gateway), last_at=NOW)
        fold([make_outcome(probe, -3600 * n) for n in range(24)])

    assert len(gzip.compress(page(admin_page, part=True).encode())) < 20_000


def test_many_probes_show_the_worst_and_lead_to_the_others(admin_page: Client) -> None:
    beat()
    gateway = make_gateway()
    for number in range(45):
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error="server_error" if number == 44 else "",
        )

    short, whole = page(admin_page), admin_page.get("/?all=1").content.decode()

    assert 'href="?all=1">Show 5 more' in short
    assert short.count('class="strip-cell"><div') == 40
    assert short.index("Server error") < short.index('class="strip-cell"><div')
    assert whole.count('class="strip-cell"><div') == 45


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


def test_probes_that_do_not_run_are_one_line_each(admin_page: Client) -> None:
    beat()
    gateway = make_gateway()
    for _ in range(10):
        team = make_team(gateway)
        make_probe(team=team, last_at=NOW)
        make_probe(team=team, kind=ProbeKind.BALANCE)
        make_probe(team=team, kind=ProbeKind.DEEP_JOB, enabled=False)
    make_probe(team=make_team(gateway), kind=ProbeKind.DEEP_JOB, enabled=False)

    shown = admin_page.get("/").context["page"]
    whole = admin_page.get("/?all=1").context["page"]

    assert len(shown.rows) == 10
    assert [line.words for line in shown.quiet] == [
        "10 probes wait for the key of 10 teams",
        "11 probes are switched off",
    ]
    assert (len(whole.rows), whole.quiet) == (31, [])


def test_a_failing_probe_tells_in_its_row_since_when(admin_page: Client) -> None:
    beat()
    make_probe(
        last_at=NOW,
        last_error="server_error",
        failing_since=NOW - timedelta(minutes=7),
    )

    [row] = admin_page.get("/").context["page"].rows

    assert row.badge.reason == "Server error"
    assert "7 min ago" in row.since


def test_an_incident_that_ended_is_still_told_for_some_days(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW)
    for days, summary in ((1, "It broke yesterday"), (9, "It broke last week")):
        Incident.objects.create(
            kind=RuleKind.ERROR_RATE,
            identity=f"error_rate:probe:{days}",
            gateway=make_gateway(),
            severity=Severity.CRITICAL,
            summary=summary,
            opened_at=NOW - timedelta(days=days, hours=2),
            resolved_at=NOW - timedelta(days=days),
            evaluated_at=NOW,
        )

    text = page(admin_page)

    assert "It broke yesterday" in text
    assert "lasted 2 h" in text
    assert "It broke last week" not in text
    assert "All clear" in text


def test_the_number_of_problems_is_there_for_the_icon(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW, last_error="server_error", failing_since=NOW)

    assert 'data-problems="1"' in page(admin_page)


def test_numbers_lead_to_the_results_that_they_count(admin_page: Client) -> None:
    beat()
    probe = make_probe(last_at=NOW)
    fold([make_outcome(probe, -60), make_outcome(probe, -30, error_class="timeout")])

    text = page(admin_page)
    [row] = admin_page.get("/").context["page"].rows
    of_all = admin_page.get("/").context["page"].tiles[0].url

    assert len(admin_page.get(row.all_url).context["page"].rows) == 2
    for url in (row.failed_url, of_all):
        [failed] = admin_page.get(url).context["page"].rows
        assert failed.badge.word == meaning("timeout").title
    assert 'data-strip="' in text
    assert f"2/1/{meaning('timeout').title}" in text


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_is_shown_can_be_saved(admin_page: Client, kind: str) -> None:
    beat()
    probe = make_probe(last_at=NOW)
    fold([make_outcome(probe, -60)])

    response = admin_page.get(f"/?format={kind}")

    assert f'.{kind}"' in response["Content-Disposition"]
    assert "Health" in response.content.decode()


def test_old_numbers_are_grey_and_tell_their_age(admin_page: Client) -> None:
    beat(seconds_ago=200)
    probe = make_probe(last_at=NOW - timedelta(seconds=200))

    assert 'class="tiles is-stale"' in page(admin_page)
    detail = admin_page.get(f"/probes/{probe.pk}/").content.decode()
    assert 'class="card is-stale"' in detail
    assert "3 min ago" in detail
