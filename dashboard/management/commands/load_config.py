import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.utils import timezone

from dashboard.management.config.changes import Changes
from dashboard.management.config.document import Document
from dashboard.management.config.load import load
from dashboard.teams import audit
from dashboard.teams.models import AuditAction
from dashboard.web import words


class Command(BaseCommand):
    help = "Load gateways, teams, probes, rules and recipients from a TOML file."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.toml")
        parser.add_argument(
            "--dry-run", action="store_true", help="show the changes, write nothing"
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="as --dry-run, and exit 1 when something would change",
        )
        parser.add_argument(
            "--prune", action="store_true", help="delete what the file does not name"
        )

    def handle(
        self, *, file: Path, dry_run: bool, check: bool, prune: bool, **_: object
    ) -> None:
        document = Document.read(file)
        dry_run = dry_run or check
        if not dry_run and not connection.introspection.table_names():
            # A new installation: the file may well come before the first `up`.
            call_command("migrate", interactive=False, verbosity=0)
        with transaction.atomic():
            changes = load(document, timezone.now(), prune=prune)
            self._show(changes)
            self._note(changes)
            transaction.set_rollback(dry_run)
        if not changes.lines:
            return
        number = words.count(len(changes.lines), "change")
        if not dry_run:
            self.stdout.write(f"Done: {number}.")
            return
        self.stdout.write(f"{number} would be made; nothing was written.")
        if check:
            sys.exit(1)

    def _note(self, changes: Changes) -> None:
        """Leave one line for each change in the audit log: what, not from and to."""
        now = timezone.now()
        for what, how in changes.done:
            audit.note(AuditAction.OTHER, what, now=now, detail=f"load_config: {how}")

    def _show(self, changes: Changes) -> None:
        for line in (*changes.lines, *changes.notes):
            self.stdout.write(line)
        if not changes.lines:
            self.stdout.write("No changes.")
