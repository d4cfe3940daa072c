"""The numbers: right at every level, honest about what is not known."""

import math
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.probes.models import Outcome, Probe
from dashboard.rollups.models import Level, Rollup
from dashboard.rollups.numbers import Comparison
from dashboard.rollups.queries import (
    by_kind,
    by_team,
    course,
    grouped,
    series,
    total,
)
from dashboard.rollups.services import fold
from tests.factories import NOW, make_outcome, make_probe, make_team
from tests.rollups.histories import seen_probe

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_nothing_seen_is_none_and_never_zero() -> None:
    probe = seen_probe([])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.bad, found.expected) == (0, 0, 0)
    assert found.error_rate is None
    assert found.first_try_rate is None
    assert found.coverage is None
    assert found.latest_at is None
    assert found.p95_ms is None


def test_a_window_is_counted_from_its_minutes_and_hours() -> None:
    probe = seen_probe([-5000, -3599, -1800, -60, -1])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert found.samples == 4
    assert (found.start, found.end) == (NOW - HOUR, NOW)


def test_the_running_minute_is_in_a_window_up_to_now() -> None:
    now = NOW + timedelta(seconds=30)
    probe = seen_probe([0, 20])

    assert total([probe.pk], now - HOUR, now, now).samples == 2


def test_a_window_that_ended_leaves_out_what_came_later() -> None:
    probe = seen_probe([-90, -30, 10, 100])

    assert total([probe.pk], NOW - HOUR, NOW, NOW + HOUR).samples == 2


@pytest.mark.parametrize("days", [1, 2, 7, 30])
def test_long_windows_count_each_outcome_once(days: int) -> None:
    draw = random.Random(days)  # noqa: S311 (not a secret)
    latencies = [int(draw.lognormvariate(11, 1)) for _ in range(400)]
    seconds = [-draw.uniform(0, days * 86400) for _ in latencies]
    probe = make_probe()
    fold(
        make_outcome(probe, seconds=second, latency_us=latency)
        for second, latency in zip(seconds, latencies, strict=True)
    )

    found = total([probe.pk], NOW - days * DAY, NOW, NOW)

    true = sorted(latencies)[math.ceil(0.95 * 400) - 1] / 1000
    assert found.samples == 400
    assert found.p95_ms == pytest.approx(true, rel=0.01)
    assert found.mean_ms == pytest.approx(sum(latencies) / 400_000)
    assert (found.min_ms, found.max_ms) == (
        min(latencies) / 1000,
        max(latencies) / 1000,
    )


def test_rates_leave_out_held_runs_and_say_what_failed_most() -> None:
    probe = seen_probe([-600, -500])
    fold(
        make_outcome(probe, seconds=-400 + number, error_class=name, attempts=attempts)
        for number, (name, attempts) in enumerate(
            [
                ("", 2),
                ("timeout", 2),
                ("timeout", 1),
                ("decode", 1),
                ("breaker_held", 0),
            ]
        )
    )

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert (found.samples, found.bad, found.excluded) == (6, 3, 1)
    assert found.error_rate == 0.5
    assert found.first_try_rate == 2 / 6
    assert list(found.classes.items()) == [
        ("timeout", 2),
        ("breaker_held", 1),
        ("decode", 1),
    ]


@pytest.mark.parametrize(("count", "thin"), [(19, True), (20, False)])
def test_a_p95_of_few_is_called_thin(count: int, thin: bool) -> None:  # noqa: FBT001
    probe = seen_probe([-10.0 * (number + 1) for number in range(count)])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert found.p95_ms == 50.0
    assert found.p95_is_thin is thin
    assert found.p99_is_thin


def test_the_total_merges_probes_and_is_no_mean_of_means() -> None:
    fast = seen_probe([-60 * number for number in range(1, 31)], latency_us=10_000)
    slow = seen_probe([-60 * number for number in range(1, 11)], latency_us=900_000)

    found = total([fast.pk, slow.pk], NOW - HOUR, NOW, NOW)

    assert found.samples == 40
    assert found.p50_ms == pytest.approx(10, rel=0.01)
    assert found.p95_ms == pytest.approx(900, rel=0.01)


def test_a_series_has_its_pieces_in_order_and_its_holes() -> None:
    probe = seen_probe([-3 * 3600 + 5, -3600 + 5, -3600 + 65])

    points = series([probe.pk], NOW - 4 * HOUR, NOW, 4, NOW)

    assert [point.start for point in points] == [NOW - n * HOUR for n in (4, 3, 2, 1)]
    assert [point.samples for point in points] == [0, 1, 0, 2]
    assert points[0].p95_ms is None
    assert points[0].error_rate is None


def test_a_series_uses_coarser_rows_where_the_fine_ones_are_gone() -> None:
    probe = seen_probe([-10 * 86400 + 5, -5])
    Rollup.objects.filter(level=Level.MINUTE, start__lt=NOW - 2 * DAY).delete()

    points = series([probe.pk], NOW - 10 * DAY, NOW - 10 * DAY + HOUR, 60, NOW)

    assert [(point.start, point.samples) for point in points] == [(NOW - 10 * DAY, 1)]


