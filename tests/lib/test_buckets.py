"""Ranges of whole buckets: in order, without gaps, never smaller than asked for."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, HOUR_S, MINUTE_S

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
moments = st.timedeltas(timedelta(days=-2000), timedelta(days=2000)).map(NOON.__add__)
lengths = st.timedeltas(timedelta(0), timedelta(days=40))
levels = st.sampled_from([MINUTE_S, HOUR_S, DAY_S])
pairs = st.sampled_from([(MINUTE_S, HOUR_S), (HOUR_S, DAY_S), (DAY_S, DAY_S)])


@given(moments, levels)
def test_a_moment_is_in_its_bucket(moment: datetime, level: int) -> None:
    start = buckets.floor(moment, level)

    assert start <= moment < start + timedelta(seconds=level)
    assert start.timestamp() % level == 0
    assert buckets.ceil(start, level) == start == buckets.floor(start, level)


def test_a_day_is_a_day_of_utc() -> None:
    late = datetime(2026, 3, 3, 0, 30, tzinfo=timezone(timedelta(hours=2)))

    assert buckets.floor(late, DAY_S) == datetime(2026, 3, 2, tzinfo=UTC)


@given(moments, lengths, pairs)
def test_a_tiling_covers_the_window_without_gaps(
    start: datetime, length: timedelta, pair: tuple[int, int]
) -> None:
    fine, coarse = pair
    end = start + length

    tiles = buckets.tile(start, end, fine=fine, coarse=coarse)

    edges = [tile.start for tile in tiles] + [tile.end for tile in tiles[-1:]]
    assert [tile.end for tile in tiles] == edges[1:]
    if tiles:
        assert buckets.floor(start, fine) == edges[0]
        assert edges[-1] == buckets.ceil(end, fine)
    for tile in tiles:
        assert tile.start == buckets.floor(tile.start, tile.level)
        assert tile.end == buckets.floor(tile.end, tile.level)


def test_the_inside_is_coarse_and_the_edges_are_fine() -> None:
    start, end = NOON - timedelta(minutes=90), NOON + timedelta(minutes=10)

    tiles = buckets.tile(start, end, fine=MINUTE_S, coarse=HOUR_S)

    assert [(tile.level, tile.start, tile.end) for tile in tiles] == [
        (MINUTE_S, start, NOON - timedelta(hours=1)),
        (HOUR_S, NOON - timedelta(hours=1), NOON),
        (MINUTE_S, NOON, end),
    ]


@given(moments, lengths, st.integers(1, 200), levels)
def test_a_split_has_about_the_pieces_that_were_asked_for(
    start: datetime, length: timedelta, pieces: int, level: int
) -> None:
    end = start + length

    ranges = list(buckets.split(start, end, pieces, level=level))

    assert len(ranges) <= pieces + 1
    widths = {(right - left).total_seconds() for left, right in ranges}
    assert all(width % level == 0 for width in widths)
    assert len(widths) <= 1
    if length:
        assert ranges[0][0] <= start
        assert end <= ranges[-1][1]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), [24, 23, 24]),
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), [24, 25, 24]),
        ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC), [24, 23, 24]),
        # Here the clocks change at midnight: that day begins at one o'clock.
        ("America/Santiago", datetime(2026, 9, 5, 12, tzinfo=UTC), [24, 23, 24]),
        ("Asia/Kolkata", datetime(2026, 3, 28, 12, tzinfo=UTC), [24, 24, 24]),
    ],
)
def test_local_days_have_the_hours_of_their_zone(
    zone: str, day: datetime, hours: list[int]
) -> None:
    days = list(
        buckets.local_days(day, day + timedelta(days=2), ZoneInfo(zone), width=1)
    )

    assert [(end - start) / timedelta(hours=1) for start, end in days] == hours
    assert [start for start, _ in days[1:]] == [end for _, end in days[:-1]]
    assert days[0][0] <= day < days[0][1]


def test_days_of_half_hour_zones_are_rounded_down_to_whole_hours() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")

    [(start, _)] = buckets.local_days(NOON, NOON + timedelta(hours=1), kolkata)

    assert start == datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
