"""manage.py prune: delete what is older than its retention."""

from django.core.management.base import BaseCommand
from django.utils import timezone

from dashboard.rollups import services


class Command(BaseCommand):
    help = (
        "Delete outcomes and rollups that are older than RETENTION_*_DAYS. The "
        "house-keeping job does this once a day by itself."
    )

    def handle(self, *args: object, **options: object) -> None:
        deleted = services.prune(timezone.now())
        self.stdout.write(
            "Deleted: "
            + ", ".join(f"{number:,} {name}" for name, number in deleted.items())
            + "."
        )
