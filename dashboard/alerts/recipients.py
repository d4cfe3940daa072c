"""Who is told about what."""

from collections.abc import Iterable
from typing import NamedTuple

from django.contrib.auth import get_user_model

from dashboard.alerts.models import Channel, ChannelKind, Incident, Recipient


class Reader(NamedTuple):
    """Where a notification goes: the kind of channel, and an address or its name."""

    channel: str
    recipient: str


def readers_of(incident: Incident) -> list[Reader]:
    """Return the mailboxes and the channels that are told of this incident, each once.

    Where nothing is set up for it, the first administrator with an address is told; the
    list is empty when there is none.
    """
    return readers_for(incident.gateway_id, incident.team_id)


def readers_for(gateway_id: int, team_id: int | None) -> list[Reader]:
    """Return who is told of this team, or of this gateway's own incidents."""
    channels = [
        Reader(channel.kind, channel.name)
        for channel in Channel.objects.filter(enabled=True)
        if _covers(channel, gateway_id, team_id)
    ]
    mailboxes = _distinct(
        recipient.email
        for recipient in Recipient.objects.all()
        if _covers(recipient, gateway_id, team_id)
    )
    if not mailboxes and not channels:
        mailboxes = first_administrator()
    return [*(Reader(ChannelKind.EMAIL, each) for each in mailboxes), *channels]


def _covers(scope: Recipient | Channel, gateway_id: int, team_id: int | None) -> bool:
    return scope.gateway_id in {None, gateway_id} and scope.team_id in {None, team_id}


def first_administrator() -> list[str]:
    users = get_user_model().objects.filter(is_superuser=True, is_active=True)
    email = (
        users.exclude(email="").order_by("pk").values_list("email", flat=True).first()
    )
    return [email] if email else []


def _distinct(addresses: Iterable[str]) -> list[str]:
    return list({address.lower(): address for address in addresses}.values())
