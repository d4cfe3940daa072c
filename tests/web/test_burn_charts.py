"""The lines of credits: what was left by the hour, the forecast's band, gaps."""

import random
from datetime import timedelta
from itertools import pairwise

import pytest

from dashboard.teams.credit_hours import (
    Hour,
    fold_between,
)
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.spending import (
    refills,
    spending,
    spent_between,
)
from dashboard.web.burn_charts import burn_down, spark, spark_hours
from tests.factories import NOW, make_gateway, make_reading, make_team
from tests.web.burning import DAY, HOUR_S, burn, burning, hours, span

pytestmark = pytest.mark.django_db


def test_readings_in_one_hour_are_no_line_and_no_gap() -> None:
    team = make_team()
    make_reading(team, -600, remaining=500)
    fold_between([team.pk], NOW - DAY, NOW)

    shown = burn_down(hours(team), None, NOW, span("range=1h"))

    assert not shown.has_data
    assert shown.blank == "Readings in one hour of this time: a line needs two."
    assert burn_down([], None, NOW, span("range=1h")).blank.startswith("No data")


def test_the_forecast_is_a_band_that_ends_at_zero() -> None:
    team = burning("Fast", 10.0, left=200.0, gateway=make_gateway())
    shown = burn_down(hours(team), burn(10.0, 5.0, left=200.0), NOW, span())

    lines = {line["label"]: line["points"] for line in shown.chart["lines"]}  # type: ignore[attr-defined]
    fast, slow = (lines[f"{each} pace"] for each in ("Faster", "Slower"))
    assert min(value for _, value in fast if value is not None) == 0
    assert (
        [at for at, _ in fast]
        == [at for at, _ in slow]
        == [at for at, _ in lines["Left"]]
    )
    both = [
        (f, s) for (_, f), (_, s) in zip(fast, slow, strict=True) if None not in (f, s)
    ]
    assert len(both) > 3
    assert all(f <= s for f, s in both)


def test_credits_that_last_for_millions_of_years_are_drawn_as_others() -> None:
    team = burning("Slow", 0.01, left=1e10, gateway=make_gateway())
    shown = burn_down(hours(team), burn(0.01, left=1e10), NOW, span())

    labels = [line["label"] for line in shown.chart["lines"]]  # type: ignore[attr-defined]
    assert "Faster pace" in labels


def test_missing_hours_are_a_gap_in_the_line_and_a_lonely_one_is_a_dot() -> None:
    team = make_team()
    for hour in (2, 3, 4, 8, 20):
        make_reading(team, -hour * HOUR_S)
    fold_between([team.pk], NOW - DAY, NOW)

    path = spark(hours(team), spark_hours(span("range=24h")))

    assert path == "M21 1h0M83 1h0M104 1h0L110 1L115 1"


def told(gap_s: int) -> tuple[Team, list[float]]:
    """Return a team read so often for two days, and what was left each time."""
    team, draw = make_team(), random.Random(gap_s)  # noqa: S311 (no secret)
    left = [100.0]
    for _ in range(2 * gap_s, 2 * 24 * HOUR_S + 1, gap_s):
        refill = 900.0 if left[-1] < 60 else 0.0
        left.append(round(left[-1] + refill - draw.choice([0, 0.5, 30]), 1))
    CreditReading.objects.bulk_create(
        CreditReading(
            team=team,
            read_at=NOW - timedelta(seconds=gap_s * (len(left) - place)),
            remaining=value,
            allocated=1000.0,
        )
        for place, value in enumerate(left)
    )
    fold_between([team.pk], NOW - 2 * DAY, NOW)
    return team, left


@pytest.mark.parametrize("gap_s", [HOUR_S, 5 * HOUR_S, 300])
def test_a_file_of_credits_adds_up_to_what_is_said(gap_s: int) -> None:
    """Also where a team is read once an hour: all goes between two hours then."""
    team, left = told(gap_s)
    steps = [b - a for a, b in pairwise(left)]
    rows = hours(team)

    shown = burn_down(rows, None, NOW, span())

    records = [
        dict(zip(shown.sheet[0], record, strict=True)) for record in shown.sheet[1:]
    ]
    spent = sum(record["spent"] for record in records)  # type: ignore[misc]
    refilled = sum(record["refilled"] for record in records)  # type: ignore[misc]
    assert spent == pytest.approx(-sum(step for step in steps if step < 0))
    assert refilled == pytest.approx(sum(step for step in steps if step > 100))
    assert refilled > 0
    said = spending(rows, NOW - 7 * DAY, NOW)
    assert said is not None
    assert spent == pytest.approx(said.credits)
    assert refilled == pytest.approx(sum(each.amount for each in refills(rows)))
    days = [[float(cell.replace(",", "")) for cell in row[2:4]] for row in shown.rows]
    assert [sum(column) for column in zip(*days, strict=True)] == pytest.approx(
        [spent, refilled], abs=0.2
    )


