"""A team's page tells its latest transactions and its usage, or why there is nothing."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.teams.keys import set_key
from dashboard.teams.models import Statement, Team
from dashboard.teams.statements import Entry, JobType, Told, Usage, keep
from tests.factories import NOW, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('gotcha')</script>"
JOB = "6f0f3ab0-17d8-4f0e-9a3f-000000000001"
CHARGE = Entry(
    at="2026-03-02T11:59:00+00:00",
    kind="deduction",
    amount=-3.0,
    before=1000.0,
    after=997.0,
    reason=HOSTILE,
    job_id=JOB,
)
TYPES = [JobType("chat", 1200.0, 0.45), JobType(HOSTILE, 40.0, None)]
USAGE = Usage(
    "2026-03", jobs=1240.0, failed=2.0, tokens=98000.0, cost_usd=0.5, types=TYPES
)
READ = Told([CHARGE], usage=USAGE)


def keyed(**fields: object) -> Team:
    team = make_team(None, **{"status": "active", **fields})
    set_key(team, "sk-of-the-team-1", NOW)
    return team


def page(client: Client, team: Team, query: str = "") -> str:
    response = client.get(reverse("team", args=[team.pk]) + query)
    assert response.status_code == 200
    return response.content.decode()


def test_it_tells_what_moved_the_credits_and_what_the_month_cost(
    admin_page: Client,
) -> None:
    team = keyed()
    keep(team, READ, NOW - timedelta(minutes=20))

    text = page(admin_page, team)

    for said in (
        "\u22123",
        "1,000 → 997",
        "deduction",
        JOB,
        "read <time",
        "20 min ago",
    ):
        assert said in text, said
    assert "is-stale" not in text
    for said in ("Usage of March 2026", "1,240", "98,000", "$0.5000"):
        assert said in text, said
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("amount", "before", "after", "said"),
    [
        (5.0, 10.0, 15.0, "+5"),
        (3.0, 10.0, 7.0, "\u22123"),
        (-2.0, None, 7.0, "\u22122"),
        (None, None, None, "unknown"),
    ],
)
def test_the_sign_is_what_the_balance_did(
    admin_page: Client,
    amount: float | None,
    before: float | None,
    after: float | None,
    said: str,
) -> None:
    team = keyed()
    keep(team, Told([Entry(amount=amount, before=before, after=after)]), NOW)

    cell = f'<td class="num" data-label="Credits">{said}</td>'
    assert cell in page(admin_page, team)


def test_there_are_several_kinds_of_nothing(admin_page: Client) -> None:
    waiting, refused, empty = keyed(), keyed(), keyed()
    keep(refused, Told(None, "not_found", None, "not_found"), NOW)
    keep(empty, Told([], usage=Usage("2026-03")), NOW)

    assert "The team has no key here" in page(admin_page, make_team())
    assert "Not read yet" in page(admin_page, waiting)
    assert "(not_found)" in page(admin_page, refused)
    text = page(admin_page, empty)
    assert "The gateway tells of none" in text
    assert text.count("no data") >= 4, "unknown, and never zero"


@pytest.mark.parametrize(
    ("cost_usd", "said"),
    [(0.0, "$0.0000"), (9.9e-06, "&lt;$0.0001"), (1234.5, "$1,234.5000")],
)
def test_a_small_cost_is_not_nothing(
    admin_page: Client, cost_usd: float, said: str
) -> None:
    team = keyed()
    keep(team, Told([], usage=Usage("2026-03", cost_usd=cost_usd)), NOW)

    assert said in page(admin_page, team)


@pytest.mark.parametrize("status", ["suspended", "paused"])
def test_a_stopped_team_keeps_its_last_statement_and_tells_its_age(
    admin_page: Client, status: str
) -> None:
    team = keyed(status=status)
    keep(team, READ, NOW - timedelta(hours=7))

    text = page(admin_page, team)

    assert f"The team is {status}: until it is active" in text
    assert "7 h ago" in text
    assert "fold transactions is-stale" in text
    assert "1,000 → 997" in text


def test_the_usage_is_told_by_job_type_too(admin_page: Client) -> None:
    team = keyed()
    keep(team, READ, NOW)

    text = page(admin_page, team)
    file = json.loads(page(admin_page, team, "?format=json"))["sheets"]

    assert '<td class="num">1,200</td><td class="num">$0.4500</td>' in text
    assert '<td class="num">40</td><td class="num">no data</td>' in text
    assert HOSTILE not in text
    assert file["usage by job type"][0] == {
        "month": "2026-03",
        "job_type": "chat",
        "jobs": 1200.0,
        "cost_usd": 0.45,
    }


def test_usage_that_was_kept_before_there_were_types_has_none(
    admin_page: Client,
) -> None:
    team = keyed()
    keep(team, READ, NOW)
    Statement.objects.update(usage={"period": "2026-03", "jobs": 3.0})

    assert "The gateway tells of no job types." in page(admin_page, team)


def test_a_failed_try_leaves_the_old_rows_and_says_why(admin_page: Client) -> None:
    team = keyed()
    keep(team, READ, NOW - timedelta(hours=2))
    keep(team, Told(None, "timeout", USAGE), NOW - timedelta(minutes=30))

    text = page(admin_page, team)

    assert "Not told 30 min ago" in text
    assert "2 h ago" in text
    assert "1,000 → 997" in text


def test_it_can_be_saved_and_runs_in_no_spreadsheet(admin_page: Client) -> None:
    """C-16."""
    team = keyed()
    keep(team, Told([Entry(reason="=1+1", amount=1.0)], usage=USAGE), NOW)

    told = json.loads(page(admin_page, team, "?format=json"))["sheets"]
    assert told["transactions"][0]["reason"] == "=1+1"
    assert told["usage"][0]["cost_usd"] == 0.5
    assert ",'=1+1," in page(admin_page, team, "?format=csv")


def test_a_stranger_learns_nothing_of_it() -> None:
    team = keyed()
    keep(team, READ, NOW)
    stranger = person("charlie").client

    assert stranger.get(reverse("team", args=[team.pk])).status_code == 404
    assert "1,000 → 997" in page(person("alice", team).client, team)


@pytest.mark.parametrize("number", [3, 20])
def test_more_rows_ask_no_more_queries(
    admin_page: Client,
    number: int,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    team = keyed()
    keep(team, Told([CHARGE] * number, usage=USAGE), NOW)

    with django_assert_max_num_queries(13):
        assert page(admin_page, team).count("1,000 → 997") == number
