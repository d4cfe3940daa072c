"""Seal the stored virtual keys with the first of FIELD_KEYS."""

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.teams import audit
from dashboard.teams.keys import rotate_keys
from dashboard.teams.models import AuditAction


class Command(BaseCommand):
    help = (
        "Seal every stored virtual key with the first of FIELD_KEYS, so that the others "
        "can be left out afterwards."
    )

    def handle(self, *_args: object, **_options: object) -> None:
        sealed, lost = rotate_keys()
        audit.note(AuditAction.KEYS_ROTATED, f"{sealed} keys", now=timezone.now())
        self.stdout.write(f"{sealed} keys are sealed with the first of FIELD_KEYS.")
        if lost:
            named = ", ".join(str(team) for team in lost[:10])
            raise CommandError(
                f"{len(lost)} keys cannot be read by any of FIELD_KEYS ({named}): put "
                "the key that sealed them back, or set them again."
            )
