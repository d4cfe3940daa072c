"""What is stored, and what a retention setting would take."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.probes.models import ProbeKind
from dashboard.rollups.services import fold
from dashboard.rollups.storage import Use, rows_a_day, uses
from dashboard.web.pages.storage import storage
from dashboard.web.words import size
from tests.factories import NOW, make_outcome, make_probe, make_reading, make_team


def test_a_probe_adds_a_row_a_run_and_at_most_one_a_bucket() -> None:
    added = rows_a_day([5, 300])

    assert added == {
        "raw": 17_280 + 288,
        "minute": 1440 + 288,
        "hour": 48,
        "day": 2,
    }


def test_a_setting_costs_its_days_of_what_a_day_adds() -> None:
    use = Use("raw", 2000, 200_000, 1000.0, 30, NOW)

    assert use.row_bytes == 100
    assert use.bytes_a_day == 100_000
    assert use.bytes_after(60) == 6_000_000


@pytest.mark.parametrize(
    ("count", "told"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB")),
        *((9_960, "10 kB"), (999_600, "1.0 MB"), (1.4e9, "1.4 GB"), (2e15, "2000 TB")),
    ],
)
def test_sizes_are_said_in_two_digits_or_more(count: float, told: str) -> None:
    assert size(count) == told


@pytest.mark.django_db
class TestOnTheDatabase:
    def test_each_level_tells_its_rows_its_oldest_and_its_size(self) -> None:
        team = make_team()
        probe = make_probe(team, period_s=60)
        fold([make_outcome(probe, seconds=-86_400.0 * day) for day in (2, 1, 0)])
        make_reading(team, seconds=-60)

        found = {use.name: use for use in uses(NOW)}

        assert {name: use.rows for name, use in found.items()} == {
            "raw": 3,
            "readings": 1,
            "minute": 3,
            "hour": 3,
            "day": 3,
        }
        assert found["raw"].oldest == NOW - timedelta(days=2)
        assert found["day"].oldest == (NOW - timedelta(days=2)).replace(hour=0)
        assert all(use.bytes > 0 for use in found.values())
        assert found["raw"].rows_a_day == 1440

    def test_credit_readings_grow_with_the_probes_that_tell_them(self) -> None:
        """A fresh installation's two readings are no day's, nor those of a thin past."""
        team, keyless = make_team(key_sealed="sealed"), make_team()
        for each in (team, keyless):
            make_probe(each, period_s=60)
            make_probe(each, kind=ProbeKind.BALANCE, period_s=300)
        make_probe(gateway=team.gateway)
        make_reading(team, seconds=-60)
        make_reading(team, seconds=-40 * 86_400)

        found = {use.name: use for use in uses(NOW)}

        assert found["readings"].rows_a_day == 2 * 1440 + 288
        assert found["raw"].rows_a_day == 3 * 1440 + 288

    def test_nothing_stored_is_no_error_and_no_size(self) -> None:
        assert {(use.rows, use.oldest) for use in uses(NOW)} == {(0, None)}

    def test_asking_what_if_changes_only_what_was_asked(self) -> None:
        make_probe()

        shown = {row.name: row.wanted for row in storage({"raw": 60}, NOW).rows}

        assert shown["Results"].endswith(" for 60 days")
        assert shown["Days"].endswith(" for 1,096 days")

    def test_the_page_asks_the_same_queries_for_many_probes(self) -> None:
        make_probe()
        with CaptureQueriesContext(connection) as for_one:
            uses(NOW)
        for _ in range(20):
            fold([make_outcome(make_probe())])

        with CaptureQueriesContext(connection) as for_many:
            uses(NOW)

        assert len(for_many) <= len(for_one) + 2
