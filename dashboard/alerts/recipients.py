"""Who is told about what."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, Value

from dashboard.alerts.models import Channel, ChannelKind, Incident, Recipient

_Rows: TypeAlias = "QuerySet[Any, tuple[str, str]]"


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
    mailboxes, channels = reader_rows(gateway_id, team_id)
    return readers_in(mailboxes.union(channels, all=True))


def reader_rows(gateway_id: int, team_id: int | None) -> tuple[_Rows, _Rows]:
    """Return the rows of the mailboxes and of the channels, to be asked for at once.

    Each is a kind of channel, and an address or a channel's name.
    """
    covers = (Q(gateway=None) | Q(gateway=gateway_id)) & (
        Q(team=None) | Q(team=team_id)
    )
    mailboxes = Recipient.objects.filter(covers).order_by()
    channels = Channel.objects.filter(covers, enabled=True).order_by()
    return (
        mailboxes.values_list(Value(ChannelKind.EMAIL.value), "email"),
        channels.values_list("kind", "name"),
    )


def readers_in(rows: Iterable[tuple[str, str]]) -> list[Reader]:
    """Return the readers that these rows tell of, each once, the mailboxes first."""
    # A union comes in any order, so that all are put in order here.
    readers = sorted((Reader(*row) for row in rows), key=attrgetter("recipient"))
    mailboxes = distinct(e.recipient for e in readers if e.channel == ChannelKind.EMAIL)
    channels = [each for each in readers if each.channel != ChannelKind.EMAIL]
    if not mailboxes and not channels:
        mailboxes = first_administrator()
    return [*(Reader(ChannelKind.EMAIL, each) for each in mailboxes), *channels]


def first_administrator() -> list[str]:
    users = get_user_model().objects.filter(is_superuser=True, is_active=True)
    email = (
        users.exclude(email="").order_by("pk").values_list("email", flat=True).first()
    )
    return [email] if email else []


def distinct(addresses: Iterable[str]) -> list[str]:
    """Return each mailbox once: the case in which it is written says nothing."""
    return list({address.lower(): address for address in addresses}.values())
