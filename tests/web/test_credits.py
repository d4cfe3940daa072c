"""The credits of all teams and of one: who runs out first, when, and on which basis."""

from datetime import timedelta

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import Recipient
from dashboard.teams.credit_hours import (
    fold_between,
)
from dashboard.teams.models import Role
from dashboard.teams.queries import Burn
from dashboard.teams.spending import (
    Spending,
)
from dashboard.web.burn_charts import burn_down
from dashboard.web.pages.credits import runs_out, runway
from dashboard.web.pages.used import Used, used, used_words
from dashboard.web.ranges import chosen
from tests.factories import NOW, make_gateway, make_probe, make_reading, make_team
from tests.web.burning import DAY, HOUR_S, burn, burning, hours, span
from tests.web.people import person

pytestmark = pytest.mark.django_db


def page(client: Client, name: str = "credits", *args: int) -> str:
    response = client.get(reverse(name, args=args))
    assert response.status_code == 200
    return response.content.decode()


def page_at(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("spent", "said", "when"),
    [
        (None, "too few readings", ""),
        (burn(0.0), "nothing used lately", ""),
        (burn(5.0, left=0.0), "used up", ""),
        (burn(1.0, 1.0), "about 10 d", "on 12 Mar"),
        (burn(1.0, 20.0), "12 h to 10 d", "3 Mar to 12 Mar"),
        (burn(2.0, 0.0), "5 d or longer", "not before 7 Mar"),
        (burn(2.0, 1.0), "5 d to 10 d", "7 Mar to 12 Mar"),
        # A burn that began in the last hour; a fast hour says nothing of the next days.
        (burn(10.0, 40.0, 240.0), "60 min to 24 h", "2 Mar to 3 Mar"),
        (burn(1.0, 1.0, 10.0), "about 10 d", "on 12 Mar"),
        (burn(10.0, 40.0, 50.0), "6 h to 24 h", "2 Mar to 3 Mar"),
    ],
)
def test_how_long_credits_last_is_a_range_with_its_dates(
    spent: Burn | None, said: str, when: str
) -> None:
    assert runway(spent) == runway(spent, None) == said
    assert runs_out(spent, NOW) == when


def test_a_burn_of_the_last_hour_is_the_tight_end_on_each_page(
    admin_page: Client,
) -> None:
    """It began 40 minutes ago: six hours take it for a sixth of what it is."""
    team = make_team(name="Search")
    make_probe(team, last_at=NOW)
    for minute in range(-24 * 60, 1, 10):
        left = 900 if minute < -40 else 900 - 20 * (minute + 40)
        make_reading(team, 60 * minute, remaining=left, allocated=400.0)
    fold_between([team.pk], NOW - 2 * DAY, NOW + timedelta(hours=1))

    for text in (
        page(admin_page),
        page(admin_page, "team", team.pk),
        page(admin_page, "overview"),
        page(admin_page, "admin:teams_team_changelist"),
    ):
        assert "7 min to 3 h" in text
    assert "over the last 6 h, 800 in the last hour alone" in page(admin_page)
    assert "2 Mar, 800 in the last hour, of 1 team" in page(admin_page, "overview")
    assert 'data-tone="bad">ends soon' in page(admin_page, "teams")


def test_the_team_that_runs_out_soonest_is_first(admin_page: Client) -> None:
    gateway = make_gateway()
    burning("Slow", 1.0, left=100.0, gateway=gateway)
    burning("Fast", 30.0, left=600.0, gateway=gateway)
    burning("Idle", 0.0, left=10.0, gateway=gateway)
    empty = burning("Empty", 1.0, left=0.0, gateway=gateway)
    make_probe(empty, last_at=NOW)

    text = page(admin_page)

    places = [text.index(f">{name}</a>") for name in ("Empty", "Fast", "Slow", "Idle")]
    assert places == sorted(places)
    assert "Empty has no credits left." in text


def test_three_kinds_of_nothing(admin_page: Client) -> None:
    assert "No team is watched" in page(admin_page)

    make_probe(team := make_team())
    assert "Waiting for the first reading" in page(admin_page)

    make_reading(team, -HOUR_S)
    text = page(admin_page)
    assert 'class="is-stale"' in text
    assert "60 min ago" in text


@pytest.mark.parametrize(("age_s", "is_old"), [(60, False), (181, True)])
def test_a_reading_is_old_when_three_more_should_be_there(
    admin_page: Client, *, age_s: int, is_old: bool
) -> None:
    team = make_team()
    make_probe(team, last_at=NOW - timedelta(seconds=age_s))
    make_reading(team, -age_s)

    for text in (
        page(admin_page),
        page(admin_page, "teams"),
        page(admin_page, "team", team.pk),
        page(admin_page, "overview"),
    ):
        assert ('data-tone="ok">enough' in text) is not is_old
        assert ("no answer lately" in text) is is_old


