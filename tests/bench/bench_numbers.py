"""Measure storage and queries at a million and at ten million outcomes. Not a test.

    python -m tests.bench.bench_numbers [--keep DIRECTORY] [outcomes ...]

Fills a database of its own, SQLite and, where DATABASE_URL names a server, PostgreSQL, with
100 probes that ran once a minute, then prints for each size, as medians of five by turns:

    all probes    error rate and quantiles of each of them: `rollups.queries.grouped`,
                  beside percentile_cont over raw outcomes (SQLite has none: they are
                  fetched and sorted here), and beside the sums from which peers show a
                  mean, which know no quantile
    one series    one probe's quantiles in 60 pieces of time, beside the same from raw

and then the bytes a row, what is stored in a second, and how far quantiles are off.

With --keep only the two questions are asked: each size has a database of its own (SQLite's
are files in DIRECTORY), which stays and is only asked the next time. Ten million outcomes
take a quarter of an hour to load.
"""

# ruff: noqa: E402, S608 (models can only be imported once Django is set up; no input)

import argparse
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection

from apiclient import Attempt, CallReport, Phases
from dashboard.lib import histogram
from dashboard.lib.buckets import DAY_S, HOUR_S
from dashboard.pipeline.answers import answer
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.recorder import FLUSH_AT, Recorder
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.services import Spent
from dashboard.rollups.models import Rollup
from dashboard.rollups.queries import grouped, series
from dashboard.rows import insert
from tests.bench.filled import (
    BEGIN,
    HOUR,
    OUTCOMES,
    PROBES,
    bytes_taken,
    database,
    fill,
    kept_database,
    make_probes,
)

SIZES = (1_000_000, 10_000_000)
TIMES = 5
WINDOWS = (
    ("24 h", timedelta(days=1)),
    ("7 d", timedelta(days=7)),
    ("30 d", timedelta(days=30)),
)
PIECES = 60
FLUSHES = 40


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_numbers")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="outcomes")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY")
    told = parser.parse_args()
    url = os.environ.get("DATABASE_URL", "")
    if url and os.environ.get("BENCH_ENGINE") is None:
        # The settings take one database: SQLite's turn is a process of its own.
        others = {
            key: value for key, value in os.environ.items() if key != "DATABASE_URL"
        }
        again = [sys.executable, "-m", "tests.bench.bench_numbers", *sys.argv[1:]]
        subprocess.run(again, env=others, check=True)
    elif told.keep is None:
        _print_accuracy()
    if told.keep is None:
        _measure(told.sizes)
    else:
        _measure_kept(told.sizes, told.keep)


def _measure(sizes: Sequence[int]) -> None:
    _line(f"\n{connection.vendor}")
    with database():
        probes = make_probes()
        _print_ingest(probes)
        Outcome.objects.all().delete()
        Rollup.objects.all().delete()
        filled = 0
        for size in sizes:
            hours = range(filled, _hours(size))
            filled = hours.stop
            _print_fill(probes, hours)
            _print_queries([probe.pk for probe in probes], BEGIN + filled * HOUR)


