import random
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import Burn, Told, burn, burns, is_refill, latest_readings
from dashboard.teams.services import (
    Credits,
    Sighting,
    Terms,
    clean_base_url,
    record_sightings,
)
from tests.factories import NOW, make_reading, make_team

HOUR = 3600


@pytest.mark.django_db
class TestBurn:
    def test_the_pace_ignores_a_refill(self) -> None:
        team = make_team()
        for hour, remaining in enumerate([100, 90, 80, 180, 170]):
            make_reading(team, (hour - 5) * HOUR, remaining=remaining)

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.per_hour == pytest.approx(30 / 4)
        assert pace.hours_left == pytest.approx(170 / 7.5)

    def test_nothing_used_lasts_for_ever(self) -> None:
        team = make_team()
        for hour in range(4):
            make_reading(team, (hour - 4) * HOUR, remaining=100)

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.per_hour == 0
        assert pace.hours_left is None

    def test_a_pace_without_an_end_lasts_for_a_hundred_years(self) -> None:
        team = make_team()
        for hour, remaining in enumerate([2e-9, 1e-9, 1e15]):
            make_reading(team, (hour - 4) * HOUR, remaining=remaining)

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.hours_left == 100 * 365.25 * 24
        assert NOW + timedelta(hours=pace.hours_left) > NOW

    @pytest.mark.parametrize("seconds", [[], [-HOUR, -10], [-300, -200, -100]])
    def test_too_few_readings_give_no_pace(self, seconds: list[int]) -> None:
        team = make_team()
        for at in seconds:
            make_reading(team, at)
        assert burn(team, NOW) is None

    def test_an_unknown_number_is_not_zero(self) -> None:
        team = make_team()
        for hour, remaining in enumerate([100, None, 90, 80]):
            make_reading(team, (hour - 4) * HOUR, remaining=remaining)

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.per_hour == pytest.approx(20 / 3)

    def test_neither_a_refill_nor_a_refund_is_use(self) -> None:
        team = make_team()
        for hour, remaining in enumerate([100, 90, 190, 180, 185]):
            make_reading(team, (hour - 5) * HOUR, remaining=remaining)

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.per_day == pytest.approx(20 / 4 * 24)

    @pytest.mark.parametrize(
        ("remaining", "allocated", "expected"),
        [(150, 1000, True), (149, 1000, False), (101, 1001, True), (100, 1001, False)],
    )
    def test_a_refill_is_a_twentieth_or_comes_with_what_is_allocated(
        self, remaining: float, allocated: float, *, expected: bool
    ) -> None:
        before = Told(NOW, 100, 1000, auto_refill=False)
        after = Told(NOW, remaining, allocated, auto_refill=False)

        assert is_refill(before, after) is expected

    def test_the_runway_is_the_range_of_both_paces(self) -> None:
        team = make_team()
        for hour in range(20):
            spent = hour if hour < 14 else 14 + 4 * (hour - 14)
            make_reading(team, (hour - 20) * HOUR, remaining=500 - spent)

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.recent_per_hour == pytest.approx(4)
        assert pace.hours_range == pytest.approx((466 / 4, 466 / (34 / 19)))

    def test_a_pace_of_nothing_leaves_the_range_open(self) -> None:
        team = make_team()
        for hour in range(20):
            make_reading(team, (hour - 20) * HOUR, remaining=max(500 - hour, 495))

        pace = burn(team, NOW)

        assert pace is not None
        assert pace.recent_per_hour == 0
        assert pace.hours_range is not None
        shortest, longest = pace.hours_range
        assert shortest == pytest.approx(495 / (5 / 19))
        assert longest is None


@pytest.mark.django_db
def test_the_terms_are_kept_until_others_are_told() -> None:
    team = make_team()
    full = Terms("consumption_tokens", 10_000, 10, 500, "monthly")

    record_sightings([Sighting(team.pk, NOW, terms=full, organization_id="org_a")])
    record_sightings([Sighting(team.pk, NOW, terms=Terms("job_based"))])

    team.refresh_from_db()
    assert (team.budget_mode, team.tokens_per_credit) == ("job_based", 10_000)
    assert (team.refill_amount, team.refill_period) == (500, "monthly")
    assert team.organization_id == "org_a"


@pytest.mark.django_db
def test_the_latest_reading_is_each_teams_own() -> None:
    acme, globex, initech = make_team(), make_team(), make_team()
    make_reading(acme, -60, remaining=1)
    make_reading(acme, -30, remaining=2)
    make_reading(acme, -10, remaining=None)
    make_reading(globex, -60, remaining=3)

    latest = latest_readings([acme.pk, globex.pk, initech.pk])

    assert {pk: reading.remaining for pk, reading in latest.items()} == {
        acme.pk: 2,
        globex.pk: 3,
    }