def test_availability_is_time_so_held_runs_are_part_of_an_outage() -> None:
    probe = seen_probe([-3600 + 60 * number for number in range(50)])
    fold(make_outcome(probe, seconds=-300 + n, error_class="timeout") for n in range(5))
    fold(
        make_outcome(probe, seconds=-200 + n, error_class="breaker_held", attempts=0)
        for n in range(5)
    )

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert found.error_rate == 5 / 55
    assert (found.up_s, found.down_s) == (3000.0, 600.0)
    assert found.availability == 3000 / 3600


def test_availability_weighs_a_result_by_the_period_that_it_had() -> None:
    often, seldom = seen_probe([-60.0 * n for n in range(1, 31)]), make_probe()
    Probe.objects.filter(pk=seldom.pk).update(period_s=600)
    fold(
        make_outcome(seldom, seconds=-600 * n, error_class="timeout")
        for n in range(1, 4)
    )

    found = total([often.pk, seldom.pk], NOW - HOUR, NOW, NOW)

    assert found.availability == 0.5
    assert found.error_rate == 3 / 33


def test_an_answer_says_its_throughput_and_its_age() -> None:
    probe = seen_probe([-60.0 * number for number in range(1, 31)])
    Probe.objects.update(last_at=NOW - timedelta(minutes=1))

    found = total([probe.pk], NOW - HOUR, NOW, NOW)
    before_it = total([probe.pk], NOW - HOUR, NOW, NOW - 2 * HOUR)

    assert found.per_minute == 0.5
    assert found.age_s == 60
    assert before_it.age_s == 0, "a clock that went back makes nothing younger than new"


@pytest.mark.parametrize(("count", "thin"), [(4, True), (5, False)])
def test_a_rate_of_a_handful_is_called_thin(count: int, thin: bool) -> None:  # noqa: FBT001
    probe = seen_probe([-10.0 * (number + 1) for number in range(count)])

    found = total([probe.pk], NOW - HOUR, NOW, NOW)

    assert found.rate_is_thin is thin
    assert found.success_rate == 1.0
    assert found.p90_ms == 50.0
    assert found.p90_is_thin


def test_phases_add_up_to_the_mean_of_the_successes_that_have_them() -> None:
    probe = seen_probe([-50, -40], connect_us=2_000, tls_us=3_000, first_byte_us=40_000)
    fold([make_outcome(probe, seconds=-30)])
    failed = {"error_class": "timeout", "connect_us": 1, "first_byte_us": 1}
    fold([make_outcome(probe, seconds=-20, **failed)])

    phases = total([probe.pk], NOW - HOUR, NOW, NOW).phases

    assert phases is not None
    assert phases.samples == 2
    means = (phases.connect_ms, phases.tls_ms, phases.first_byte_ms, phases.body_ms)
    assert means == pytest.approx((2, 3, 40, 5))


def test_nothing_is_said_of_phases_that_were_never_kept() -> None:
    probe = seen_probe([-50])

    assert total([probe.pk], NOW - HOUR, NOW, NOW).phases is None


def test_probes_are_put_together_by_kind_and_team() -> None:
    team, other = make_team(), make_team()
    probes = [
        make_probe(team, kind="team_status"),
        make_probe(team, kind="balance"),
        make_probe(other, kind="balance"),
        make_probe(gateway=team.gateway),
    ]
    fold(
        make_outcome(probe, seconds=-30 * n - 5)
        for number, probe in enumerate(probes, start=1)
        for n in range(number)
    )

    def samples(members: dict[object, list[int]]) -> dict[object, int]:
        found = grouped(members, NOW - HOUR, NOW, NOW)
        return {group: each.samples for group, each in found.items()}

    assert samples(by_kind(probes)) == {"team_status": 1, "balance": 5, "health": 4}  # type: ignore[arg-type]
    assert samples(by_team(probes)) == {team.pk: 3, other.pk: 3}  # type: ignore[arg-type]


def last_hour_beside_the_one_before(probe: Probe) -> Comparison:
    return Comparison(
        current=total([probe.pk], NOW - HOUR, NOW, NOW),
        previous=total([probe.pk], NOW - 2 * HOUR, NOW - HOUR, NOW),
    )


def test_a_window_is_compared_with_the_one_before_it() -> None:
    probe = seen_probe([-7000 + 100 * n for n in range(30)])
    fold(
        make_outcome(probe, seconds=-3500 + 100 * n, latency_us=100_000)
        for n in range(25)
    )
    fold(
        make_outcome(probe, seconds=-600 + 60 * n, error_class="timeout")
        for n in range(5)
    )

    found = last_hour_beside_the_one_before(probe)

    assert (found.previous.samples, found.current.samples) == (30, 30)
    assert found.availability_change == pytest.approx(-5 / 30)
    assert found.p95_change == pytest.approx(1.0, abs=0.02)


def test_a_change_against_next_to_nothing_is_too_little_to_say() -> None:
    probe = seen_probe([-7000, *(-60.0 * n for n in range(1, 31))])

    found = last_hour_beside_the_one_before(probe)

    assert found.previous.samples == 1
    assert (found.availability_change, found.p95_change) == (None, None)


