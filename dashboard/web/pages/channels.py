"""What the page of channels shows: where alarms go by HTTP, and how that is doing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.channels import shown_address
from dashboard.alerts.models import (
    Channel,
    ChannelKind,
    Delivery,
    Notification,
)
from dashboard.alerts.queries import LATELY
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone


@dataclass(frozen=True, slots=True)
class ChannelRow:
    name: str
    badge: Badge
    form: str
    address: str
    about: str
    taken: SafeString
    waiting: str
    error: str
    test_url: str
    switch_url: str
    switch_to: str
    delete_url: str


def rows(now: datetime) -> list[ChannelRow]:
    """Return the channels and how their messages did in 30 days; two queries."""
    found = list(Channel.objects.select_related("gateway", "team"))
    lately = Q(state=Delivery.QUEUED) | Q(created_at__gt=now - LATELY)
    numbers = {
        row["recipient"]: row
        for row in Notification.objects.filter(
            lately, recipient__in=[channel.name for channel in found]
        )
        .exclude(channel=ChannelKind.EMAIL)
        .order_by()
        .values("recipient")
        .annotate(
            waiting=Count("pk", filter=Q(state=Delivery.QUEUED)),
            dead=Count("pk", filter=Q(state=Delivery.DEAD)),
            oldest=Min("created_at", filter=Q(state=Delivery.QUEUED)),
            taken=Max("sent_at"),
            error=Max(
                "last_error", filter=Q(state__in=[Delivery.QUEUED, Delivery.DEAD])
            ),
        )
    }
    return [_row(channel, numbers.get(channel.name, {}), now) for channel in found]


def _row(channel: Channel, numbers: Mapping[str, Any], now: datetime) -> ChannelRow:
    waiting, dead = numbers.get("waiting", 0), numbers.get("dead", 0)
    oldest = numbers.get("oldest")
    told = [
        f"{waiting:,} waiting" if waiting else "",
        f"the oldest {words.ago(oldest, now)}" if oldest else "",
        f"{dead:,} given up in 30 days" if dead else "",
    ]
    return ChannelRow(
        name=channel.name,
        badge=_badge(channel, failing=bool(numbers.get("error"))),
        form=channel.get_kind_display(),
        address=shown_address(channel),
        about=str(channel.team or channel.gateway or "everything"),
        taken=words.time(numbers.get("taken"), now, "nothing in 30 days"),
        waiting=", ".join(filter(None, told)) or "0",
        error=numbers.get("error") or "",
        test_url=reverse("test_channel", args=[channel.pk]),
        switch_url=reverse("switch_channel", args=[channel.pk]),
        switch_to="off" if channel.enabled else "on",
        delete_url=reverse("delete_channel", args=[channel.pk]),
    )


def _badge(channel: Channel, *, failing: bool) -> Badge:
    if not channel.enabled:
        return Badge(Tone.OFF, "off")
    return Badge(Tone.BAD, "failing") if failing else Badge(Tone.OK, "on")
