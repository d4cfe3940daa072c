"""Seal the stored virtual keys, and what channels hold, with the first of FIELD_KEYS."""

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.alerts.channels import rotate_channels
from dashboard.teams import audit
from dashboard.teams.keys import rotate_keys
from dashboard.teams.models import AuditAction
from dashboard.web import words


class Command(BaseCommand):
    help = (
        "Seal every stored virtual key, and every channel's address and secret, with "
        "the first of FIELD_KEYS, so that the others can be left out afterwards. First "
        "start every process on every machine again with both: those that do not know "
        "the new key cannot read what was sealed with it."
    )

    def handle(self, *_args: object, **_options: object) -> None:
        keys, lost_keys = rotate_keys()
        channels, lost_channels = rotate_channels()
        sealed = _told(keys, channels)
        audit.note(AuditAction.KEYS_ROTATED, sealed, now=timezone.now())
        verb = "is" if keys + channels == 1 else "are"
        self.stdout.write(f"{sealed} {verb} sealed with the first of FIELD_KEYS.")
        lost = [*lost_keys, *lost_channels]
        if lost:
            named = ", ".join(str(each) for each in lost[:10])
            raise CommandError(
                f"{_told(len(lost_keys), len(lost_channels))} cannot be read by any of "
                f"FIELD_KEYS ({named}): put the key that sealed them back, or set "
                "them again."
            )


def _told(keys: int, channels: int) -> str:
    """Return "1 key", "3 channels" or "1 key and 3 channels"; "no key" for nothing."""
    told = [
        words.count(number, name)
        for number, name in ((keys, "key"), (channels, "channel"))
        if number
    ]
    return " and ".join(told) or "no key"