@pytest.mark.parametrize(
    ("auto_refill", "said"),
    [
        (None, "not told"),
        (False, "somebody has to add some"),
        (True, "5,000 monthly"),
    ],
)
def test_the_next_refill_is_told_as_far_as_it_is_known(
    admin_page: Client, *, auto_refill: bool | None, said: str
) -> None:
    team = make_team(refill_amount=5000.0, refill_period="monthly")
    make_reading(team, -60, auto_refill=auto_refill)

    assert said in page(admin_page)
    assert said in page(admin_page, "team", team.pk)


def test_where_nothing_refills_itself_it_is_told_that_somebody_did(
    admin_page: Client,
) -> None:
    team = make_team()
    for hour, left in ((4, 100), (3, 90), (2, 900), (1, 880)):
        make_reading(team, -hour * HOUR_S, remaining=left, auto_refill=False)
    fold_between([team.pk], NOW - 2 * DAY, NOW)

    for text in (page(admin_page), page(admin_page, "team", team.pk)):
        assert "none by itself" in text
        assert "somebody added the latest" in text


def test_a_short_range_says_from_which_whole_hour_on_it_counts() -> None:
    half_past = NOW + timedelta(minutes=30)
    hour = chosen(QueryDict("range=1h"), half_past)
    own = Spending(35.0, 2, 64)

    assert used_words(own, None, hour) == (
        "35 credits used from 2 Mar 11:00 on, from 64 readings in 100 % of the hours."
    )
    assert used(own, None, hour).fine == "from 2 Mar 11:00 on"
    assert used(own, None, chosen(QueryDict("range=7d"), half_past)).fine == (
        "in 1.2 % of the hours"
    )


def test_a_refill_that_is_due_in_time_is_said_to_be(admin_page: Client) -> None:
    team = make_team(refill_amount=900.0, refill_period="weekly")
    for hour in range(30):
        left = 850.0 + hour if hour < 20 else 100.0 + hour
        make_reading(team, -hour * HOUR_S, remaining=left, auto_refill=True)
    fold_between([team.pk], NOW - 2 * DAY, NOW + timedelta(hours=1))

    assert "about 8 Mar, before they run out" in page(admin_page)
    assert "Refills of the last 30 days" in page(admin_page, "team", team.pk)


def test_credits_that_are_slowly_overdrawn_are_told_as_others(
    admin_page: Client,
) -> None:
    """C-15: at that pace they would have ended before all dates."""
    team = make_team(refill_amount=900.0, refill_period="weekly")
    for hour, left in ((40, -2e9), (39, -1e9), (20, -1e9), (12, -1e9 - 1), (1, -1e9)):
        make_reading(team, -hour * HOUR_S, remaining=left, auto_refill=True)
    fold_between([team.pk], NOW - 2 * DAY, NOW + timedelta(hours=1))

    assert "after they run out" in page(admin_page)
    assert "after they run out" in page(admin_page, "team", team.pk)


def test_a_day_tells_what_was_used_and_refilled_over_midnight_too() -> None:
    team = make_team()
    for hour, left in ((-14, 500), (-13, 480), (-11, 470), (-10, 460), (-9, 900)):
        make_reading(team, hour * HOUR_S, remaining=left)
    fold_between([team.pk], NOW - 2 * DAY, NOW)

    shown = burn_down(hours(team), None, NOW, span())

    assert shown.rows == [
        ["Mon 2 Mar", "460", "20", "440", "3"],
        ["Sun 1 Mar", "480", "20", "0", "2"],
    ]


def test_a_team_names_who_is_mailed_about_it(admin_page: Client) -> None:
    team = make_team()
    assert "root@example.com" in page(admin_page, "team", team.pk)

    Recipient.objects.create(email="ops@example.com", team=team)
    Recipient.objects.create(email="others@example.com", team=make_team())
    text = page(admin_page, "team", team.pk)

    assert "ops@example.com" in text
    assert "others@example.com" not in text


def test_a_team_names_its_members_with_their_roles(admin_page: Client) -> None:
    team = make_team()
    assert "Nobody: only site administrators see this team." in page(
        admin_page, "team", team.pk
    )

    alice = person("alice", team, Role.MANAGER)
    bob = person("bob", team, Role.VIEWER)
    person("charlie", make_team())

    for client in (alice.client, bob.client):
        text = page(client, "team", team.pk)
        assert text.index("<li>alice") < text.index("<li>bob")
        assert '<li>bob <span class="reason">Viewer</span></li>' in text
        assert "charlie" not in text
        assert "bob@example.com" not in text


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_is_on_the_screen_is_a_file_as_well(admin_page: Client, kind: str) -> None:
    team = burning("=Fast", 10.0, left=200.0, gateway=make_gateway())

    for address, said in (("/credits/", "200.0"), (f"/teams/{team.pk}/", "210.0")):
        response = admin_page.get(address, {"format": kind})
        assert response["Content-Disposition"].endswith(f'.{kind}"')
        told = response.content.decode()
        assert said in told
        assert "\n=Fast" not in told


def test_nobody_learns_of_other_teams_credits() -> None:
    own, other = make_team(name="Own"), make_team(name="Other")
    for team in (own, other):
        make_reading(team)

    text = page(person("alice", own).client)

    assert "Own" in text
    assert "Other" not in text


