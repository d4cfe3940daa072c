"""Rollup rows in and out of the database, past the ORM's conversions.

A page reads thousands of rows and a flush writes hundreds: decoding each column and
building a model for each row would cost most of their time. The SQL is the ORM's own
where rows are read; both engines run the same statements.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias

from django.db import connection
from django.db.models import Q, QuerySet

from dashboard.lib.buckets import Stretch
from dashboard.rollups.models import Rollup
from dashboard.rollups.tally import Key, Tally

_KEY = ("probe_id", "level", "start")
_COUNTS = (
    "samples",
    "bad",
    "excluded",
    "first_try_ok",
    "attempts",
    "classes",
    "ok_sum_us",
    "ok_min_us",
    "ok_max_us",
    "ok_histogram",
    "bad_sum_us",
    "bad_histogram",
)
_COLUMNS = (*_KEY, "expected", *_COUNTS)
_TABLE = "rollups_rollup"
_CLASSES = _COUNTS.index("classes")
_counts_of = attrgetter(*_COUNTS)

# Any number will do, as long as it is always the same: "rollups" on a phone's keys.
_WRITER_LOCK = 7655877

Row: TypeAlias = tuple[float, Tally]
Rows: TypeAlias = dict[Key, Row]


def lock() -> None:
    """Be the only writer of rollups until the transaction ends.

    Adding to a histogram is read, merge, write, and the row may not be there to be
    locked yet. On SQLite a transaction is the only writer anyway (IMMEDIATE); one lock
    on PostgreSQL makes that the rule for both, and no two writers can wait in a circle.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_WRITER_LOCK])


def rows_of(keys: Collection[Key]) -> Rows:
    """Return the stored rows of these buckets, with one query."""
    if not keys:
        return {}
    found = _read(
        Rollup.objects.filter(
            probe_id__in={key.probe_id for key in keys},
            level__in={key.level for key in keys},
            start__in={key.start for key in keys},
        )
    )
    # The filter names every pair of a level and a start, so it may find others too.
    return {key: row for key, row in found if key in keys}


def rows_in(probe_ids: Collection[int], stretches: Iterable[Stretch]) -> Rows:
    """Return all rows of some stretches of time, with one query a stretch."""
    rows: Rows = {}
    if probe_ids:
        for level, start, end in stretches:
            inside = Q(level=level, start__gte=start, start__lt=end)
            # IN seeks each probe's rows; a filter on time alone walks the history.
            found = Rollup.objects.filter(inside, probe_id__in=probe_ids)
            rows.update(_read(found))
    return rows


def write(rows: Mapping[Key, Row]) -> None:
    """Insert or replace rows, in key order; an old row keeps what was expected."""
    if not rows:
        return
    values = [_encoded(key, rows[key]) for key in sorted(rows)]
    with connection.cursor() as cursor:
        cursor.executemany(_upsert(), values)


def _upsert() -> str:
    """Return the statement, the same on both engines."""
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, _COLUMNS))
    marks = ", ".join(["%s"] * len(_COLUMNS))
    changed = ", ".join(f"{name} = excluded.{name}" for name in map(quote, _COUNTS))
    # All names are the model's; values are parameters.
    return (
        f"INSERT INTO {quote(_TABLE)} ({columns}) VALUES ({marks}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(map(quote, _KEY))}) DO UPDATE SET {changed}"
    )


def _encoded(key: Key, row: Row) -> tuple[Any, ...]:
    expected, part = row
    counts = list(_counts_of(part))
    classes = part.classes
    counts[_CLASSES] = json.dumps(classes, sort_keys=True) if classes else "{}"
    return (key.probe_id, key.level, _stored(key.start), expected, *counts)


def _read(rows: QuerySet[Rollup]) -> Iterator[tuple[Key, Row]]:
    sql, params = rows.values_list(*_COLUMNS).order_by().query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        for probe_id, level, start, expected, *counts in cursor.fetchall():
            classes = counts[_CLASSES]
            counts[_CLASSES] = Counter(() if classes == "{}" else json.loads(classes))
            yield Key(probe_id, level, _moment(start)), (expected, Tally(*counts))


@lru_cache(maxsize=1000)
def _stored(moment: datetime) -> object:
    return connection.ops.adapt_datetimefield_value(moment)


def _moment(stored: datetime) -> datetime:
    """Return an aware time; SQLite keeps none of the zone, which is always UTC."""
    return stored if stored.tzinfo else stored.replace(tzinfo=UTC)
