"""Whose turn it is to change the database's tables, and whether they are ours."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from django.db import connection

from dashboard.database import newer_migrations, newer_sentence
from dashboard.management.edge import UsageError

# Any number will do, as long as it is always the same: "prepares" on a phone's keys.
_PREPARING_LOCK = 77372737
_LIMITS = (
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
)


@contextmanager
def alone(tell: Callable[[str], None]) -> Iterator[None]:
    """Be the only one who prepares the database; `tell` says when another is waited for.

    Two machines that migrate an empty database at once fail on each other's tables. The
    lock is that of a transaction on a connection of its own: it outlives those of the
    migrations, also behind a pooler, and ends with the process. SQLite is of one machine
    and needs none. No limit of the server's ends it: migrations, and waiting, may be long.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with closing(connection.copy()) as keeper:
        keeper.set_autocommit(False)
        with keeper.cursor() as cursor:
            # Those that this server knows.
            lifted = "SELECT set_config(name, '0', true) FROM pg_settings WHERE name = ANY(%s)"
            cursor.execute(lifted, [list(_LIMITS)])
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_PREPARING_LOCK])
            if not cursor.fetchone()[0]:
                tell("Another start prepares the database; this one waits for it.")
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PREPARING_LOCK])
        yield


def refuse_newer() -> None:
    """Refuse a database that a newer version has changed: this one would harm it."""
    newer = newer_migrations(connection)
    if newer:
        raise UsageError(
            f"{newer_sentence(newer)} Start with the newer version, or go back to the "
            "back-up that was taken before it."
        )
