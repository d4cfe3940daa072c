"""The overview in each state that it can be in."""

import gzip
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import Incident
from dashboard.probes.heartbeats import note_rest
from dashboard.probes.models import ProbeKind
from dashboard.probes.taxonomy import meaning
from dashboard.rollups.services import fold
from dashboard.web.pages import facts as of_facts
from tests.factories import (
    NOW,
    beat,
    make_gateway,
    make_incident,
    make_outcome,
    make_probe,
    make_team,
)
from tests.web.looking import overview
from tests.web.people import person

pytestmark = pytest.mark.django_db


def test_an_empty_site_leads_its_administrator_to_the_guide(admin_page: Client) -> None:
    response = admin_page.get("/")

    assert response.status_code == 302
    assert response["Location"] == "/start/"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/teams/",
        "/credits/",
        "/trends/",
        "/incidents/",
        "/silences/",
        "/breakers/",
        "/outcomes/",
    ],
)
def test_who_has_no_team_reads_whom_to_ask(path: str) -> None:
    probe = make_probe(make_team())
    nina = person("nina").client
    mona = person("mona", probe.team).client

    told = nina.get(path).content.decode()

    assert "No team is shared with you yet" in told
    assert "a manager of the team, or a site administrator, to add you" in told
    # The list of results is searched, and is a file, empty or not.
    assert path == "/outcomes/" or "format=csv" not in told
    assert "No team is shared" not in mona.get(path).content.decode()


def test_a_new_probe_waits_for_its_first_result(admin_page: Client) -> None:
    beat()
    make_probe(next_run=NOW + timedelta(seconds=20))

    text = overview(admin_page)

    assert "Waiting for the first result" in text
    assert "for the first result, due in 20 s" in text


def test_all_clear_tells_when_nothing_was_watched(admin_page: Client) -> None:
    """A-83: for a day; the status page does, too."""
    beat()
    make_outcome(make_probe(last_at=NOW))
    note_rest(NOW - timedelta(minutes=7), NOW - timedelta(minutes=5))

    told = "2 Mar 11:53 to 2 Mar 11:55 UTC"
    assert f"but nothing was watched from {told}" in overview(admin_page)
    with time_machine.travel(NOW, tick=False):
        assert told in admin_page.get("/status/").content.decode()

    note_rest(NOW - timedelta(days=2), NOW - timedelta(hours=25))
    assert "nothing was watched" not in overview(admin_page)


def test_healthy_probes_are_all_clear(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW - timedelta(seconds=4), last_latency_us=50_000)
    make_probe(
        kind=ProbeKind.DEEP_JOB,
        last_at=NOW - timedelta(seconds=9),
        last_error="config_error",
        capped_on=NOW.date(),
    )

    text = overview(admin_page)

    assert "All clear: 1 probe answered" in text
    assert "the latest 4 s ago, 1 stopped by a cap" in text
    assert "<title>Overview" in text


def test_a_probe_without_results_is_not_called_healthy(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW - timedelta(minutes=10))

    assert "results are missing" in overview(admin_page)


def test_a_job_that_takes_seconds_does_not_hide_the_others_latency(
    admin_page: Client,
) -> None:
    beat()
    team = make_team()
    status = make_probe(team=team, last_at=NOW)
    job = make_probe(team=team, kind=ProbeKind.DEEP_JOB, last_at=NOW)
    fold([make_outcome(status, -60 * n) for n in range(1, 31)])
    fold([make_outcome(job, -60 * n, latency_us=3_000_000) for n in range(1, 31)])

    text = overview(admin_page)

    assert "n = 60, newest result just now" in text
    assert "n = 30, without paid probes, newest result just now" in text
    assert "p95 50 ms, without paid probes" in text


def test_results_that_do_not_count_are_not_called_missing(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW, last_error="config_error")

    assert "n = 0, newest result just now" in overview(admin_page)


def test_the_live_part_is_the_page_without_its_frame(admin_page: Client) -> None:
    make_probe()

    part = overview(admin_page, part=True)

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

    with django_assert_max_num_queries(16):
        overview(admin_page)