def test_local_days_count_each_outcome_on_its_own_day() -> None:
    """On 2026-03-29 Berlin's day has 23 hours."""
    end = datetime(2026, 3, 30, 22, 0, tzinfo=UTC)
    berlin = ZoneInfo("Europe/Berlin")
    probe = make_probe()
    hours = int((end - NOW) / HOUR)
    fold(make_outcome(probe, seconds=3600 * n + 1800) for n in range(hours))

    days = series([probe.pk], end - 3 * DAY, end, 3, end, zone=berlin)

    assert [(day.start.astimezone(berlin).day, day.samples) for day in days] == [
        *((27, 24), (28, 24), (29, 23), (30, 24)),
    ]


def test_days_are_those_of_utc_where_hours_are_no_longer_kept() -> None:
    probe = seen_probe([-500 * 86400, -5])

    days = series(
        [probe.pk], NOW - 500 * DAY, NOW, 500, NOW, zone=ZoneInfo("Europe/Berlin")
    )

    assert {day.start.hour for day in days} == {0}
    assert sum(day.samples for day in days) == 2


def test_a_series_of_many_probes_reads_hours_instead_of_very_many_minutes() -> None:
    probes = [seen_probe([-3600 * n - 5 for n in range(24)]) for _ in range(7)]
    ids = [probe.pk for probe in probes]

    fine = series(ids[:1], NOW - DAY, NOW, 60, NOW)
    coarse = series(ids, NOW - DAY, NOW, 60, NOW)

    assert len(fine) == 60
    assert len(coarse) == 24
    assert sum(point.samples for point in coarse) == 7 * 24


def test_no_probes_have_no_numbers() -> None:
    assert total([], NOW - 30 * DAY, NOW, NOW).error_rate is None


@pytest.mark.parametrize("days", [0.1, 1, 7, 30])
def test_queries_do_not_grow_with_the_probes(days: float) -> None:
    probes = [make_probe() for _ in range(30)]
    fold([make_outcome(probe, seconds=-5) for probe in probes])
    start = NOW - days * DAY

    assert asked(probes[:3], start) == asked(probes, start)
    assert asked(probes, start) <= 14


def asked(probes: list[Probe], start: datetime) -> int:
    ids = [probe.pk for probe in probes]
    with CaptureQueriesContext(connection) as queries:
        grouped({pk: [pk] for pk in ids}, start, NOW, NOW)
        total(ids, start, NOW, NOW)
        series(ids, start, NOW, 30, NOW)
    return len(queries)


def test_a_window_seeks_its_probes_instead_of_walking_the_history() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL plans by the statistics of real data")
    rows = Rollup.objects.filter(
        probe_id__in=[1, 2], level=Level.HOUR, start__gte=NOW, start__lt=NOW + DAY
    )
    outcomes = Outcome.objects.filter(probe_id__in=[1, 2], started_at__gte=NOW)

    assert "(probe_id=? AND level=? AND start>" in rows.explain()
    assert "(probe_id=? AND started_at>" in outcomes.explain()


class TestCourse:
    def test_it_is_a_window_its_pieces_and_the_one_before_in_two_queries(self) -> None:
        probe = seen_probe([-9000, -8000, -5000, -3000, -60], error_class="timeout")

        with CaptureQueriesContext(connection) as asked:
            found = course([probe.pk], NOW - HOUR, NOW, 4, NOW, with_before=True)

        assert len(asked) == 2
        assert found.before is not None
        assert (found.whole.bad, found.before.whole.bad) == (2, 1)
        assert [piece.bad for piece in found.pieces] == [1, 0, 0, 1]
        assert [piece.bad for piece in found.before.pieces] == [0, 0, 1, 0]
        assert found.before.whole.end == found.whole.start

    @pytest.mark.parametrize(
        ("span", "pieces"), [(HOUR, 60), (DAY, 48), (30 * DAY, 60)]
    )
    def test_its_pieces_are_those_of_the_series(
        self, span: timedelta, pieces: int
    ) -> None:
        probe = seen_probe([-60.0 * n for n in range(1, 300)])

        found = course([probe.pk], NOW - span, NOW, pieces, NOW)

        assert found.pieces == series([probe.pk], NOW - span, NOW, pieces, NOW)
        assert found.whole.samples == sum(piece.samples for piece in found.pieces)
        assert found.whole.expected == pytest.approx(
            sum(piece.expected for piece in found.pieces), abs=len(found.pieces)
        )
        assert found.before is None

    def test_days_of_a_zone_stay_whole(self) -> None:
        probe = seen_probe([-3600.0 * n for n in range(1, 24 * 12)])
        zone = ZoneInfo("Europe/Berlin")

        found = course(
            [probe.pk], NOW - 4 * DAY, NOW, 4, NOW, zone=zone, with_before=True
        )

        assert found.before is not None
        assert {p.start.astimezone(zone).hour for p in found.pieces} == {0}
        assert found.before.whole.samples == 24 * len(found.before.pieces)
