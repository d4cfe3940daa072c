"""Trends: everything together over any time, and who stands out."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.lib.buckets import HOUR_S
from dashboard.probes.models import ProbeKind
from dashboard.probes.services import change
from dashboard.rollups.services import fold
from dashboard.teams.credit_hours import (
    fold as fold_credits,
)
from dashboard.teams.credit_hours import (
    fold_between,
)
from dashboard.teams.models import Gateway
from tests.factories import (
    NOW,
    beat,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)
from tests.web.people import person

pytestmark = pytest.mark.django_db


def test_the_team_that_fails_most_comes_first_with_what_it_spent(
    admin_page: Client,
) -> None:
    gateway = make_gateway()
    good, bad = make_team(gateway, name="Good"), make_team(gateway, name="Bad")
    for team, error_class in ((good, ""), (bad, "server_error")):
        probe = make_probe(team=team)
        fold([make_outcome(probe, -60 * n, error_class=error_class) for n in (1, 2)])
    for seconds, left in ((-5400, 530.0), (-1800, 500.0), (-600, 460.0)):
        make_reading(good, seconds, remaining=left)
    fold_credits(NOW)

    shown = admin_page.get(reverse("trends") + "?range=24h").context["page"]

    assert [row.link.word for row in shown.teams] == ["Bad", "Good"]
    assert (shown.teams[0].error_rate, shown.teams[0].credits) == ("100 %", "no data")
    assert shown.teams[1].credits == "70"


def test_each_number_leads_to_exactly_what_it_counts(admin_page: Client) -> None:
    """Also what its first hour counts beyond the range, and days after that."""
    team = make_team(name="Acme")
    probe = make_probe(team=team)
    before_half_past = 7 * 86_400 - 600
    found = [make_outcome(probe, -before_half_past, error_class="timeout")]
    found += [make_outcome(probe, -3600 * 20 * n) for n in range(1, 8)]
    found += [make_outcome(probe, -90_000, error_class="server_error")]
    found += [make_outcome(probe, -95_000, error_class="breaker_held")]
    fold(found)

    span = "?from=2026-02-23T12:30:00Z&to=2026-03-02T12:00:00Z"
    shown = admin_page.get(reverse("trends") + span).context["page"]
    listed = {
        name: len(admin_page.get(url).context["page"].rows)
        for name, url in (
            *((fact.name, fact.url) for fact in shown.facts if fact.url),
            ("team failed", shown.teams[0].failed_url),
            ("team n", shown.teams[0].counted_url),
            ("kind failed", shown.kinds[0].failed_url),
            ("kind n", shown.kinds[0].counted_url),
        )
    }

    seen = shown.teams[0].seen
    assert (seen.bad, seen.samples, seen.excluded) == (2, 9, 1)
    assert {listed[name] for name in ("Error rate", "team failed", "kind failed")} == {
        2
    }
    assert {listed[n] for n in ("team n", "kind n", "Right at first try")} == {9}
    assert listed["p95"] == 7
    assert listed["Coverage"] == 10


def test_time_down_says_that_it_adds_up(admin_page: Client) -> None:
    gateway = make_gateway()
    for _ in range(2):
        probe = make_probe(team=make_team(gateway))
        fold([make_outcome(probe, -60 * n, error_class="timeout") for n in (1, 2)])

    facts = admin_page.get(reverse("trends")).context["page"].facts

    assert "added up over 2 probes" in facts[4].fine


def test_it_is_a_week_unless_something_else_is_asked_for(admin_page: Client) -> None:
    make_probe()

    week = admin_page.get(reverse("trends")).content.decode()
    hour = admin_page.get(reverse("trends") + "?range=1h").content.decode()

    assert 'href="?range=7d" aria-current="true"' in week
    assert 'href="?range=1h" aria-current="true"' in hour


def test_it_compares_with_the_week_before(admin_page: Client) -> None:
    probe = make_probe()
    week = timedelta(days=7).total_seconds()
    fold([make_outcome(probe, -week - 3600 * 5, error_class="timeout")])
    fold([make_outcome(probe, -3600)])

    text = admin_page.get(reverse("trends") + "?compare=1").content.decode()

    assert "before: 100 %" in text


def test_the_time_before_is_a_line_and_a_column_of_each_chart(
    admin_page: Client,
) -> None:
    probe = make_probe()
    day = 86_400
    fold([make_outcome(probe, -day - 3600, error_class="timeout")])
    fold([make_outcome(probe, -day - 3700, latency_us=90_000)])
    fold([make_outcome(probe, -3600 * n) for n in (1, 2)])

    shown = admin_page.get(reverse("trends") + "?range=24h&compare=1").context["page"]

    told = {
        chart.name: (
            [line["label"] for line in chart.chart["lines"] if line["is_echo"]],
            chart.columns[-1],
            [row[-1] for row in chart.rows if row[-1] not in {"no data", "0"}],
        )
        for chart in shown.charts
    }
    assert told == {
        "errors": (["Failed before"], "Failed before", ["1"]),
        "latency": (["p95 before"], "p95 before", ["90 ms"]),
        "volume": (["results before"], "Results before", ["1", "1"]),
    }


def test_it_can_be_saved(admin_page: Client) -> None:
    probe = make_probe(team=make_team(name="Acme"))
    found = [make_outcome(probe, -60 * n, latency_us=123_456) for n in range(1, 31)]
    found += [make_outcome(probe, -30, error_class="timeout")]
    fold(found)

    query = "?format=json&compare=1"
    told = json.loads(admin_page.get(reverse("trends") + query).content)
    shown = json.loads(admin_page.get(reverse("overview") + "?format=json").content)

    row = told["sheets"]["teams"][0]
    assert row["team"] == "Acme"
    # Numbers for a program, unrounded, and not the page's words for them.
    assert row["error_rate"] == pytest.approx(1 / 31)
    assert row["p95_ms"] == pytest.approx(123.456, rel=0.02)
    assert (row["samples"], row["credits"]) == (31, None)
    [probe_row] = shown["sheets"]["probes"]
    assert probe_row["error_rate_1h"] == pytest.approx(1 / 31)
    assert probe_row["p95_ms_1h"] == pytest.approx(123.456, rel=0.02)
    assert set(told["sheets"]) == {"teams", "range", "errors", "latency", "volume"}
    current, before = told["sheets"]["range"]
    assert current["succeeded_in_the_end"] == pytest.approx(30 / 31)
    assert current["p90_ms"] == pytest.approx(123.456, rel=0.02)
    assert current["per_minute"] == pytest.approx(31 / 10_080, rel=0.05)
    assert (current["mean_ms"], current["failures"]) == (123.456, "timeout 1")
    assert (current["too_few_for"], current["newest_age_s"]) == ("p99", HOUR_S)
    assert (before["results"], before["error_rate"], before["newest_at"]) == (
        *(0, None, None),
    )


def test_the_facts_name_the_mean_the_pace_and_what_a_retry_mended(
    admin_page: Client,
) -> None:
    probe = make_probe(period_s=60)
    fold(
        make_outcome(probe, -60 * n, latency_us=100_000, attempts=1 + (n == 3))
        for n in range(1, 21)
    )

    shown = admin_page.get(reverse("probe", args=[probe.pk]) + "?range=1h")
    basis = {fact.name: fact.fine for fact in shown.context["page"].facts}

    assert basis["p50"] == "n = 20, mean 100 ms"
    assert basis["p95"].startswith("n = 20, p90 1")
    assert basis["Right at first try"] == "n = 20, in the end 100 %"
    assert basis["Coverage"].endswith("expected, 0.33 a minute")


@pytest.mark.parametrize("address", ["probe", "trends"])
def test_a_page_says_one_coverage(admin_page: Client, address: str) -> None:
    """Of a probe that ran every five minutes until ten minutes ago."""
    probe = make_probe(period_s=300)
    Gateway.objects.update(created_at=NOW - timedelta(days=2))
    fold(make_outcome(probe, -300 * n) for n in range(3, 200))
    change(probe, period_s=10, enabled=True, now=NOW - timedelta(minutes=10))
    fold(make_outcome(probe, -10 * n) for n in range(1, 31))

    path = reverse(address, args=[probe.pk] if address == "probe" else [])
    shown = admin_page.get(f"{path}?range=24h").context["page"]

    coverage = next(fact for fact in shown.facts if fact.name == "Coverage")
    volume = next(each for each in shown.charts if each.name == "volume")
    assert coverage.fine.startswith("227 of 346 expected")
    assert volume.summary == f"227 results of 346 expected: {coverage.value}"


@pytest.mark.parametrize("asked", ["1h", "6h", "24h", "7d", "30d", "90d"])
def test_the_rows_are_of_the_same_time_as_the_numbers_above(
    admin_page: Client, asked: str
) -> None:
    """A line of many probes over a month has points of days, and begins with a whole one."""
    gateway = make_gateway()
    for place, kind in enumerate([ProbeKind.TEAM_STATUS, ProbeKind.BALANCE] * 4):
        probe = make_probe(make_team(gateway), kind=kind, period_s=3600)
        ages = (0.3, 0.9, 5.9, 23.7, 7 * 24 - 0.4, 30 * 24 + 3, 30 * 24 - 0.5, 90 * 24)
        fold(
            make_outcome(probe, -3600 * age, error_class="timeout" if place % 2 else "")
            for age in ages
        )

    shown = admin_page.get(f"/trends/?range={asked}").context["page"]

    above = next(fact.fine for fact in shown.facts if fact.name == "Error rate")
    rows = [row.seen for row in shown.kinds]
    failed, samples = sum(row.bad for row in rows), sum(row.samples for row in rows)
    assert above == f"{failed} of {samples} failed"
    assert failed * 2 == samples


@pytest.mark.parametrize(
    ("query", "hours"),
    [("range=90d", -90 * 24 - 5), ("from=2025-12-01T12:00&to=2026-02-25T12:00", -115)],
)
def test_a_row_tells_of_one_time_what_came_and_what_was_used(
    admin_page: Client, query: str, hours: int
) -> None:
    """Of whole days: before the start that was asked for, and after the end."""
    team = make_team()
    fold([make_outcome(make_probe(team), hours * 3600)])
    for minutes, left in ((-1, 500.0), (1, 470.0)):
        make_reading(team, hours * 3600 + minutes * 60, remaining=left)
    fold_between([team.pk], NOW - timedelta(days=91), NOW)

    [row] = admin_page.get(f"/trends/?{query}").context["page"].teams

    assert (row.samples, row.credits) == ("1", "30")


def test_others_see_nothing_of_it(admin_page: Client) -> None:
    fold([make_outcome(make_probe(team=make_team(name="Acme")), -60)])

    text = person("charlie").client.get(reverse("trends")).content.decode()

    assert "Acme" not in text
    assert "No team is shared with you yet" in text


@pytest.mark.parametrize("query", ["?range=1h", "?range=90d&compare=1"])
@pytest.mark.parametrize("number", [3, 30])
def test_it_asks_thirteen_queries_at_most(
    admin_page: Client,
    number: int,
    query: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    beat()
    gateway = make_gateway()
    for _ in range(number):
        fold([make_outcome(make_probe(team=make_team(gateway)), -60)])

    with django_assert_max_num_queries(13):
        admin_page.get(reverse("trends") + query)
