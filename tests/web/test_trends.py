"""Trends: everything together over any time, and who stands out."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.probes.models import Heartbeat
from dashboard.rollups.services import fold
from dashboard.teams.credit_hours import fold as fold_credits
from tests.factories import (
    NOW,
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
    assert f"team={bad.pk}&state=failed&range=24h" in shown.teams[0].failed_url


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


def test_it_can_be_saved(admin_page: Client) -> None:
    probe = make_probe(team=make_team(name="Acme"))
    found = [make_outcome(probe, -60 * n, latency_us=123_456) for n in range(1, 31)]
    found += [make_outcome(probe, -30, error_class="timeout")]
    fold(found)

    told = json.loads(admin_page.get(reverse("trends") + "?format=json").content)
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
    assert set(told["sheets"]) == {"teams", "errors", "latency", "volume"}


def test_others_see_nothing_of_it(admin_page: Client) -> None:
    fold([make_outcome(make_probe(team=make_team(name="Acme")), -60)])

    text = person("charlie").client.get(reverse("trends")).content.decode()

    assert "Acme" not in text
    assert "Nothing is watched yet" in text


@pytest.mark.parametrize("query", ["?range=1h", "?range=90d&compare=1"])
@pytest.mark.parametrize("number", [3, 30])
def test_it_asks_twelve_queries_at_most(
    admin_page: Client,
    number: int,
    query: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    Heartbeat.objects.create(name="tick-0", beat_at=NOW)
    gateway = make_gateway()
    for _ in range(number):
        fold([make_outcome(make_probe(team=make_team(gateway)), -60)])

    with django_assert_max_num_queries(12):
        admin_page.get(reverse("trends") + query)
