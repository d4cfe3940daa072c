"""What can be wrong with the database, told to who has to mend it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader


def missing_file() -> str:
    """Return where SQLite's file should be when it is not there, else "".

    To connect would make an empty one.
    """
    database = settings.DATABASES["default"]
    is_file = database["ENGINE"] == "django.db.backends.sqlite3"
    path = str(database["NAME"])
    return path if is_file and not Path(path).exists() else ""


def newer_migrations(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the migrations that were made here and that this version does not know.

    When old migrations are squashed one day, their names must stay in `replaces` for as
    long as a database may have them.
    """
    loader = MigrationLoader(connection)
    return [
        f"{app}.{name}"
        for app, name in sorted(loader.applied_migrations or {})
        if app in loader.migrated_apps
        and (app, name) not in loader.disk_migrations
        and (app, name) not in _replaced(loader)
    ]


def newer_sentence(newer: Sequence[str]) -> str:
    """Say whose newer version made these migrations: Gatewatch's, or another package's.

    The others come from requirements.txt, and may be newer in another checkout.
    """
    of_apps = {apps.get_app_config(each.partition(".")[0]).name for each in newer}
    packages = {name.partition(".")[0] for name in of_apps}
    if "dashboard" in packages:
        whose = f"Gatewatch than this one ({settings.VERSION})"
    else:
        whose = f"{' and of '.join(sorted(packages))} than is installed here"
    some = ", ".join(newer[:3]) + ("…" if len(newer) > 3 else "")
    return f"The database belongs to a newer version of {whose}: it has {some}."


def missing_migrations(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the migrations of this version that were not made here."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _replaced(loader: MigrationLoader) -> set[tuple[str, str]]:
    return {key for each in loader.disk_migrations.values() for key in each.replaces}


def sentence_of(error: DatabaseError) -> str:
    """Say what is wrong with the database, or "" where it is not the user's to mend."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        return _sqlite_sentence(str(error), str(database["NAME"]))
    return _postgresql_sentence(error, dict(database))


def _sqlite_sentence(text: str, path: str) -> str:
    if "no such table" in text or "no such column" in text:
        return (
            f"The database {path} has not all of Gatewatch's tables; run manage.py up, "
            "or manage.py migrate."
        )
    if any(word in text for word in ("unable to open", "readonly", "not a database")):
        return (
            f"The database {path} cannot be used: {text}; check that DATABASE_URL or "
            "GATEWATCH_VAR names a file that this user may write."
        )
    if any(word in text for word in ("disk is full", "disk I/O error", "malformed")):
        return (
            f"The database {path} cannot be used: {text}; check that its disk has room "
            "and is sound."
        )
    return ""


def _postgresql_sentence(error: DatabaseError, database: Mapping[str, object]) -> str:
    where = f"{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"
    state = getattr(error.__cause__, "sqlstate", None)
    if state in {"42P01", "42703"}:
        return (
            f"The database {where} has not all of Gatewatch's tables; run manage.py "
            "up, or manage.py migrate."
        )
    unreached = state is None and isinstance(error, OperationalError)
    # Without a state the server was never reached; 28 is the log-in, 3D the name, 53 a
    # full disk or too many connections.
    if unreached or (state or "")[:2] in {"28", "3D", "53", "57", "08"}:
        told = " ".join(str(error).split())
        password = str(database["PASSWORD"])
        told = told.replace(password, "••••") if password else told
        return f"The database {where} cannot be used ({told}); check DATABASE_URL."
    return ""
