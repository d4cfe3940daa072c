"""Try a dead mail again."""

from datetime import datetime

from django.db.models import Q

from dashboard.alerts.models import Delivery, Notification


def retry(notification: Notification, now: datetime) -> int:
    """Queue a dead notification again, and those that went in the same mail."""
    same = Q(pk=notification.pk)
    if notification.batch:
        same |= Q(batch=notification.batch)
    return Notification.objects.filter(same, state=Delivery.DEAD).update(
        state=Delivery.QUEUED, due_at=now, attempts=0, leased_until=None
    )
