"""Webhooks and Slack, against servers on loopback that behave and that do not."""

import hashlib
import hmac
import socket
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from dashboard.alerts import channels, lifecycle, outbox
from dashboard.alerts.channels import Answer, Parcel, shown_address
from dashboard.alerts.delivery import send_test_message
from dashboard.alerts.models import Channel, ChannelKind, Notification
from dashboard.pipeline import posting
from dashboard.teams.keys import unseal
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.alerts.mailbox import Mailbox
from tests.alerts.receiver import FORBIDDEN, OK, SECRET, Receiver, make_channel, send
from tests.apiclient.rogue import Rogue, rogue
from tests.factories import make_team

pytestmark = pytest.mark.django_db

BROKEN = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"


def row() -> Notification:
    return Notification.objects.get()


def test_a_webhook_is_signed_and_tells_all(server: Rogue, receiver: Receiver) -> None:
    make_channel(f"{server.url}/hook?token=abc")
    incident = tell(make_incident(value=0.6, limit=0.2, samples=5))

    assert send() == 1

    ((headers, body),) = receiver.requests
    signed = headers["gatewatch-timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["gatewatch-signature"] == f"sha256={expected}"
    (message,) = receiver.messages
    assert message["id"] == headers["gatewatch-id"] == str(row().batch)
    assert message["event"] == "alarm"
    (told,) = message["incidents"]
    assert told["id"] == incident.pk
    assert (told["state"], told["changes"]) == ("open", ["opened"])
    assert (told["value"], told["limit"], told["samples"]) == (0.6, 0.2, 5)
    assert told["classes"] == {"server_error": 3}
    assert told["advice"]


def test_another_channel_of_its_name_hears_nothing_of_other_teams(
    server: Rogue, receiver: Receiver
) -> None:
    """C-17: a channel is known by its name, which may be given to another one."""
    ours, theirs = make_team(), make_team()
    first = make_channel(server.url)
    queued = make_incident(ours.gateway, ours, summary="Ours is broken")
    sent = make_incident(ours.gateway, ours, summary="Ours was broken")
    tell(sent)
    assert send() == 1
    tell(queued)
    first.delete()
    make_channel(server.url, gateway=theirs.gateway, team=theirs)
    outbox.queue_reminders({sent.pk: 1}, after(100))
    lifecycle.resolve([sent], after(200))
    tell(make_incident(theirs.gateway, theirs, summary="Theirs is broken"))

    send(2000)

    told = [each["summary"] for sent in receiver.messages for each in sent["incidents"]]
    assert told == ["Ours was broken", "Theirs is broken"]


def test_its_end_is_told_to_a_channel_that_knew(
    server: Rogue, receiver: Receiver
) -> None:
    """A-54, for channels as for mailboxes."""
    make_channel(server.url)
    incident = tell(make_incident())
    send()
    lifecycle.resolve([incident], after(100))
    send(200)

    assert [message["event"] for message in receiver.messages] == ["alarm", "recovery"]
    never = tell(make_incident(), after(300))
    lifecycle.resolve([never], after(301))
    assert send(900) == 0


@pytest.mark.parametrize(
    ("answer", "state", "error"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "sent", ""),
        (
            b"HTTP/1.1 307 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "queued",
            "HTTP 307: redirects are not followed",
        ),
        (b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", "queued", "HTTP 404"),
        (b"HTTP/1.1 410 X\r\nContent-Length: 0\r\n\r\n", "dead", "HTTP 410"),
        (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "queued", "HTTP 503"),
        (b"nonsense\r\n\r\n", "queued", "Broken HTTP"),
        (b"", "queued", "Server disconnected without sending a response."),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 300_000,
            "sent",
            "",
        ),
    ],
    ids=["204", "redirect", "404", "410", "503", "nonsense", "silence", "10 MB"],
)
def test_what_a_receiver_answers(
    answer: bytes,
    state: str,
    error: str,
    server: Rogue,
    receiver: Receiver,
) -> None:
    make_channel(server.url)
    tell(make_incident())
    receiver.answer = answer

    send()

    assert row().state == state
    assert row().last_error.startswith(error)
    assert server.connections == 1


def test_a_receiver_that_refuses_all_takes_no_more_than_its_turn(
    server: Rogue, receiver: Receiver
) -> None:
    """Else the parts of one message, one after another, would hold up everybody's mails."""
    make_channel(server.url)
    ours = make_team()
    receiver.answer = FORBIDDEN
    for team in (ours, make_team(ours.gateway), make_team(ours.gateway)):
        tell(make_incident(team.gateway, team))

    assert [send(60), send(300)] == [0, 0]

    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [(FORBIDDEN, (30,)), (BROKEN, (30, 100, 300, 600))],
    ids=["403", "500"],
)
def test_no_name_that_a_receiver_refuses_holds_up_other_teams_news(
    server: Rogue, receiver: Receiver, answer: bytes, seconds: tuple[int, ...]
) -> None:
    """A-73, C-15: refused together, each team's goes by itself then, and stays so.

    One that breaks may have taken it: it goes as the very same for some minutes.
    """
    make_channel(server.url)
    ours = make_team()
    theirs = make_team(ours.gateway)
    receiver.refuses, receiver.refusal = b"<script>", answer
    tell(make_incident(ours.gateway, ours, summary="<script> fails"))
    tell(make_incident(ours.gateway, theirs, summary="Theirs fails"))
    assert [send(each) for each in seconds] == [0] * len(seconds)
    assert len({message["id"] for message in receiver.messages}) == 1

    assert send(2000) + send(2003) == 1
    tell(make_incident(ours.gateway, theirs, summary="Theirs fails more"), after(2100))
    assert send(3000) + send(3003) == 1

    told = [[each["summary"] for each in m["incidents"]] for m in receiver.messages]
    assert told[0] == ["<script> fails", "Theirs fails"]
    assert ["Theirs fails"] in told
    assert ["Theirs fails more"] in told