def _measure_kept(sizes: Sequence[int], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        with kept_database(directory, size):
            hours = range(_hours(size))
            last = BEGIN + (hours.stop - 1) * HOUR
            # The rollups come last: where they are, the outcomes are, too.
            if Rollup.objects.filter(level=HOUR_S, start=last).exists():
                _line(f"\n{connection.vendor}, {len(hours) * PROBES * 60:,} outcomes")
            else:
                _print_fill(make_probes(), hours)
            ids = list(Probe.objects.order_by("pk").values_list("pk", flat=True))
            _print_queries(ids, BEGIN + hours.stop * HOUR)


def _hours(size: int) -> int:
    """Return how many hours so many outcomes need, in whole days."""
    return 24 * math.ceil(size / PROBES / 1440)


def _print_fill(probes: Sequence[Probe], hours: range) -> None:
    began_s = time.perf_counter()
    before = bytes_taken()
    fill(probes, hours)
    after = bytes_taken()
    added = len(hours) * PROBES * 60
    _line(f"\n{connection.vendor}, {hours.stop * PROBES * 60:,} outcomes")
    _line("loaded in", f"{time.perf_counter() - began_s:.0f} s")
    _line("bytes an outcome", f"{(after[0] - before[0]) / added:.0f}")
    rollups = len(hours) * PROBES * 25 / 24
    _line("bytes a rollup", f"{(after[1] - before[1]) / rollups:.0f}")


# Questions.


def _print_queries(ids: list[int], now: datetime) -> None:
    _line("", "rollups ms", "raw ms", "x raw", "means ms")
    for name, length in WINDOWS:
        start = now - length
        ours, raw = _side_by_side_ms(
            partial(grouped, {pk: [pk] for pk in ids}, start, now, now),
            partial(_raw_all, ids, start),
            raw_times=TIMES if length == WINDOWS[0][1] else 1,
        )
        means = _median_ms(partial(_means, ids, start, length))
        _line(f"all probes, {name}", *_cells(ours, raw), f"{means:.1f}")
    for name, length in WINDOWS:
        start = now - length
        ours, raw = _side_by_side_ms(
            partial(series, ids[:1], start, now, PIECES, now),
            partial(_raw_series, ids[0], start, now),
        )
        _line(f"one series, {name}", *_cells(ours, raw))


def _cells(ours: float, raw: float) -> tuple[str, str, str]:
    return f"{ours:.1f}", f"{raw:.1f}", f"{ours / raw:.3f}"


def _side_by_side_ms(
    ours: Callable[[], object], raw: Callable[[], object], raw_times: int = TIMES
) -> tuple[float, float]:
    """Return the medians of both, asked by turns: the ratio holds on a busy machine."""
    ours()
    raw()
    taken: list[float] = []
    beside: list[float] = []
    for number in range(TIMES):
        taken.append(_ms(ours))
        if number < raw_times:
            beside.append(_ms(raw))
    return statistics.median(taken), statistics.median(beside)


def _median_ms(ask: Callable[[], object]) -> float:
    ask()
    return statistics.median(_ms(ask) for _ in range(TIMES))


def _ms(ask: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    ask()
    return (time.perf_counter() - began_s) * 1000


def _raw_all(ids: list[int], start: datetime) -> object:
    places = ", ".join(map(str, ids))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT probe_id, count(*), count(*) FILTER (WHERE error_class <> ''), "
                "percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP "
                "(ORDER BY latency_us) FILTER (WHERE error_class = '') "
                f"FROM {OUTCOMES} WHERE probe_id IN ({places}) AND started_at >= %s "
                "GROUP BY probe_id",
                [start],
            )
            return cursor.fetchall()
        cursor.execute(
            f"SELECT probe_id, latency_us, error_class FROM {OUTCOMES} "
            f"WHERE probe_id IN ({places}) AND started_at >= %s",
            [start.strftime("%Y-%m-%d %H:%M:%S")],
        )
        found: dict[int, list[int]] = {}
        bad = 0
        for probe_id, latency_us, error in cursor.fetchall():
            if error:
                bad += 1
            else:
                found.setdefault(probe_id, []).append(latency_us)
        return [_exact(sorted(values)) for values in found.values()]


def _raw_series(probe_id: int, start: datetime, now: datetime) -> object:
    width = (now - start) / PIECES
    moment: Any = start
    if connection.vendor == "sqlite":
        moment = start.strftime("%Y-%m-%d %H:%M:%S")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT date_bin(%s::interval, started_at, %s), count(*), "
                "percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP "
                "(ORDER BY latency_us) FILTER (WHERE error_class = '') "
                f"FROM {OUTCOMES} WHERE probe_id = %s AND started_at >= %s GROUP BY 1",
                [str(width), start, probe_id, moment],
            )
            return cursor.fetchall()
        cursor.execute(
            f"SELECT started_at, latency_us, error_class FROM {OUTCOMES} "
            "WHERE probe_id = %s AND started_at >= %s",
            [probe_id, moment],
        )
        found: dict[int, list[int]] = {}
        for at, latency_us, error in cursor.fetchall():
            if not error:
                place = (at.replace(tzinfo=UTC) - start) // width
                found.setdefault(place, []).append(latency_us)
        return [_exact(sorted(values)) for values in found.values()]


def _exact(values: Sequence[int]) -> list[int]:
    return [values[math.ceil(q * len(values)) - 1] for q in (0.5, 0.9, 0.95, 0.99)]


