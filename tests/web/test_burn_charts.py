"""The lines of credits: what was left by the hour, the forecast's band, gaps."""

from datetime import timedelta

import pytest

from dashboard.teams.credit_hours import Hour, fold_between
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