def test_a_message_that_may_have_arrived_goes_again_as_the_same(
    server: Rogue, receiver: Receiver
) -> None:
    make_channel(server.url)
    tell(make_incident())
    receiver.answer = b""
    send()
    receiver.answer = OK

    assert send(100) == 1

    first, second = receiver.messages
    assert first["id"] == second["id"]


def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    with rogue(wait) as at:
        answer = posting.post(parcel(at.url), timeout_s=0.2)

    assert answer.unsure
    assert answer.error == "no answer in time"


def wait(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def parcel(url: str, *, allow_private: bool = True) -> Parcel:
    return Parcel(ChannelKind.WEBHOOK, url, {}, b"{}", allow_private=allow_private)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433"],
)
def test_a_private_address_is_refused_unless_allowed(host: str) -> None:
    answer = posting.post(parcel(f"http://{host}:9/", allow_private=False))

    assert not answer.taken
    assert not answer.unsure
    assert "private or loopback" in answer.error


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "224.0.0.1"])
def test_metadata_and_multicast_are_refused_always(host: str) -> None:
    assert "is refused" in posting.post(parcel(f"http://{host}/")).error


def test_a_webhook_that_fails_holds_up_no_mail(mailbox: Mailbox) -> None:
    make_recipient()
    make_channel("http://127.0.0.1:9/")
    tell(make_incident())

    assert send() == 1
    assert len(mailbox.messages) == 1
    assert Notification.objects.get(channel="webhook").state == "queued"


def test_a_channel_called_email_needs_no_mail_server(
    server: Rogue, receiver: Receiver, settings: Settings
) -> None:
    """Mails wait where none can be sent, and nothing else that is called so."""
    settings.EMAIL_CONFIGURED = False
    channel = make_channel(server.url)
    Channel.objects.filter(pk=channel.pk).update(name="email")
    make_recipient()
    tell(make_incident())

    assert send() == 1
    assert len(receiver.messages) == 1
    assert Notification.objects.get(channel="email").state == "queued"


def test_a_channel_called_like_a_mailbox_holds_up_no_mail(mailbox: Mailbox) -> None:
    told = make_recipient()
    channel = make_channel("http://127.0.0.1:9/")
    Channel.objects.filter(pk=channel.pk).update(name=told.email)
    tell(make_incident())
    Notification.objects.filter(channel="webhook").update(due_at=after(-1))

    assert send() == 1
    assert len(mailbox.messages) == 1


def test_a_channel_that_is_gone_gives_up_its_messages() -> None:
    channel = make_channel("http://127.0.0.1:9/")
    tell(make_incident())
    channel.delete()

    send()

    assert row().state == "dead"
    assert row().last_error == "the channel was deleted or switched off"


def test_a_program_is_never_sent_a_digest(server: Rogue, receiver: Receiver) -> None:
    make_channel(server.url)
    for place in range(20):
        tell(make_incident(), after(place))
        send(place + 30)

    assert len(receiver.messages) == 20


def test_neither_address_nor_secret_is_shown() -> None:
    channel = make_channel("https://hooks.example/services/T0/B0/token")
    sent = channels.test_parcel(channel, after(0))

    assert shown_address(channel) == "https://hooks.example/…"
    assert "token" not in f"{sent!r}{channel!r}{vars(channel)}"
    assert SECRET not in f"{sent!r}{vars(channel)}{sent.body!r}{sent.headers}"


def test_a_test_message_says_what_became_of_it(server: Rogue) -> None:
    channel = make_channel(server.url)
    assert send_test_message(channel, after(0), posting.post) == ""

    refused = send_test_message(channel, after(0), lambda _: Answer(error="HTTP 404"))
    assert refused == "It was not taken: HTTP 404."


def test_a_rotation_seals_addresses_and_secrets_too(settings: Settings) -> None:
    """C-25: the old key may go afterwards, and webhooks go on."""
    make_channel("https://hooks.example/x")
    make_channel("https://hooks.example/y", ChannelKind.SLACK)
    new = Fernet.generate_key().decode()
    settings.FIELD_KEYS = [new, *settings.FIELD_KEYS]

    call_command("rotate_keys", stdout=(out := StringIO()))
    settings.FIELD_KEYS = [new]

    webhook, slack = Channel.objects.order_by("-kind")
    assert unseal(webhook.address_sealed) == "https://hooks.example/x"
    assert unseal(webhook.secret_sealed) == SECRET
    assert unseal(slack.address_sealed) == "https://hooks.example/y"
    assert slack.secret_sealed == ""
    assert "2 channels are sealed" in out.getvalue()


def test_a_channel_that_no_key_reads_is_named_and_left_alone(
    settings: Settings,
) -> None:
    before = make_channel("https://hooks.example/x").address_sealed
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(CommandError, match=r"1 channel cannot be read.*to webhook"):
        call_command("rotate_keys", stdout=StringIO())

    assert Channel.objects.get().address_sealed == before
