"""Credits by the hour: folded from readings, and read by pages of many teams."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from dashboard.teams.burn import (
    baselines,
    pace,
    paced_from,
    paces,
)
from dashboard.teams.credit_hours import (
    Hour,
    fold,
    fold_between,
    hours_of,
)
from dashboard.teams.models import CreditHour, CreditReading, Team
from dashboard.teams.queries import burn, latest_readings
from dashboard.teams.spending import (
    refills,
    spending,
    spent_between,
    with_latest,
)
from tests.factories import NOW, make_gateway, make_reading, make_team

pytestmark = pytest.mark.django_db

MINUTE, HOUR = 60, 3600
DAY = timedelta(days=1)


def told(team: Team, *readings: tuple[float, float]) -> None:
    for seconds, remaining in readings:
        make_reading(team, seconds, remaining=remaining)


def hours(team: Team) -> Sequence[Hour]:
    return hours_of([team.pk], NOW - 2 * DAY, NOW + DAY)[team.pk]


def test_an_hour_tells_its_ends_its_least_and_what_was_spent() -> None:
    team = make_team()
    told(team, (0, 500), (60, 480), (120, 490), (180, 450))

    fold(NOW + timedelta(minutes=5))

    row = CreditHour.objects.get()
    assert (row.hour, row.first, row.last, row.least) == (NOW, 500, 450, 450)
    assert (row.spent, row.readings) == (60, 4)


def test_folding_again_changes_what_came_and_adds_nothing_twice() -> None:
    team = make_team()
    told(team, (0, 500), (60, 480))
    fold(NOW + timedelta(minutes=2))
    told(team, (180, 470))

    fold(NOW + timedelta(minutes=4))
    fold(NOW + timedelta(minutes=4))

    assert CreditHour.objects.get().spent == 30


def test_an_hour_without_a_reading_has_no_row_and_unknown_is_not_zero() -> None:
    team = make_team()
    make_reading(team, 0, remaining=None)
    told(team, (-2 * HOUR, 500))

    fold_between([team.pk], NOW - timedelta(hours=3), NOW + timedelta(hours=1))

    assert [row.hour for row in hours(team)] == [NOW - timedelta(hours=2)]


def test_readings_from_before_there_were_hours_are_made_up_for() -> None:
    team = make_team()
    told(team, *((-n * HOUR, 500 + n) for n in (0, 1, 2, 9, 10, 25, 26)))

    for minute in range(5):
        fold(NOW + timedelta(minutes=minute))

    assert len(hours(team)) == 7


def test_use_between_two_hours_counts_and_a_refill_does_not() -> None:
    team = make_team()
    told(team, (-4 * HOUR, 300), (-3 * HOUR, 250), (-2 * HOUR, 900), (-HOUR, 850))

    fold_between([team.pk], NOW - DAY, NOW)
    found = pace(hours(team), NOW)

    assert found is not None
    assert found.per_hour == pytest.approx(100 / 3)
    assert found.remaining == 850
    assert [(each.at, each.amount) for each in refills(hours(team))] == [
        (NOW - timedelta(hours=2), 650)
    ]


@pytest.mark.parametrize("since_h", [-20, -4, -3, -2.5, -1])
def test_one_team_and_many_are_told_the_same_use_of_a_time(since_h: float) -> None:
    team, silent = make_team(), make_team()
    told(team, (-4 * HOUR, 300), (-4 * HOUR + 60, 290), (-3 * HOUR, 250))
    told(team, (-2 * HOUR, 900), (-HOUR, 850))
    fold_between([team.pk], NOW - DAY, NOW)
    since = NOW + timedelta(hours=since_h)

    by_query = spent_between([team.pk, silent.pk], since, NOW)

    assert by_query == {team.pk: spending(hours(team), since, NOW)}
    expected = {-20: 100, -4: 100, -3: 90, -2.5: 90, -1: 50}
    assert by_query[team.pk].credits == expected[since_h]


@pytest.mark.parametrize("minutes", [61, 70, 90, 119, 125, 300])
def test_a_new_teams_pace_is_the_one_that_mails_and_rules_tell(minutes: int) -> None:
    """Its first hour is not a whole one; alarms read the readings themselves."""
    team = make_team()
    told(team, *((-n * MINUTE, 500.0 + n) for n in range(minutes, -1, -1)))
    fold_between([team.pk], NOW - DAY, NOW + timedelta(hours=1))

    by_readings, by_hours = burn(team, NOW), pace(hours(team), NOW)

    assert by_readings is not None
    assert by_hours is not None
    assert by_hours.per_hour == pytest.approx(by_readings.per_hour, rel=0.02)


def test_the_recent_pace_may_differ_from_the_days() -> None:
    team = make_team()
    slow = [(-n * HOUR, 1000.0) for n in range(24, 5, -1)]
    fast = [(-n * HOUR, 1000.0 - 20 * (6 - n)) for n in range(5, 0, -1)]
    told(team, *slow, *fast)

    fold_between([team.pk], NOW - DAY, NOW)
    found = pace(hours(team), NOW)

    assert found is not None
    assert found.recent_per_hour is not None
    assert found.recent_per_hour > 3 * found.per_hour
    assert found.hours_range is not None
    assert found.hours_range[0] < (found.hours_range[1] or 0)


@pytest.mark.parametrize("began", [-125, -55, -40, -3])
def test_the_last_hours_pace_is_the_one_that_mails_and_rules_tell(began: int) -> None:
    team = make_team()
    now = NOW + timedelta(minutes=25)
    for minute in range(-24 * 60, 26):
        make_reading(team, minute * MINUTE, remaining=900 - 5 * max(0, minute - began))
    fold_between([team.pk], NOW - 2 * DAY, now)

    by_readings, by_hours = (
        burn(team, now),
        paces({team.pk: hours(team)}, {}, now)[team.pk],
    )

    assert by_readings is not None
    assert by_hours is not None
    assert by_readings.latest_per_hour == pytest.approx(
        5 * min(60, 25 - began), rel=0.02
    )
    assert by_hours.latest_per_hour == by_readings.latest_per_hour
    assert by_hours.fastest[1] == by_readings.fastest[1] == timedelta(hours=1)


def test_hours_are_topped_up_by_the_latest_reading() -> None:
    """They are folded once a minute, in which a burn spends what is left."""
    team = make_team()
    told(team, *((-n * HOUR, 500.0) for n in range(3, 0, -1)), (0, 500), (60, 450))
    fold_between([team.pk], NOW - DAY, NOW + timedelta(hours=1))
    told(team, (110, 390), (115, 400))
    own, now = hours(team), NOW + timedelta(minutes=2)
    readings = latest_readings([team.pk])

    row = with_latest(own, readings[team.pk])[-1]
    burn = paces({team.pk: own}, readings, now)[team.pk]

    assert (row.last, row.least, row.spent) == (400, 400, 100)
    assert burn is not None
    assert burn.remaining == 400
    new = with_latest(own[:-1], readings[team.pk])[-1]
    assert (new.hour, new.last, new.spent) == (NOW, 400, 0)
    assert with_latest([], readings[team.pk]) == []
    assert with_latest(own, None) == own


def test_the_last_hour_is_read_only_where_it_may_count(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    steady, calm = make_team(), make_team()
    for hour in range(25):
        make_reading(steady, -hour * HOUR, remaining=900.0 + 10 * hour)
        make_reading(calm, -hour * HOUR, remaining=9.0)
    fold_between([steady.pk, calm.pk], NOW - 2 * DAY, NOW + timedelta(hours=1))
    told = {team.pk: hours(team) for team in (steady, calm)}

    with django_assert_num_queries(0):
        found = paces(told, {}, NOW)

    assert {burn.latest_per_hour for burn in found.values() if burn} == {None}


@pytest.mark.parametrize("minutes", [[], [0], [0, 1, 2]])
def test_too_few_readings_tell_no_pace(minutes: list[int]) -> None:
    team = make_team()
    told(team, *((minute * MINUTE, 500 - minute) for minute in minutes))
    now = NOW + timedelta(minutes=3)

    fold(now)

    assert pace(hours(team), now) is None


@pytest.mark.parametrize("number", [2, 20])
def test_many_teams_are_folded_by_a_constant_number_of_queries(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    gateway = make_gateway()
    for _ in range(number):
        told(make_team(gateway), (0, 500), (60, 480))

    with django_assert_num_queries(5):
        fold(NOW + timedelta(minutes=2))


def test_a_new_teams_first_pace_comes_when_it_was_said() -> None:
    """A-43: the readings cover an hour by then; before and afterwards nothing is said."""
    team = make_team()
    assert paced_from([], NOW) is None
    told(team, *((600 * number + 1200, 500 - number) for number in range(11)))
    fold(NOW + timedelta(hours=3))
    seen = [row for row in hours(team) if row.hour == NOW]

    first = paced_from(seen, NOW + timedelta(minutes=30))

    assert first == NOW + timedelta(hours=2)
    assert pace(hours(team), first - timedelta(minutes=1)) is None
    assert pace(hours(team), first) is not None
    assert paced_from(hours(team), first) is None


class TestBaseline:
    def test_it_is_the_median_hour_and_leaves_the_last_one_out(self) -> None:
        team, other = make_team(), make_team()
        remaining = 1000.0
        for minute in range(-6 * 60, 1, 10):
            remaining -= 20 if minute > -60 else 1
            make_reading(team, minute * MINUTE, remaining=remaining)
        make_reading(other, -2 * HOUR, remaining=10)
        fold_between([team.pk, other.pk], NOW - DAY, NOW)

        found = baselines([team.pk, other.pk], NOW)

        assert found[team.pk].last_hour == 120
        assert (found[team.pk].typical, found[team.pk].highest) == (6, 6)
        assert (found[other.pk].typical, found[other.pk].last_hour) == (0, 0)
        assert found[other.pk].hours == 1

    def test_a_refill_is_no_negative_use(self) -> None:
        team = make_team()
        told(team, (-11_400, 100), (-10_200, 60), (-9000, 900), (-7800, 880))
        fold_between([team.pk], NOW - DAY, NOW)

        assert baselines([team.pk], NOW)[team.pk].highest == 60

    def test_what_was_used_since_the_hour_before_counts(self) -> None:
        """A team that is read seldom."""
        team = make_team()
        told(team, (-3 * HOUR, 100), (-HOUR - 1, 90), (-10, 70))
        fold_between([team.pk], NOW - DAY, NOW)

        found = baselines([team.pk], NOW)[team.pk]
        assert found.last_hour == 20
        assert found.drops == ((NOW - timedelta(hours=1), 20),)

    def test_the_weeks_readings_are_not_walked(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        """Of a hundred teams that spent it took the tick a quarter of a minute."""
        teams = [make_team() for _ in range(5)]
        for team in teams:
            told(team, *((-HOUR * number, 50 + number) for number in range(30)))
        pks = [team.pk for team in teams]
        fold_between(pks, NOW - 2 * DAY, NOW)
        usual = baselines(pks, NOW)
        long_ago = NOW - timedelta(hours=2)
        CreditReading.objects.filter(read_at__lt=long_ago).delete()

        with django_assert_num_queries(2):
            assert baselines(pks, NOW) == usual
        assert {each.hours for each in usual.values()} == {28}
