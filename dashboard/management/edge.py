"""Where every command begins and ends: a user's mistake becomes one sentence."""

import os
import sys
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError

from dashboard.database import sentence_of
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
        sentence = sentence_of(error)
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