@pytest.mark.django_db
def test_a_sighting_changes_only_what_it_tells() -> None:
    team = make_team(status="active", model_aliases=["chat-fast"])

    record_sightings([Sighting(team.pk, NOW, credits=Credits(10, 4, 6))])
    record_sightings([Sighting(team.pk, NOW, status="suspended")])

    stored = Team.objects.get(pk=team.pk)
    assert (stored.status, stored.status_at) == ("suspended", NOW)
    assert stored.model_aliases == ["chat-fast"]
    assert CreditReading.objects.get(team=team).remaining == 6


@pytest.mark.django_db
def test_what_does_not_tell_what_remains_is_no_reading() -> None:
    """The latest that did was sought behind a month of those, by each page and tick."""
    team = make_team()

    told = [Credits(10, 4, left) for left in (6, None, None)]
    record_sightings([Sighting(team.pk, NOW, credits=each) for each in told])

    assert [each.remaining for each in team.readings.all()] == [6]


@pytest.mark.django_db
def test_many_sightings_take_no_more_queries_than_few() -> None:
    few, many = ([make_team() for _ in range(count)] for count in (3, 30))

    assert queries_of(few) == queries_of(many)

    told = [(team.status, team.status_at) for team in Team.objects.all()]
    assert told == [("paused", NOW)] * 33


def queries_of(teams: list[Team]) -> int:
    credits_ = Credits(10, 4, 6)
    with CaptureQueriesContext(connection) as queries:
        record_sightings(
            [Sighting(t.pk, NOW, "paused", ("chat-fast",), credits_) for t in teams]
        )
    return len(queries)


def test_a_base_url_has_one_form() -> None:
    for text in (
        "https://gw.example",
        "https://gw.example/api/",
        " https://gw.example/api",
    ):
        assert clean_base_url(text) == "https://gw.example"


def test_a_base_url_with_credentials_is_refused_without_showing_them() -> None:
    with pytest.raises(ValueError, match="credentials") as caught:
        clean_base_url("https://user:CANARY@gw.example")
    assert "CANARY" not in str(caught.value)


def plain_burn(team: Team, now: datetime) -> Burn | None:
    """Return the pace of one team, reading by reading."""

    def pace(told: list[CreditReading]) -> float | None:
        if len(told) < 3 or told[-1].read_at - told[0].read_at < timedelta(hours=1):
            return None
        return spent(told) / ((told[-1].read_at - told[0].read_at) / timedelta(hours=1))

    def spent(told: list[CreditReading]) -> float:
        left = [each.remaining for each in told if each.remaining is not None]
        return sum(max(0.0, a - b) for a, b in pairwise(left))

    def within(hours: float) -> list[CreditReading]:
        own = CreditReading.objects.filter(team=team, remaining__isnull=False)
        since = now - timedelta(hours=hours)
        return list(own.filter(read_at__gt=since, read_at__lte=now).order_by("read_at"))

    day, hour = within(24), within(1)
    per_hour = pace(day)
    if per_hour is None:
        return None
    return Burn(
        per_hour=per_hour,
        remaining=day[-1].remaining or 0.0,
        readings=len(day),
        span=day[-1].read_at - day[0].read_at,
        auto_refill=bool(day[-1].auto_refill),
        recent_per_hour=pace(within(6)),
        latest_per_hour=spent(hour) if len(hour) >= 3 else None,
    )


@pytest.mark.django_db
def test_the_paces_of_many_teams_are_those_of_each_reading_by_reading() -> None:
    """Refills, gaps, unknown credits, what is on the edge, or dated ahead of the clock."""
    draw = random.Random(7)  # noqa: S311
    teams = [make_team() for _ in range(30)]
    edges = [0.0, -3600, -6 * 3600, -24 * 3600, 60, -3599.5]
    for team in teams:
        often = draw.choice([2, 5, 40])
        hours = draw.choice([0.5, 3, 26])
        moments = {round(draw.uniform(-hours * 3600, 60), 6) for _ in range(often)}
        CreditReading.objects.bulk_create(
            CreditReading(
                team=team,
                read_at=NOW + timedelta(seconds=at),
                remaining=draw.choice([None, -3.0, *[draw.uniform(0, 1000)] * 6]),
                auto_refill=draw.choice([None, False, True]),
            )
            for at in sorted(moments | set(draw.sample(edges, 2)))
        )
    expected = {team.pk: plain_burn(team, NOW) for team in teams}

    found = burns([team.pk for team in teams], NOW)

    told = {pk: pace for pk, pace in expected.items() if pace is not None}
    assert found.keys() == told.keys()
    for pk, pace in told.items():
        for name, value in asdict(pace).items():
            # The database may add up in another order.
            same = pytest.approx(value) if isinstance(value, float) else value
            assert getattr(found[pk], name) == same
    assert 10 < len(found) < 30
    assert burns([], NOW) == {}
