"""A database with whole hours of a hundred probes that ran once a minute."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from dashboard.alerts.services import install_default_rules
from dashboard.lib.buckets import DAY_S, HOUR_S
from dashboard.management.past import Run
from dashboard.probes.models import Probe, ProbeKind
from dashboard.rollups import store
from dashboard.rollups.models import Rollup
from dashboard.rollups.tally import Key, Tally, merged, tally
from dashboard.teams.models import Gateway, Team

PROBES = 100
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Every hour of every probe is one of so many: the load is then as fast as the database.
_BLOCKS = 500
OUTCOMES = "probes_outcome"
_COLUMNS = (
    "probe_id, started_at, latency_us, elapsed_us, connect_us, first_byte_us, "
    "error_class, status_code, attempts, misdated, maintenance, host, detail"
)


@contextmanager
def database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        # On disk, as an installation has it.
        connection.settings_dict["TEST"]["NAME"] = str(
            settings.VAR_DIR / "bench.sqlite3"
        )
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        install_default_rules()
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        shutil.rmtree(settings.VAR_DIR, ignore_errors=True)


@contextmanager
def kept_database(directory: Path, size: int) -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    kept = f"bench_{size}"
    if connection.vendor == "sqlite":
        kept = str(directory / f"{kept}.sqlite3")
    connection.settings_dict["TEST"]["NAME"] = kept
    connection.creation.create_test_db(verbosity=0, serialize=False, keepdb=True)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0, keepdb=True)
        shutil.rmtree(settings.VAR_DIR, ignore_errors=True)


def make_probes() -> list[Probe]:
    gateway = Gateway.objects.create(name="bench", base_url="https://gateway.example")
    for number in range(PROBES):
        team = Team.objects.create(gateway=gateway, team_id=f"team-{number}")
        Probe.objects.create(
            gateway=gateway,
            team=team,
            kind=ProbeKind.TEAM_STATUS,
            period_s=60,
            next_run=BEGIN,
        )
    Gateway.objects.update(created_at=BEGIN)
    Team.objects.update(created_at=BEGIN)
    return list(Probe.objects.select_related("gateway", "team").order_by("pk"))


def _block(number: int) -> list[Run]:
    """Return an hour of one probe, in order; its runs begin at second 0 of a minute."""
    draw = random.Random(number)  # noqa: S311
    runs = []
    for minute in range(60):
        at = timedelta(minutes=minute, microseconds=draw.randrange(10**6))
        slow = 8 if draw.random() < 0.02 else 1
        latency_us = int(draw.lognormvariate(11, 0.4) * slow)
        error = "timeout" if draw.random() < 0.015 else ""
        runs.append(
            Run(0, BEGIN + at, 30_000_000 if error else latency_us, error)._replace(
                connect_us=900, first_byte_us=latency_us - 1000
            )
        )
    return runs


def _which(probe: Probe, hour: int) -> int:
    return (probe.pk * 7919 + hour * 104_729) % _BLOCKS


def fill(probes: Sequence[Probe], hours: range) -> None:
    """Store whole hours of all probes, counted from BEGIN, and their rollups."""
    blocks = [_block(number) for number in range(_BLOCKS)]
    templates = [[_line_of(run) for run in block] for block in blocks]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Each row names a probe that is there.
            cursor.execute("PRAGMA foreign_keys = OFF")
        for hour in hours:
            start = BEGIN + hour * HOUR
            prefix = start.strftime("%Y-%m-%d %H:")
            rows = (
                (probe.pk, prefix + clock, *rest)
                for place in range(60)
                for probe in probes
                for clock, *rest in [templates[_which(probe, hour)][place]]
            )
            _load(cursor, rows)
    if connection.vendor == "sqlite":
        connection.connection.commit()
    tallies = [tally(block) for block in blocks]
    parts: dict[Key, Tally] = {}
    days: dict[Key, list[Tally]] = {}
    for probe in probes:
        for hour in hours:
            start = BEGIN + hour * HOUR
            part = tallies[_which(probe, hour)]
            parts[Key(probe.pk, HOUR_S, start)] = part
            day = start.replace(hour=0)
            days.setdefault(Key(probe.pk, DAY_S, day), []).append(part)
    for key, members in days.items():
        parts[key] = merged(members)
    rows_ = {key: (key.level / 60, part) for key, part in parts.items()}
    keys = list(rows_)
    for first in range(0, len(keys), 5000):
        store.write({key: rows_[key] for key in keys[first : first + 5000]})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _line_of(run: Run) -> tuple[Any, ...]:
    clock = f"{run.started_at:%M:%S.%f}"
    status = None if run.error_class else 200
    return (
        *(clock, run.latency_us, run.latency_us + 100, run.connect_us),
        *(
            run.first_byte_us,
            run.error_class,
            status,
            run.attempts,
            False,
            False,
            "",
            "",
        ),
    )


def _load(cursor: Any, rows: Iterator[tuple[Any, ...]]) -> None:
    if connection.vendor == "postgresql":
        lines = (
            "\t".join("\\N" if value is None else str(value) for value in row)
            for row in ((*row[:1], f"{row[1]}+00", *row[2:]) for row in rows)
        )
        with cursor.copy(f"COPY {OUTCOMES} ({_COLUMNS}) FROM STDIN") as copy:
            copy.write("\n".join(lines) + "\n")
        return
    places = ", ".join(["?"] * len(_COLUMNS.split(",")))
    raw = connection.connection
    # All names are from above.
    raw.executemany(f"INSERT INTO {OUTCOMES} ({_COLUMNS}) VALUES ({places})", rows)  # noqa: S608


def bytes_taken() -> tuple[int, int]:
    """Return how many bytes outcomes and rollups take, with their indexes."""
    with connection.cursor() as cursor:
        sizes = []
        for table in (OUTCOMES, Rollup._meta.db_table):
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_total_relation_size(%s)", [table])
            else:
                cursor.execute(
                    "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN "
                    "(SELECT name FROM sqlite_master WHERE tbl_name = %s)",
                    [table],
                )
            sizes.append(int(cursor.fetchone()[0]))
    return sizes[0], sizes[1]
