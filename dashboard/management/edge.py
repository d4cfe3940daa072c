"""Where every command begins and ends: a user's mistake becomes one sentence."""

import os
import sys
from collections.abc import Mapping, Sequence

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, OperationalError

from dashboard.env import EnvError

USAGE = 2


class UsageError(Exception):
    """What was asked cannot be done; the message says where, and what would be right."""


def main(argv: Sequence[str]) -> None:
    """Run the command in `argv`; exit 2 with one sentence where the user can mend it."""
    # What Gatewatch writes (the database, its journal, the secrets) is nobody else's.
    os.umask(0o077)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    try:
        execute_from_command_line(list(argv))
    except (EnvError, UsageError, ImproperlyConfigured) as error:
        _refuse(str(error))
    except DatabaseError as error:
        sentence = database_sentence(error)
        if not sentence:
            raise
        _refuse(sentence)
    except UnicodeEncodeError:
        if all(map(_is_text, argv)):
            raise
        _refuse("An argument is not text in UTF-8, as all names are here.")
    except BrokenPipeError:
        # The reader of a pipe has seen enough; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _is_text(argument: str) -> bool:
    """Say whether the bytes of an argument are text: Python keeps those that are none."""
    return not any("\udc80" <= c <= "\udcff" for c in argument)


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.exit(USAGE)


def database_sentence(error: DatabaseError) -> str:
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
