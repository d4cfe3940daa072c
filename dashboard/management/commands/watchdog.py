"""manage.py watchdog: for cron, mails when Gatewatch itself stands still."""

import fcntl
import sys

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from dashboard.alerts import watchdog


class Command(BaseCommand):
    help = (
        "Look whether the prober and the deliveries work, and mail the recipients "
        "directly when they do not: once for each outage, and once at its end. Exit 1 "
        "while something is wrong. Run it from cron, each minute or so."
    )
    # It must also say that the database is away.
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (settings.VAR_DIR / "watchdog.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.stdout.write("Another watchdog is still at it.")
                return
            found = watchdog.look(timezone.now(), watchdog.memory_file())
        if found.told:
            self.stdout.write(f"Mailed {found.told}.")
        for refusal in found.refused:
            self.stderr.write(f"Not mailed: {refusal}")
        if found.troubles:
            self.stderr.write(" ".join(found.troubles))
            sys.exit(1)
        self.stdout.write("Gatewatch works.")