def test_of_alarms_that_come_and_go_only_the_last_ends_are_read(
    admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three days there may be more than there is room for: each page read them all."""
    monkeypatch.setattr(of_facts, "_MOST_ENDED", 2)
    for hour in (3, 1, 2):
        ended = NOW - timedelta(hours=hour)
        opened = ended - timedelta(hours=hour * 5)
        make_incident(summary=f"{hour}", opened_at=opened, resolved_at=ended)
    still = make_incident()

    known = of_facts.facts(admin_user, NOW)

    assert [each.summary for each in known.ended] == ["1", "2"]
    assert known.incidents == [still]


def test_a_page_that_is_renewed_stays_small(admin_page: Client) -> None:
    beat()
    gateway = make_gateway()
    for _ in range(30):
        probe = make_probe(team=make_team(gateway), last_at=NOW)
        fold([make_outcome(probe, -3600 * n) for n in range(24)])

    assert len(gzip.compress(overview(admin_page, part=True).encode())) < 20_000


def test_many_probes_show_the_worst_and_lead_to_the_others(admin_page: Client) -> None:
    beat()
    gateway = make_gateway()
    for number in range(45):
        make_probe(
            team=make_team(gateway),
            last_at=NOW,
            last_error="server_error" if number == 44 else "",
        )

    short, whole = overview(admin_page), admin_page.get("/?all=1").content.decode()

    assert 'href="?all=1">Show 5 more' in short
    assert short.count('class="strip-cell"><div') == 40
    assert short.index("Server error") < short.index('class="strip-cell"><div')
    assert whole.count('class="strip-cell"><div') == 45


def test_many_alarms_show_the_worst_and_lead_to_the_others(admin_page: Client) -> None:
    """C-20: a gateway that fails all its teams made a page of megabytes of every look."""
    beat()
    gateway = make_gateway()
    make_incident(gateway, severity="critical", summary="Worst of all")
    for number in range(44):
        probe = make_probe(make_team(gateway), last_at=NOW)
        make_incident(probe=probe, severity="warning", summary=f"Warning {number}")

    short, whole = overview(admin_page), admin_page.get("/?all=1").content.decode()

    assert "45 things need attention" in short
    assert "Show 5 more</a>, none of them more urgent" in short
    assert short.count('class="alarm"') == 40
    assert "Worst of all" in short
    assert whole.count('class="alarm"') == 45


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
    assert ">7 min<" in row.since


def test_an_incident_that_ended_is_still_told_for_some_days(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW)
    for days, summary in ((1, "It broke yesterday"), (9, "It broke last week")):
        make_incident(
            gateway=make_gateway(),
            summary=summary,
            opened_at=NOW - timedelta(days=days, hours=2),
            resolved_at=NOW - timedelta(days=days),
        )

    yesterday = Incident.objects.get(summary="It broke yesterday")
    make_incident(
        yesterday.gateway,
        summary="And a breaker opened",
        opened_at=yesterday.opened_at,
        resolved_at=NOW,
        inhibited_by=yesterday,
    )

    text = overview(admin_page)

    assert "It broke yesterday" in text
    assert "And a breaker opened" not in text
    assert "lasted 2 h" in text
    assert "It broke last week" not in text
    assert "All clear" in text


def test_what_still_fails_after_its_outage_is_not_all_clear(admin_page: Client) -> None:
    """Its incident is told of by no other any more, and by itself with the next failure."""
    beat()
    make_probe(last_at=NOW)
    probe = make_probe(last_at=NOW, last_error="server_error", failing_since=NOW)
    outage = make_incident(probe.gateway, resolved_at=NOW)
    make_incident(probe.gateway, probe.team, probe, inhibited_by=outage)

    text = overview(admin_page)

    assert "1 thing needs attention" in text
    assert "from its latest result" in text


def test_the_number_of_problems_is_there_for_the_icon(admin_page: Client) -> None:
    beat()
    make_probe(last_at=NOW, last_error="server_error", failing_since=NOW)

    assert 'data-problems="1"' in overview(admin_page)


def test_what_is_read_aloud_changes_with_what_is_wrong_and_not_with_its_numbers(
    admin_page: Client, clock: time_machine.Traveller
) -> None:
    beat()
    probe = make_probe(last_at=NOW)
    slow = make_incident(probe.gateway, kind="latency", severity="warning")

    first = _aloud(admin_page)
    Incident.objects.update(summary="Two thirds of everything fail")
    clock.shift(20)
    later = _aloud(admin_page)
    slow.delete()
    make_incident(make_gateway(name="Other"))
    other = _aloud(admin_page)

    assert first == later
    assert first.startswith("1 thing needs attention: slow answers, ")
    assert "2 Mar 12:00" in first
    assert other.startswith("1 thing needs attention: error-rate spike, Other")


def _aloud(client: Client) -> str:
    [said] = re.findall(r'id="aloud" role="status">(.*?)</p>', overview(client))
    return str(said)


def test_a_link_says_whose_number_it_is(admin_page: Client) -> None:
    beat()
    probe = make_probe(make_team(name="Acme"), last_at=NOW)
    fold([make_outcome(probe, -60), make_outcome(probe, -30, error_class="timeout")])

    text = overview(admin_page)

    assert 'aria-label="50 % failed: Team status, Acme"' in text
    assert 'aria-label="2 results: Team status, Acme"' in text


def test_numbers_lead_to_the_results_that_they_count(admin_page: Client) -> None:
    beat()
    probe = make_probe(last_at=NOW)
    fold([make_outcome(probe, -60), make_outcome(probe, -30, error_class="timeout")])

    text = overview(admin_page)
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

    shown = overview(admin_page)
    assert 'class="tiles is-stale"' in shown
    assert "<title>Prober stopped " in shown
    detail = admin_page.get(f"/probes/{probe.pk}/").content.decode()
    assert 'class="card is-stale"' in detail
    assert "3 min ago" in detail