@pytest.mark.parametrize("number", [3, 12])
def test_it_asks_a_constant_number_of_queries(
    admin_page: Client,
    number: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    gateway = make_gateway()
    for place in range(number):
        make_probe(burning(f"Team {place}", 1.0, left=100.0, gateway=gateway))

    with django_assert_num_queries(12):
        page_at(admin_page, "/credits/?compare=1")


def test_a_teams_page_asks_few_queries(
    admin_page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    team = burning("Fast", 10.0, left=200.0, gateway=make_gateway())
    make_probe(team)
    Recipient.objects.create(email="ops@example.com")

    # A site administrator's banner about the mails is the twelfth.
    with django_assert_max_num_queries(14):
        page(admin_page, "team", team.pk)


@pytest.mark.parametrize(
    ("own", "before", "sentence", "cell"),
    [
        (
            Spending(35.0, 24, 48),
            Spending(24.0, 24, 40),
            "35 credits used, from 48 readings in 100 % of the hours; 24 credits in the time before, from 40 readings in 100 % of the hours.",
            Used("35", "before: 24"),
        ),
        (
            Spending(35.0, 12, 24),
            Spending(24.0, 24, 40),
            "35 credits used, from 24 readings in 50 % of the hours. Too few readings to compare with the time before.",
            Used("35", "in 50 % of the hours, before: too few readings"),
        ),
        (None, None, "No readings in this time.", Used("no data", "no readings")),
    ],
)
def test_what_was_used_is_compared_only_where_both_times_are_known(
    own: Spending | None, before: Spending | None, sentence: str, cell: Used
) -> None:
    chosen_range = span("range=24h&compare=1")

    assert used_words(own, before, chosen_range) == sentence
    assert used(own, before, chosen_range) == cell


def test_the_credits_follow_the_range_of_their_address(admin_page: Client) -> None:
    gateway = make_gateway()
    burning("Blue", 1.0, left=50.0, gateway=gateway)
    make_reading(make_team(gateway, name="New"), -60)

    text = page_at(admin_page, "/credits/?range=6h&compare=1")
    file = admin_page.get("/credits/?range=6h&compare=1&format=json").json()

    assert 'href="?range=6h&amp;compare=1&amp;format=csv"' in text
    assert '6 <span class="reason">before: 6</span>' in text
    assert "no readings in this time" in text
    by_name = {row["team"]: row for row in file["sheets"]["credits"]}
    assert by_name["Blue"]["used_in_range"] == by_name["Blue"]["used_before"] == 6
    assert by_name["Blue"]["range_from"] == "2026-03-02T06:00:00Z"
    assert by_name["New"]["used_in_range"] is None, "unknown, and never zero"


@pytest.mark.parametrize("minute", [40, 90], ids=["same hour", "next hour"])
def test_all_pages_tell_what_was_used_up_to_the_latest_reading(
    admin_page: Client, minute: int
) -> None:
    """The tick folds hours once a minute; a team that hurries uses much in one."""
    team = make_team()
    make_probe(team)
    for gone in range(30):
        make_reading(team, -60 * (minute - gone), remaining=500 - 2.0 * gone)
    fold_between([team.pk], NOW - DAY, NOW)
    make_reading(team, -1, remaining=400.0)

    own = page_at(admin_page, f"/teams/{team.pk}/?range=24h")
    all_teams = page_at(admin_page, "/credits/?range=24h")
    trends = admin_page.get("/trends/?range=24h").context["page"]

    assert "100 credits used" in own
    assert '<td class="num" data-label="Used">100' in all_teams
    assert [row.credits for row in trends.teams] == ["100"]


def test_the_team_page_follows_the_range_of_its_address(admin_page: Client) -> None:
    team = burning("Blue", 1.0, left=50.0, gateway=make_gateway())
    address = reverse("team", args=[team.pk])

    text = admin_page.get(address + "?range=6h&compare=1").content.decode()
    file = admin_page.get(address + "?range=6h&format=json").json()

    assert "6 credits used" in text
    assert "6 credits in the time before" in text
    assert "range=6h&amp;compare=1&amp;format=csv" in text
    assert 6 <= len(file["sheets"]["credits"]) <= 7


def test_a_range_of_years_renews_itself_seldom(admin_page: Client) -> None:
    team = make_team()
    address = reverse("team", args=[team.pk])

    shown = admin_page.get(address).content.decode()
    of_years = admin_page.get(f"{address}?from=2024-01-01T00:00:00Z").content.decode()

    assert 'data-every="15"' in shown
    assert 'data-every="120"' in of_years


def test_the_list_of_teams_begins_with_the_one_that_runs_out_first(
    admin_page: Client,
) -> None:
    """Not with the one that has the smallest share, and lasts longer."""
    gateway = make_gateway()
    burning("Slow and low", 1, left=200, gateway=gateway)
    burning("Fast and full", 200, left=600, gateway=gateway)

    shown = page(admin_page, "teams")

    assert shown.index("Fast and full") < shown.index("Slow and low")
