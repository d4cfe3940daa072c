"""Seal the stored virtual keys, and what channels hold, with the first of FIELD_KEYS."""

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.alerts.channels import rotate_channels
from dashboard.teams import audit
from dashboard.teams.keys import rotate_keys
from dashboard.teams.models import AuditAction


class Command(BaseCommand):
    help = (
        "Seal every stored virtual key, and every channel's address and secret, with "
        "the first of FIELD_KEYS, so that the others can be left out afterwards."
    )

    def handle(self, *_args: object, **_options: object) -> None:
        keys, lost_keys = rotate_keys()
        channels, lost_channels = rotate_channels()
        sealed = f"{keys} keys and {channels} channels"
        audit.note(AuditAction.KEYS_ROTATED, sealed, now=timezone.now())
        self.stdout.write(f"{sealed} are sealed with the first of FIELD_KEYS.")
        lost = [*lost_keys, *lost_channels]
        if lost:
            named = ", ".join(str(each) for each in lost[:10])
            raise CommandError(
                f"{len(lost_keys)} keys and {len(lost_channels)} channels cannot be "
                f"read by any of FIELD_KEYS ({named}): put the key that sealed them "
                "back, or set them again."
            )