@pytest.mark.parametrize("asked", ["range=6h", "range=24h", "range=7d"])
def test_each_range_of_a_file_adds_up_to_what_its_page_says(asked: str) -> None:
    team, _ = told(900)
    chosen = span(asked)

    shown = burn_down(hours(team), None, NOW, chosen)

    place = shown.sheet[0].index("spent")
    said = spent_between([team.pk], chosen.start, chosen.end)[team.pk]
    spent = sum(record[place] for record in shown.sheet[1:])  # type: ignore[misc]
    assert spent == pytest.approx(said.credits)


def test_a_team_that_ran_dry_between_two_hours_is_seen_to_have() -> None:
    rows = [
        Hour(NOW - 3 * timedelta(hours=1), 380.0, 374.5, 374.5, 5.5),
        Hour(NOW - 2 * timedelta(hours=1), 370.0, 910.0, 13.0, 357.0, 897.0, 1000.0),
        Hour(NOW - timedelta(hours=1), 905.0, 901.0, 901.0, 4.0),
    ]

    shown = burn_down(rows, None, NOW, span("range=24h"))

    assert shown.summary == "first 380, last 901, least 13, from 2 Mar 09:00 on"
    lines = {line["label"]: line["points"] for line in shown.chart["lines"]}  # type: ignore[attr-defined]
    dips = [value for _, value in lines["Least before"] if value is not None]
    assert dips == [13.0]
    path = spark(rows, spark_hours(span("range=24h")))
    assert path.startswith("M110 14h0L115 23L115 1L120 1"), "down to the ground and up"


@pytest.mark.parametrize(
    ("asked", "points", "step_h"),
    [
        ("range=6h", 6, 1),
        ("range=24h", 24, 1),
        ("range=7d", 42, 4),
        ("range=90d", 42, 52),
    ],
)
def test_a_small_line_has_a_few_points_whatever_its_range(
    asked: str, points: int, step_h: int
) -> None:
    grid = spark_hours(span(asked))

    assert len(grid) == points
    assert grid[1] - grid[0] == timedelta(hours=step_h)
    assert grid[-1] == NOW - timedelta(hours=1), "the running hour begins now"


def test_a_range_that_ended_has_no_forecast_and_only_its_own_hours() -> None:
    past = span("from=2026-03-01T00:00Z&to=2026-03-02T00:00Z")
    rows = [Hour(past.end + n * timedelta(hours=1), 9.0, 9.0, 9.0) for n in (-3, -2, 1)]

    shown = burn_down(rows, burn(10.0, 5.0, left=200.0), NOW, past)

    assert "pace" not in str(shown.chart)
    assert len(shown.sheet) == 1 + 2


def test_the_time_before_is_drawn_under_what_is_left_and_told_in_the_table() -> None:
    rows = [
        Hour(NOW - timedelta(hours=ago), left, left, left)
        for ago, left in ((30, 60.0), (2, 40.0))
    ]

    shown = burn_down(rows, None, NOW, span("range=24h&compare=1"))

    [echo] = [line for line in shown.chart["lines"] if line["is_echo"]]  # type: ignore[attr-defined]
    [own] = [line for line in shown.chart["lines"] if line["label"] == "Left"]  # type: ignore[attr-defined]
    drawn = {value: at for at, value in (*echo["points"], *own["points"]) if value}
    assert echo["label"] == "Left before"
    # 30 h ago is 6 h ago of the day before.
    assert drawn[40.0] - drawn[60.0] == 4 * HOUR_S * 1000
    assert shown.columns[-1] == "Least left before"
    assert [row[-1] for row in shown.rows] == ["60"]
