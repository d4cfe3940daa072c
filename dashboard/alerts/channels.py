"""Alarms by HTTP: what is sent to a channel, and how a webhook proves who it is from.

The sending itself is an argument of `deliver`: this layer knows no HTTP client.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from dashboard.alerts import payloads
from dashboard.alerts.batches import Batch
from dashboard.alerts.letters import Letter, home
from dashboard.alerts.models import Channel, ChannelKind
from dashboard.teams.keys import KeyUnavailableError, resealed, seal, unseal

LEAST_SECRET = 16
_UNREADABLE = "the address cannot be read with FIELD_KEYS; set the channel up again"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to be posted; its address and headers are in no repr."""

    kind: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    title: str = ""
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a parcel.

    `gone`: there will never be a receiver; `unsure`: it may have been taken after all;
    `unwanted`: it may be refused for what it says. `error` is one sentence without address
    and secret.
    """

    taken: bool = False
    gone: bool = False
    unsure: bool = False
    unwanted: bool = False
    error: str = ""


Post = Callable[[Parcel], Answer]


def unable_to_post(parcel: Parcel) -> Answer:
    """Send nothing: where no sender by HTTP was given, a parcel waits."""
    return Answer(error="nothing is there to send it")


def seal_into(channel: Channel, address: str, secret: str) -> None:
    """Keep the address and the secret in the channel's row, sealed."""
    channel.address_sealed = seal(address)
    channel.secret_sealed = seal(secret) if secret else ""


def rotate_channels() -> tuple[int, list[Channel]]:
    """Seal every address and secret with the first of FIELD_KEYS.

    Return how many channels were sealed, and those that none of them can read.
    """
    sealed, lost = 0, []
    for channel in Channel.objects.all():
        try:
            changes = {
                "address_sealed": resealed(channel.address_sealed),
                "secret_sealed": resealed(channel.secret_sealed),
            }
        except KeyUnavailableError:
            lost.append(channel)
            continue
        sealed += Channel.objects.filter(pk=channel.pk).update(**changes)
    return sealed, lost


def find(kind: str, name: str) -> Channel | None:
    return Channel.objects.filter(kind=kind, name=name, enabled=True).first()


def is_readable(channel: Channel) -> bool:
    """Say whether FIELD_KEYS can read what the channel holds."""
    try:
        unseal(channel.address_sealed)
        if channel.secret_sealed:
            unseal(channel.secret_sealed)
    except KeyUnavailableError:
        return False
    return True


def shown_address(channel: Channel) -> str:
    """Return what a page may show of the address: its scheme and host."""
    try:
        parts = urlsplit(unseal(channel.address_sealed))
    except (KeyUnavailableError, ValueError):
        return _UNREADABLE
    if channel.kind == ChannelKind.APPRISE:
        # Of such an address even the host may be a token.
        return f"{parts.scheme}://…"
    return f"{parts.scheme}://{parts.hostname}/…"


def parcel(channel: Channel, batch: Batch, letter: Letter, now: datetime) -> Parcel:
    """Return the message of a batch; its id is the same whenever it is sent."""
    title, body = payloads.defused(letter.subject), _body(channel, batch, letter)
    return _parcel(channel, batch.id, title, body, now)


def test_parcel(channel: Channel, now: datetime) -> Parcel:
    title = "[Gatewatch] Test: messages arrive"
    message_id = uuid.uuid4()
    body = {
        ChannelKind.SLACK: payloads.as_json(payloads.slack_text(title, home())),
        ChannelKind.APPRISE: home().encode(),
    }.get(
        ChannelKind(channel.kind),
        payloads.as_json(payloads.test(message_id, title, home(), now)),
    )
    return _parcel(channel, message_id, title, body, now)


def _body(channel: Channel, batch: Batch, letter: Letter) -> bytes:
    match channel.kind:
        case ChannelKind.SLACK:
            return payloads.as_json(payloads.slack(letter))
        case ChannelKind.APPRISE:
            return payloads.plain(letter).encode()
        case _:
            return payloads.as_json(payloads.webhook(batch, letter))


def _parcel(
    channel: Channel, message_id: uuid.UUID, title: str, body: bytes, now: datetime
) -> Parcel:
    headers = {"Content-Type": "application/json", "User-Agent": "Gatewatch"}
    if channel.kind == ChannelKind.WEBHOOK:
        secret = unseal(channel.secret_sealed)
        headers |= signed(secret, message_id, body, now)
    return Parcel(
        kind=channel.kind,
        url=unseal(channel.address_sealed),
        headers=headers,
        body=body,
        title=title,
        allow_private=channel.allow_private,
    )


def signed(
    secret: str, message_id: uuid.UUID, body: bytes, now: datetime
) -> dict[str, str]:
    """Return the headers by which the receiver knows the sender, and a message again.

    The signature is HMAC-SHA256, with the secret, of the timestamp (whole seconds since
    the epoch), a full stop and the body, in hexadecimal.
    """
    timestamp = str(int(now.timestamp()))
    text = timestamp.encode() + b"." + body
    signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return {
        "Gatewatch-Id": str(message_id),
        "Gatewatch-Timestamp": timestamp,
        "Gatewatch-Signature": f"sha256={signature}",
    }
