"""Read the outbox, and which rules fail."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min

from dashboard.alerts.models import Channel, Delivery, Notification, Recipient, Rule
from dashboard.alerts.recipients import first_administrator


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How the mails are doing; `oldest_s` is how long the oldest one waits."""

    depth: int
    oldest_s: float | None
    dead: int
    waiting_for_mail_setup: bool
    nobody_told: bool


def outbox_state(now: datetime) -> OutboxState:
    """Return the depth and the age of the outbox; three small queries."""
    queued = Notification.objects.filter(state=Delivery.QUEUED).aggregate(
        depth=Count("pk"), oldest=Min("created_at")
    )
    oldest = queued["oldest"]
    return OutboxState(
        depth=queued["depth"],
        oldest_s=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        dead=Notification.objects.filter(state=Delivery.DEAD).count(),
        waiting_for_mail_setup=not settings.EMAIL_CONFIGURED,
        nobody_told=not Recipient.objects.exists()
        and not first_administrator()
        and not Channel.objects.filter(enabled=True).exists(),
    )


def broken_rules() -> list[Rule]:
    """Return the rules that could not be judged the last time, and so tell nothing."""
    return list(Rule.objects.filter(enabled=True, failed_at__isnull=False))
