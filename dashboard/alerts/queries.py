"""Read incidents and the outbox."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet

from dashboard.alerts.models import Delivery, Incident, Notification, Recipient
from dashboard.alerts.recipients import first_administrator


def incidents(
    *,
    is_open: bool | None = None,
    team_ids: Collection[int] | None = None,
    gateway_id: int | None = None,
    probe_id: int | None = None,
    kind: str = "",
    limit: int = 100,
    offset: int = 0,
) -> list[Incident]:
    """Return incidents, newest first, with their gateway, team, probe and inhibitor.

    `team_ids` are the teams that the reader may see (None: all): their incidents, and
    those of the gateways that they are at.
    """
    found = _visible(team_ids)
    if is_open is not None:
        found = found.filter(resolved_at__isnull=is_open)
    if gateway_id is not None:
        found = found.filter(gateway=gateway_id)
    if probe_id is not None:
        found = found.filter(probe=probe_id)
    if kind:
        found = found.filter(kind=kind)
    return list(found[offset : offset + limit])


def open_incidents(team_ids: Collection[int] | None = None) -> list[Incident]:
    """Return the open incidents that speak for themselves, the gravest first."""
    found = _visible(team_ids).filter(resolved_at=None, inhibited_by=None)
    return sorted(
        found, key=lambda one: (one.severity != "critical", -one.opened_at.timestamp())
    )


def incident(pk: int, team_ids: Collection[int] | None = None) -> Incident | None:
    """Return one incident with what it speaks for, None where the reader may not see it."""
    return _visible(team_ids).prefetch_related("inhibits").filter(pk=pk).first()


def notifications(incident: Incident) -> list[Notification]:
    """Return what was sent, or will be, to whom, oldest first."""
    return list(incident.notifications.order_by("created_at", "pk"))


def delivered(limit: int = 50) -> list[Notification]:
    """Return the latest mails, one row each, as the demo shows them."""
    rows = Notification.objects.filter(state=Delivery.SENT).select_related("incident")
    mails: dict[object, Notification] = {}
    for row in rows.order_by("-sent_at", "-pk")[: limit * 10]:
        mails.setdefault((row.batch, row.recipient), row)
    return list(mails.values())[:limit]


def _visible(team_ids: Collection[int] | None) -> QuerySet[Incident]:
    found = Incident.objects.select_related(
        "rule", "gateway", "team", "probe__gateway", "probe__team", "inhibited_by"
    )
    if team_ids is None:
        return found
    of_gateway = Q(team=None, gateway__teams__in=team_ids)
    return found.filter(Q(team__in=team_ids) | of_gateway).distinct()


@dataclass(frozen=True, slots=True)
class OutboxState:
    """How the mails are doing; `oldest_s` is how long the oldest is overdue."""

    depth: int
    oldest_s: float | None
    dead: int
    waiting_for_mail_setup: bool
    nobody_told: bool

    @property
    def is_stuck(self) -> bool:
        """Say whether mail should be going out and is not."""
        late = self.oldest_s is not None and self.oldest_s > 15 * 60
        return not self.waiting_for_mail_setup and (late or self.dead > 0)


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
        nobody_told=not Recipient.objects.exists() and not first_administrator(),
    )
