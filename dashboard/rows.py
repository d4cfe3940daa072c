"""Write many rows at once, past the ORM's `bulk_update` and `bulk_create`.

Both build an expression for each value of each row, half and a twentieth of a millisecond
a row, which is most of what a flush takes; one statement that is prepared once takes
microseconds.
"""

import json
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import UTC, datetime
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, TypeAlias

from django.db import connection
from django.db.models import (
    DateTimeField,
    Field,
    ForeignKey,
    JSONField,
    Model,
    QuerySet,
)

_Field: TypeAlias = "Field[Any, Any]"

# What every driver takes as it is.
_PLAIN = frozenset(
    {
        "BigAutoField",
        "BigIntegerField",
        "BooleanField",
        "CharField",
        "FloatField",
        "IntegerField",
        "PositiveIntegerField",
        "PositiveSmallIntegerField",
    }
)


def save_fields(rows: Collection[Model], fields: Sequence[str]) -> None:
    """Write these fields of stored rows."""
    if rows:
        model = type(next(iter(rows)))
        read = attrgetter(*(field.attname for field in _columns(model, tuple(fields))))
        update(model, fields, {row.pk: read(row) for row in rows})


def update(
    model: type[Model], fields: Sequence[str], values: Mapping[int, Sequence[object]]
) -> None:
    """Write these fields of the rows with these keys.

    The order of the keys keeps two writers from waiting for each other in a circle.
    """
    columns = _columns(model, tuple(fields))
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(column.column)} = %s" for column in columns)
    meta = model._meta  # noqa: SLF001 (Django's documented Model._meta)
    # All names are the model's; values are parameters.
    statement = (
        f"UPDATE {quote(meta.db_table)} SET {assignments} "  # noqa: S608
        f"WHERE {quote(meta.pk.column)} = %s"
    )
    prepared = _prepared(columns, (values[key] for key in sorted(values)))
    pairs = zip(prepared, sorted(values), strict=True)
    _execute(statement, [(*row, key) for row, key in pairs])


def locked(
    model: type[Model], fields: Sequence[str], keys: Collection[int]
) -> dict[int, list[Any]]:
    """Return these fields of the rows with these keys, locked until the commit.

    Whoever adds what refers to them, as an alarm, need not wait: he may have what we wait
    for. On SQLite a transaction that writes is alone anyway.
    """
    if not keys:
        return {}
    columns = _columns(model, tuple(fields))
    meta = model._meta  # noqa: SLF001 (Django's documented Model._meta)
    quote = connection.ops.quote_name
    key = quote(meta.pk.column)
    names = ", ".join([key, *(quote(column.column) for column in columns)])
    places = ", ".join(["%s"] * len(keys))
    lock = (
        connection.ops.for_update_sql(no_key=True)
        if connection.features.has_select_for_update
        else ""
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {names} FROM {quote(meta.db_table)} "  # noqa: S608
            f"WHERE {key} IN ({places}) ORDER BY {key} {lock}",
            sorted(keys),
        )
        return dict(_loaded(columns, cursor.fetchall()))


def _loaded(
    columns: Sequence[_Field], rows: Iterable[Sequence[Any]]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the key and the values of each row, as a model has them."""
    converters: list[tuple[int, Callable[[Any], Any]]] = [
        (place, _aware if isinstance(column, DateTimeField) else json.loads)
        for place, column in enumerate(columns)
        if isinstance(column, DateTimeField | JSONField)
    ]
    for key, *values in rows:
        for place, convert in converters:
            if values[place] is not None:
                values[place] = convert(values[place])
        yield key, values


def _aware(moment: datetime) -> datetime:
    """Return a moment with its zone: SQLite keeps none, and it is always UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def take(rows: QuerySet[Any]) -> list[Any]:
    """Lock these rows until the commit, in the order of their keys; return the keys.

    Whoever needs rows of several kinds takes them as the recorder does: probes, then
    teams, then gateways, then incidents. Else two would wait for each other in a circle.
    """
    taken = rows.select_for_update(no_key=True).order_by("pk")
    return list(taken.values_list("pk", flat=True))


def insert(rows: Collection[Model]) -> None:
    """Insert new rows; the numbers that they get are not read back."""
    if not rows:
        return
    model = type(next(iter(rows)))
    meta = model._meta  # noqa: SLF001 (Django's documented Model._meta)
    columns = [field for field in meta.concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    names = ", ".join(quote(column.column) for column in columns)
    places = ", ".join(["%s"] * len(columns))
    read = attrgetter(*(column.attname for column in columns))
    _execute(
        f"INSERT INTO {quote(meta.db_table)} ({names}) VALUES ({places})",  # noqa: S608
        list(_prepared(columns, map(read, rows))),
    )


def _execute(statement: str, values: Sequence[Sequence[Any]]) -> None:
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(statement, values)


@lru_cache(maxsize=100)
def _columns(model: type[Model], fields: tuple[str, ...]) -> tuple[_Field, ...]:
    meta = model._meta  # noqa: SLF001 (Django's documented Model._meta)
    by_name = {field.name: field for field in meta.concrete_fields}
    return tuple(by_name[name] for name in fields)


def _prepared(
    columns: Sequence[_Field], rows: Iterable[Sequence[object]]
) -> Iterable[Sequence[Any]]:
    """Yield the rows as the database's driver takes them."""
    adapters: list[tuple[int, Callable[[object], object]]] = [
        (place, _adapter(column))
        for place, column in enumerate(columns)
        if not _is_plain(column)
    ]
    for row in rows:
        values = list(row)
        for place, adapt in adapters:
            if values[place] is not None:
                values[place] = adapt(values[place])
        yield values


def _adapter(column: _Field) -> Callable[[Any], object]:
    if isinstance(column, DateTimeField):
        # All that the field does besides costs four times as much.
        return _stored
    return partial(column.get_db_prep_save, connection=connection)


@lru_cache(maxsize=1000)
def _stored(moment: datetime) -> object:
    """Return a moment as it is stored: of one outcome it is, in several tables."""
    return connection.ops.adapt_datetimefield_value(moment)


def _is_plain(column: _Field) -> bool:
    stored = column.target_field if isinstance(column, ForeignKey) else column
    return stored.get_internal_type() in _PLAIN
