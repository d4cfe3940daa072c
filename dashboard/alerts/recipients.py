"""Who is told about what."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, Q, QuerySet, Value
from django.db.models.functions import Lower

from dashboard.alerts.models import (
    Channel,
    ChannelKind,
    Incident,
    Recipient,
    RuleKind,
)

# What speaks for the alarms of all teams of a gateway, where it is about the whole of it.
_OUTAGES = (RuleKind.GATEWAY_DOWN, RuleKind.BREAKER_OPEN)
_Rows: TypeAlias = "QuerySet[Any, tuple[str, str]]"


class Reader(NamedTuple):
    """Where a notification goes: the kind of channel, and an address or its name."""

    channel: str
    recipient: str


def readers_of(incident: Incident) -> list[Reader]:
    """Return the mailboxes and the channels that are told of this incident, each once.

    Where nothing is set up for it, the first administrator with an address is told; the
    list is empty when there is none. Of an outage of the whole gateway those are told,
    too, who are told of one of its teams that is watched: of these nothing else is said.
    """
    readers = readers_for(incident.gateway_id, incident.team_id)
    whole = (incident.team_id, incident.probe_id) == (None, None)
    if not whole or incident.kind not in _OUTAGES:
        return readers
    watched = of_a_team(incident.gateway_id) & Q(team__probes__enabled=True)
    return _each_once([*readers, *map(Reader._make, _rows_of(watched))])


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
    return _mailboxes(covers), _channels(covers)


def _mailboxes(covers: Q) -> _Rows:
    rows = Recipient.objects.filter(covers).order_by()
    return rows.values_list(Value(ChannelKind.EMAIL.value), "email")


def _channels(covers: Q) -> _Rows:
    rows = Channel.objects.filter(covers, enabled=True).order_by()
    return rows.values_list("kind", "name")


def _rows_of(covers: Q) -> list[tuple[str, str]]:
    return sorted({*_mailboxes(covers), *_channels(covers)})


def _each_once(readers: Iterable[Reader]) -> list[Reader]:
    """Leave out who is there already: the case of an address says nothing."""
    found: dict[tuple[str, str], Reader] = {}
    for each in readers:
        is_mail = each.channel == ChannelKind.EMAIL
        recipient = each.recipient.lower() if is_mail else each.recipient
        found.setdefault((each.channel, recipient), each)
    return list(found.values())


def of_a_team(gateway_id: int | OuterRef) -> Q:
    """Return who is told of a team of this gateway, and not of another gateway only."""
    return Q(team__gateway=gateway_id) & (Q(gateway=None) | Q(gateway=gateway_id))


def teams_told_of(reader: Reader, gateway_id: int) -> set[int] | None:
    """Return the teams of a gateway that a reader is told of; None where it is of all."""
    whole = [
        *readers_for(gateway_id, None),
        # He is told where nobody else was, and still when there is somebody.
        *(Reader(ChannelKind.EMAIL, each) for each in first_administrator()),
    ]
    if len(_each_once([*whole, reader])) == len(_each_once(whole)):
        return None
    own = of_a_team(gateway_id)
    if reader.channel == ChannelKind.EMAIL:
        rows = Recipient.objects.alias(lower=Lower("email"))
        mailed = rows.filter(own, lower=reader.recipient.lower())
        return {each.team_id for each in mailed if each.team_id is not None}
    named = Channel.objects.filter(own, kind=reader.channel, name=reader.recipient)
    return {each.team_id for each in named if each.team_id is not None}


def outage_of_all() -> Q:
    """Return which notifications tell of an outage of a whole gateway."""
    return Q(incident__team=None, incident__probe=None, incident__kind__in=_OUTAGES)


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
