"""manage.py prune: delete what is older than its retention."""

from django.core.management.base import BaseCommand

from dashboard.pipeline import keep_house


class Command(BaseCommand):
    help = (
        "Delete outcomes, readings, rollups, ended incidents and mails that are older "
        "than RETENTION_*_DAYS, and the audit log of more than a year ago. The house-keeping job "
        "does this once a day by itself."
    )

    def handle(self, *args: object, **options: object) -> None:
        deleted = keep_house()
        self.stdout.write(
            "Deleted: "
            + ", ".join(f"{number:,} {name}" for name, number in deleted.items())
            + "."
        )
