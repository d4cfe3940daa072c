from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from dashboard.alerts import outbox
from dashboard.alerts.models import (
    Incident,
    Notification,
    Recipient,
)
from dashboard.probes.models import Probe
from dashboard.teams.models import Gateway, Team
from tests import factories
from tests.alerts.mailbox import Mailbox, open_mailbox
from tests.alerts.receiver import Receiver
from tests.apiclient.rogue import Rogue, rogue
from tests.factories import NOW


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    """Let mails go to a real server on loopback."""
    with open_mailbox() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = box.port
        settings.EMAIL_TIMEOUT = 5
        yield box


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def server(receiver: Receiver) -> Iterator[Rogue]:
    with rogue(receiver) as running:
        yield running


def make_recipient(email: str = "ops@example.org") -> Recipient:
    return Recipient.objects.create(email=email)


@pytest.fixture
def recipient(db: None) -> Recipient:
    return make_recipient()


def states() -> list[str]:
    rows = Notification.objects.order_by("pk")
    return list(rows.values_list("state", flat=True))


def make_incident(
    gateway: Gateway | None = None,
    team: Team | None = None,
    probe: Probe | None = None,
    **fields: object,
) -> Incident:
    """Store an open incident: a spike of server errors, unless told otherwise."""
    spike: dict[str, object] = {
        "summary": "Health: 3 of 5 runs failed",
        "evidence": {"text": "3 of 5 runs failed", "classes": {"server_error": 3}},
        "error_class": "server_error",
    }
    return factories.make_incident(gateway, team, probe, **{**spike, **fields})


def tell(incident: Incident, at: datetime = NOW) -> Incident:
    outbox.queue_opening(incident, at)
    return incident


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
