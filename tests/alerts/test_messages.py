"""What Slack and Apprise are told, and how names are kept from acting there."""

import json
import re
from types import SimpleNamespace

import pytest
from pytest_django import Settings

from dashboard.alerts.channels import shown_address
from dashboard.alerts.delivery import send_test_message
from dashboard.alerts.models import ChannelKind
from dashboard.alerts.payloads import defused
from dashboard.pipeline import apprise_posting, posting
from tests.alerts.conftest import after, make_incident, tell
from tests.alerts.receiver import Receiver, make_channel, send
from tests.apiclient.rogue import Rogue
from tests.factories import make_gateway

pytestmark = pytest.mark.django_db


def test_slack_makes_nothing_of_what_somebody_wrote(
    server: Rogue, receiver: Receiver
) -> None:
    """C-15: a link, a mention, bold letters or an image of a bare name."""
    make_channel(server.url, ChannelKind.SLACK)
    named = make_gateway(name="@all *<!here>* :fire: [x](https://evil.io)")
    tell(make_incident(named, evidence={"text": "<!channel> & <http://x|y> failed"}))

    assert send() == 1

    (message,) = receiver.messages
    assert "CRITICAL" in message["text"]
    shown = json.dumps(message["blocks"])
    assert "<!channel> & <http://x|y> failed" in shown
    assert "Open in Gatewatch" in shown
    texts = [block["text"] for block in message["blocks"] if "text" in block]
    assert len(texts) == 2
    assert all(each["type"] == "plain_text" for each in texts)
    assert not any(each["emoji"] for each in texts)
    assert not any(mark in message["text"] for mark in ("@all", "<!", "]("))
    assert message["mrkdwn"] is False


def test_no_gateway_with_many_alarms_keeps_anothers_from_slack(
    settings: Settings, server: Rogue, receiver: Receiver
) -> None:
    """A-74: in a digest it has the first twenty places, and what is new comes last."""
    settings.MAIL_CAP = 5
    make_channel(server.url, ChannelKind.SLACK)
    tell(make_incident())
    send()
    many = make_gateway(name="Many")
    for _ in range(22):
        tell(make_incident(many))
    tell(make_incident(make_gateway(name="Production"), opened_at=after(1)))

    assert send(60) == 1

    shown = json.dumps(receiver.messages[-1]["blocks"])
    assert "Production" in shown
    assert shown.count("Many") == 20
    assert "and 3 more." in shown


@pytest.mark.parametrize(
    "name",
    ["@everyone", "<@U1>", "<b>b</b>", "<http://x|y>", "![x](http://evil.io/x.png)"],
)
def test_what_acts_in_markdown_is_broken_and_reads_the_same(name: str) -> None:
    """C-15: Apprise hands texts to Discord and others as they are."""
    said = defused(f"Team {name} is down")

    assert said.replace("\u200b", "") == f"Team {name} is down"
    assert not re.search(r"@\w|<[!@/#:\w]|\]\(", said)


def test_apprise_is_told_that_a_message_is_plain_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C-15: else it would be HTML or Markdown to services that know either."""
    told: dict[str, object] = {}

    class Sender:
        def add(self, url: str) -> bool:
            return True

        def notify(self, **message: object) -> bool:
            told.update(message)
            return True

    library = SimpleNamespace(Apprise=Sender)
    monkeypatch.setattr(apprise_posting, "_apprise", lambda: library)
    make_channel("ntfy://topic", ChannelKind.APPRISE)
    tell(make_incident(make_gateway(name="<b>@here</b>")))

    send()

    for text in (str(told["title"]), str(told["body"])):
        assert "<\u200bb>@\u200bhere<\u200b/b>" in text
    assert told["body_format"] == "text"


def test_apprise_says_how_to_install_it() -> None:
    channel = make_channel("ntfy://topic", ChannelKind.APPRISE)

    assert "pip install apprise" in send_test_message(channel, after(0), posting.post)
    assert shown_address(channel) == "ntfy://…"
