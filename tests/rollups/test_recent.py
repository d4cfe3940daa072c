"""The overview's last hour: minutes where they are needed, the running hour as one row."""

from datetime import timedelta

import pytest

from dashboard.rollups.recent import recent
from dashboard.rollups.services import fold
from tests.factories import NOW, make_outcome, make_probe

pytestmark = pytest.mark.django_db

AT = NOW + timedelta(minutes=20)


def test_the_last_hour_is_exact_across_the_clock_hours() -> None:
    probe = make_probe()
    fold(
        make_outcome(probe, seconds=60 * minute, error_class=error_class)
        for minute, error_class in (
            (-41, "timeout"),  # 11:19, a minute too old
            (-40, ""),  # 11:20, the first minute of the hour
            (-1, "server_error"),
            (0, ""),
            (19, ""),
        )
    )

    found = recent([probe], AT)

    assert found.by_probe[probe.pk].samples == 4
    assert found.every.current.bad == 1
    assert [hour.samples for hour in found.every.day[-2:]] == [3, 2]


def test_it_is_compared_with_the_whole_hours_before_it() -> None:
    probe = make_probe()
    hours = [-90, -600, -60 * 22]  # 10:30, 02:00 and 14:00 of the day before
    fold(make_outcome(probe, seconds=60 * minute) for minute in hours)
    fold(make_outcome(probe, seconds=60 * minute) for minute in (-50, 5))

    found = recent([probe], AT)

    assert found.every.before.samples == 3
    assert found.every.current.samples == 1