def _means(ids: list[int], start: datetime, length: timedelta) -> object:
    """Ask for what peers keep: sums by hour, by day beyond two days."""
    level = HOUR_S if length <= timedelta(days=2) else DAY_S
    places = ", ".join(map(str, ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT probe_id, sum(samples), sum(bad), sum(ok_sum_us), max(ok_max_us) "
            f"FROM {Rollup._meta.db_table} WHERE probe_id IN ({places}) "
            "AND level = %s AND start >= %s GROUP BY probe_id",
            [level, connection.ops.adapt_datetimefield_value(start)],
        )
        return cursor.fetchall()


# What is stored in a second.


def _print_ingest(probes: Sequence[Probe]) -> None:
    asks = [prepare(probe, Spent()) for probe in probes]

    def reports(number: int) -> list[CallReport[object]]:
        at = BEGIN + timedelta(minutes=number)
        phases = Phases(connect_s=0.0009, first_byte_s=0.05, body_s=0.001)
        tried = Attempt(1, at, 0.0, 0.052, None, 200, phases=phases)
        return [
            CallReport(
                operation="get_team",
                method="GET",
                endpoint="/api/teams/{team_id}",
                request_id=str(uuid4()),
                started_at=at + timedelta(milliseconds=place),
                elapsed_s=0.0521,
                attempts=(tried,),
                error=None,
                status_code=200,
                host="gateway.example",
            )
            for place in range(len(asks))
        ]

    def whole(number: int) -> None:
        recorder = Recorder()
        for ask, report in zip(asks, reports(number), strict=True):
            recorder.add(answer(ask, report))
        recorder.flush(BEGIN + timedelta(minutes=number))

    def bare(number: int) -> None:
        rows = zip(asks, reports(number), strict=True)
        insert([answer(ask, report).outcome for ask, report in rows])

    _line(f"\nstored, {FLUSH_AT} at once", "outcomes/s", "p50 ms", "p95 ms")
    for name, ask, first in (
        ("recorded, folded, judged", whole, 0),
        ("inserted only", bare, FLUSHES + 5),
    ):
        taken = []
        for number in range(first, first + FLUSHES):
            began_s = time.perf_counter()
            ask(number)
            taken.append(time.perf_counter() - began_s)
        p50, p95 = statistics.median(taken), sorted(taken)[int(0.95 * FLUSHES)]
        _line(name, f"{FLUSH_AT / p50:,.0f}", f"{p50 * 1000:.1f}", f"{p95 * 1000:.1f}")


# How far quantiles are off.


def _shapes(draw: random.Random) -> dict[str, Callable[[], float]]:
    return {
        "normal": lambda: max(1_000, draw.gauss(120_000, 20_000)),
        "log-normal": lambda: draw.lognormvariate(11, 0.6),
        "bimodal": lambda: draw.gauss(
            *draw.choice([(20_000, 2_000), (900_000, 50_000)])
        ),
        "heavy tail": lambda: min(299e6, 5_000 * draw.paretovariate(1.1)),
        "constant": lambda: 50_000,
    }


def _print_accuracy() -> None:
    """Print the worst relative error of any quantile against the exact nearest rank."""
    draw = random.Random(1)  # noqa: S311
    names = ("minute", "hour", "day", "30 days")
    _line("\nworst error of p50, p95, p99", *names)
    for shape, value in _shapes(draw).items():
        days = [[max(100, int(value())) for _ in range(1440)] for _ in range(30)]
        day, every = days[0], [each for one in days for each in one]
        groups = {
            "minute": [[each] for each in day],
            "hour": [day[first : first + 60] for first in range(0, 1440, 60)],
            "day": days,
            "30 days": [every],
        }
        merged_ = histogram.merge(histogram.of(one) for one in days)
        assert merged_ == histogram.of(every)
        worst = [max(map(_error, groups[name])) for name in names]
        _line(shape, *(f"{error:.2%}" for error in worst))


def _error(values: Sequence[int]) -> float:
    shares = (0.5, 0.95, 0.99)
    found = histogram.quantiles(histogram.of(values), shares)
    assert found is not None
    ordered = sorted(values)
    true = [
        ordered[math.ceil(round(q * 10_000) * len(values) / 10_000) - 1] for q in shares
    ]
    return max(
        abs(mine - exact) / exact for mine, exact in zip(found, true, strict=True)
    )


def _line(first: str, *cells: str) -> None:
    sys.stdout.write(f"{first:<30}{''.join(f'{cell:>12}' for cell in cells)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
