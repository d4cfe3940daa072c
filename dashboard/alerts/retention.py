"""What is kept of incidents and mails, and what that takes."""

from datetime import datetime

from dashboard.alerts.models import Incident, Notification
from dashboard.rollups.retention import delete_in_batches, kept_from
from dashboard.rollups.storage import Use, log_use

# With each go its events and mails, some 20 kB of them.
_FIRST_BATCH = 20


def prune(now: datetime) -> dict[str, int]:
    """Delete incidents that ended, and mails, before their retention; say how many.

    An incident goes with its timeline and all that was told of it; what is open stays,
    however old. Oldest first, in small batches, as all that is pruned.
    """
    since = kept_from("incident", now)
    # Whatever ended before was opened before, and by its opening there is an index.
    ended = Incident.objects.filter(opened_at__lt=since, resolved_at__lt=since)
    # What tells of no incident: digests, reports and self-tests.
    regular = Notification.objects.filter(incident=None, created_at__lt=since)
    return {
        "incidents": delete_in_batches(ended.order_by("opened_at"), _FIRST_BATCH),
        "regular mails": delete_in_batches(regular.order_by("pk")),
    }


def uses(now: datetime) -> tuple[Use, ...]:
    return (
        log_use("incidents", Incident, "opened_at", "incident", now),
        log_use("mails", Notification, "created_at", "incident", now),
    )
