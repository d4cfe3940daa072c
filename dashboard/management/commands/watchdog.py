"""manage.py watchdog: mails when Gatewatch itself stands still."""

import fcntl
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from django.core.management.base import BaseCommand
from django.utils import timezone

from dashboard.alerts import watchdog
from dashboard.database import missing_file
from dashboard.management.edge import UsageError


class Command(BaseCommand):
    help = (
        "Look whether the prober and the deliveries work, and mail the recipients "
        "directly when they do not: once for each outage, and once at its end. Exit 1 "
        "while something is wrong. Let a timer run it, each minute or so."
    )
    # It must also say that the database is away.
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        files = watchdog.memory_files()
        if missing_file() and not any(path.exists() for path in files):
            raise UsageError(
                f"There is no database {missing_file()}, and there never was: nothing is "
                "looked at. Start the watchdog with the environment of the service "
                "(DATABASE_URL, GATEWATCH_VAR)."
            )
        with _lock(files) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.stdout.write("Another watchdog is still at it.")
                return
            found = watchdog.look(timezone.now(), files)
        if found.told:
            self.stdout.write(f"Mailed {found.told}.")
        for refusal in found.refused:
            self.stderr.write(f"Not mailed: {refusal}")
        if found.forgets:
            self.stderr.write(
                f"Nothing can be remembered ({found.forgets}): what is told now is told "
                "again at the next look."
            )
        if found.troubles:
            self.stderr.write(" ".join(found.troubles))
            sys.exit(1)
        self.stdout.write("Gatewatch works.")


def _lock(files: Sequence[Path]) -> TextIOWrapper:
    """Open what one watchdog alone may hold, beside the first memory that can be used."""
    why = ""
    for path in files:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not through a link that somebody put where anybody may.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            lock = path.with_suffix(".lock")
            file = os.fdopen(os.open(lock, flags, 0o600), "r+")
        except OSError as error:
            why = why or str(error)
            continue
        # Nor one that somebody put there to hold it for ever.
        if os.fstat(file.fileno()).st_uid == os.geteuid():
            return file
        file.close()
        why = why or f"{lock} is somebody else's"
    raise UsageError(f"The watchdog cannot work: {why}; set GATEWATCH_VAR.")
