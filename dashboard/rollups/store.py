"""Rollup rows in and out of the database, past the ORM's conversions.

A page reads thousands of rows and a flush writes hundreds: building the query, decoding
each column and making a model for each row would cost most of their time.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias

import psycopg
from django.db import connection

from dashboard.lib.buckets import Stretch
from dashboard.rollups.tally import Key, Tally, standing_for

# Each column with its type on PostgreSQL.
_KEY = {"probe_id": "bigint", "level": "integer", "start": "timestamptz"}
_COUNTS = {
    "samples": "integer",
    "bad": "integer",
    "excluded": "integer",
    "first_try_ok": "integer",
    "attempts": "integer",
    "classes": "jsonb",
    "ok_sum_us": "bigint",
    "ok_min_us": "bigint",
    "ok_max_us": "bigint",
    "ok_histogram": "bytea",
    "phased": "integer",
    "phased_sum_us": "bigint",
    "connect_sum_us": "bigint",
    "tls_sum_us": "bigint",
    "first_byte_sum_us": "bigint",
    "bad_sum_us": "bigint",
    "bad_histogram": "bytea",
    "up_s": "bigint",
    "down_s": "bigint",
}
_COLUMNS = {**_KEY, "expected": "double precision", **_COUNTS}
_NAMES = ", ".join(_COLUMNS)
_TABLE = "rollups_rollup"
_VALUES = f"VALUES ({', '.join(['%s'] * len(_COLUMNS))})"
_ARRAYS = ", ".join(f"%s::{type_name}[]" for type_name in _COLUMNS.values())
_UNNEST = f"SELECT * FROM unnest({_ARRAYS})"  # noqa: S608 (names from above)
_CLASSES = list(_COUNTS).index("classes")
# What PostgreSQL is asked for: its own forms of these take long to read.
_QUICK_NAMES = ", ".join(
    {"start": "extract(epoch FROM start)::bigint", "classes": "classes::text"}.get(
        name, name
    )
    for name in _COLUMNS
)
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
    probe_ids = {key.probe_id for key in keys}
    levels = {key.level for key in keys}
    starts = {_stored(key.start) for key in keys}
    found = _read(
        f"probe_id IN ({_places(probe_ids)}) AND level IN ({_places(levels)}) "
        f"AND start IN ({_places(starts)})",
        (*probe_ids, *levels, *starts),
    )
    # The filter names every pair of a level and a start, so it may find others too.
    return {key: row for key, row in found if key in keys}


def rows_in(probe_ids: Collection[int], stretches: Iterable[Stretch]) -> Rows:
    """Return all rows of some stretches of time, with one query a stretch."""
    return dict(each_in(probe_ids, stretches))


def each_in(
    probe_ids: Collection[int], stretches: Iterable[Stretch]
) -> Iterator[tuple[Key, Row]]:
    """Yield the same one by one, for a reader that groups them."""
    if probe_ids:
        # IN seeks each probe's rows; a filter on time alone walks the history.
        condition = (
            f"probe_id IN ({_places(probe_ids)}) "
            "AND level = %s AND start >= %s AND start < %s"
        )
        for level, start, end in stretches:
            inside = (level, _stored(start), _stored(end))
            yield from _read(condition, (*probe_ids, *inside))


def write(rows: Mapping[Key, Row]) -> None:
    """Insert or replace rows, in key order; an old row keeps what was expected."""
    if not rows:
        return
    values = [_encoded(key, rows[key]) for key in sorted(rows)]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One array a column: an executemany waits for each row's answer, and a
            # parameter for each value is slow to parse; both take twice as long.
            columns = [list(column) for column in zip(*values, strict=True)]
            cursor.execute(_upsert(_UNNEST), columns)
        else:
            cursor.executemany(_upsert(_VALUES), values)


def _upsert(source: str) -> str:
    """Return the statement that takes its rows from `source`."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in _COUNTS)
    # All names are from above; values are parameters.
    return (
        f"INSERT INTO {_TABLE} ({_NAMES}) {source} "
        f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {changed}"
    )


def _encoded(key: Key, row: Row) -> tuple[Any, ...]:
    expected, part = row
    counts = list(_counts_of(part))
    classes = part.classes
    counts[_CLASSES] = json.dumps(classes, sort_keys=True) if classes else "{}"
    return (key.probe_id, key.level, _stored(key.start), expected, *counts)


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _read(condition: str, params: Sequence[Any]) -> Iterator[tuple[Key, Row]]:
    names = _QUICK_NAMES if connection.vendor == "postgresql" else _NAMES
    with _reading() as cursor:
        # All names are from above; values are parameters.
        cursor.execute(f"SELECT {names} FROM {_TABLE} WHERE {condition}", params)  # noqa: S608
        for probe_id, level, start, expected, *counts in cursor.fetchall():
            counts[_CLASSES] = _classes(counts[_CLASSES])
            has_time = counts[-1] is not None
            part = Tally._make(counts)
            if not has_time:
                part = standing_for(part, round(level / expected))
            yield Key(probe_id, level, _moment(start)), (expected, part)


@contextmanager
def _reading() -> Iterator[Any]:
    """Open a cursor that reads thousands of rows well.

    PostgreSQL sends histograms as they are to a binary cursor, to Django's as hex; with
    that and without times and JSON a row takes a third of the time.
    """
    with connection.cursor() as usual:
        if connection.vendor != "postgresql":
            yield usual
            return
        with psycopg.Cursor(connection.connection) as cursor:
            cursor.format = psycopg.pq.Format.BINARY
            logged = connection.queries_logged
            wrap = connection.make_debug_cursor if logged else connection.make_cursor
            yield wrap(cursor)  # type: ignore[arg-type]  # its stub wants it wrapped


@lru_cache(maxsize=1000)
def _stored(moment: datetime) -> object:
    return connection.ops.adapt_datetimefield_value(moment)


@lru_cache(maxsize=10_000)
def _classes(stored: str) -> Counter[str]:
    # Rows with the same text share one; a stored tally is merged, never changed.
    return Counter(json.loads(stored))


@lru_cache(maxsize=20_000)
def _moment(stored: int | datetime) -> datetime:
    """Return an aware time; SQLite keeps none of the zone, which is always UTC."""
    if isinstance(stored, int):
        return datetime.fromtimestamp(stored, UTC)
    return stored.replace(tzinfo=UTC)
