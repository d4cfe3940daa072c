"""Write some fields of many stored rows at once, past the ORM's `bulk_update`."""

from collections.abc import Collection, Sequence

from django.db import connection
from django.db.models import Model


def save_fields(rows: Collection[Model], fields: Sequence[str]) -> None:
    """Write these fields of the rows, in the order of their keys.

    `bulk_update` builds an expression for each value of each row, half a millisecond a
    row, which is most of what a flush takes; one statement that is prepared once takes
    microseconds. The order keeps two writers from waiting for each other in a circle.
    """
    if not rows:
        return
    meta = next(iter(rows))._meta  # noqa: SLF001 (Django's documented Model._meta)
    columns = [field for field in meta.concrete_fields if field.name in fields]
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(column.column)} = %s" for column in columns)
    key = quote(meta.pk.column)
    # All names are the model's; values are parameters.
    statement = f"UPDATE {quote(meta.db_table)} SET {assignments} WHERE {key} = %s"  # noqa: S608
    values = [
        (
            *(
                column.get_db_prep_save(getattr(row, column.attname), connection)
                for column in columns
            ),
            row.pk,
        )
        for row in sorted(rows, key=lambda row: row.pk)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
