"""What each level takes on the disk, and what a retention setting would cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Model

from dashboard.lib.buckets import DAY_S
from dashboard.probes.kinds import NEED_KEY, TELL_CREDITS
from dashboard.probes.models import Outcome, Probe
from dashboard.rollups.models import Level, Rollup
from dashboard.teams.models import CreditReading

# Rows of which the mean size is taken, and what a row costs beside its bytes: its head,
# its numbers and its share of the indexes.
_SAMPLE = 500
_AROUND = 200
# What a row takes, as tests/bench/bench_numbers.py finds: SQLite cannot tell a table's
# size without reading all of it, and a new installation has nothing to weigh.
_USUAL = {
    "raw": 110,
    "readings": 90,
    "minute": 350,
    "hour": 800,
    "day": 1600,
    "incidents": 900,
    "mails": 2000,
}


@dataclass(frozen=True, slots=True)
class Use:
    """One level: `rows` and `bytes` are what it has now, an estimate within some percent.

    `rows_a_day` is what today's probes add. `kept_days` is the setting, that of raw
    outcomes for credit readings, which go with them.
    """

    name: str
    rows: int
    bytes: int
    rows_a_day: float
    kept_days: int
    oldest: datetime | None

    @property
    def row_bytes(self) -> float:
        return self.bytes / self.rows if self.rows else _USUAL[self.name]

    @property
    def bytes_a_day(self) -> float:
        return self.rows_a_day * self.row_bytes

    def bytes_after(self, days: int) -> float:
        """Return what the level takes once it holds `days` days of today's probes."""
        return self.bytes_a_day * days


def uses(now: datetime) -> tuple[Use, ...]:
    """Return all levels; rollups are counted by their index, a few of each weighed."""
    running = Probe.objects.filter(enabled=True).exclude(
        kind__in=NEED_KEY, team__key_sealed=""
    )
    told = list(running.values_list("kind", "period_s"))
    rollups = Rollup.objects.values("level").annotate(
        n=Count("pk"), oldest=Min("start")
    )
    by_level = {row["level"]: (row["n"], row["oldest"]) for row in rollups}
    weights = {level: by_level.get(level, (0,))[0] * _weight(level) for level in Level}
    whole = sum(weights.values())
    size = _table_bytes(Rollup, whole)
    added = rows_a_day([period_s for _, period_s in told])
    # Each answer that tells credits is a reading: those of a past or a first day say less.
    readings = rows_a_day([each for kind, each in told if kind in TELL_CREDITS])
    found = [
        replace(
            log_use("raw", Outcome, "started_at", "raw", now), rows_a_day=added["raw"]
        ),
        replace(
            log_use("readings", CreditReading, "read_at", "raw", now),
            rows_a_day=readings["raw"],
        ),
    ]
    for level in Level:
        name = level.name.lower()
        count, oldest = by_level.get(level, (0, None))
        share = round(size * weights[level] / whole) if whole else 0
        kept = settings.RETENTION_DAYS[name]
        found.append(Use(name, count, share, added[name], kept, oldest))
    return tuple(found)


def rows_a_day(periods_s: list[int]) -> Mapping[str, float]:
    """Return how many rows probes with these periods add to each level in a day."""
    runs = [DAY_S / period_s for period_s in periods_s]
    return {
        "raw": sum(runs),
        **{
            level.name.lower(): sum(min(each, DAY_S / level) for each in runs)
            for level in Level
        },
    }


def database_bytes() -> int:
    """Return what the whole database takes on the disk."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    path = Path(str(connection.settings_dict["NAME"]))
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.is_file())


def log_use(
    name: str, model: type[Model], moment: str, kept_as: str, now: datetime
) -> Use:
    """Return the use of rows that are only added to, and deleted from their old end.

    Their numbers tell how many there are, and their time how many a day.
    """
    rows_ = model._default_manager  # noqa: SLF001 (Django's documented Model._default_manager)
    ends = rows_.aggregate(first=Min("pk"), last=Max("pk"))
    rows = ends["last"] - ends["first"] + 1 if ends["last"] else 0
    first = rows_.filter(pk=ends["first"]).values_list(moment, flat=True)
    oldest = first.first() if rows else None
    days = max(1.0, (now - oldest).total_seconds() / DAY_S) if oldest else 1.0
    size = _table_bytes(model, rows * _USUAL[name])
    kept = settings.RETENTION_DAYS[kept_as]
    return Use(name, rows, size, rows / days, kept, oldest)


def _weight(level: Level) -> float:
    """Return what a row of this level takes, by its latest ones."""
    latest = Rollup.objects.filter(level=level).order_by("-start")
    sizes = [
        len(ok) + len(bad) + _AROUND
        for ok, bad in latest.values_list("ok_histogram", "bad_histogram")[:_SAMPLE]
    ]
    return fmean(sizes) if sizes else _USUAL[level.name.lower()]


def _table_bytes(model: type[Model], estimate: float) -> int:
    """Return what a table takes with its indexes; the estimate where nothing tells."""
    if connection.vendor != "postgresql":
        return round(estimate)
    with connection.cursor() as cursor:
        table = model._meta.db_table  # noqa: SLF001 (Django's documented Model._meta)
        cursor.execute("SELECT pg_total_relation_size(%s)", [table])
        return int(cursor.fetchone()[0])
