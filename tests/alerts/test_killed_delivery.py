"""kill -9 at each step of a delivery, with a real server and a real process."""

import os
import subprocess
import sys
import threading
from datetime import datetime

import pytest
from django.db import connection

from dashboard.alerts.batches import LEASE
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Notification
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.alerts.mailbox import Mailbox

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.processes,
]

_DELIVER = """
import sys
from datetime import datetime
import django
django.setup()
from dashboard.alerts.delivery import deliver
deliver(datetime.fromisoformat(sys.argv[1]))
"""


def start_delivery(mailbox: Mailbox, now: datetime) -> "subprocess.Popen[bytes]":
    database = connection.settings_dict
    address = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        address = (
            f"postgres://{database['USER']}:{database['PASSWORD']}@"
            f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
        )
    hidden = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "EMAIL_URL"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": address,
        "EMAIL_URL": mailbox.url,
    }
    return subprocess.Popen([sys.executable, "-c", _DELIVER, now.isoformat()], env=env)


@pytest.mark.parametrize(
    ("step", "arrivals"),
    [("EHLO", 1), ("RCPT", 1), ("DATA", 2), ("QUIT", 2)],
)
def test_a_killed_delivery_loses_nothing(
    step: str, arrivals: int, mailbox: Mailbox
) -> None:
    """DATA: the server has it and has not yet said so; QUIT: we have not yet stored it.

    There, and only there, the same mail comes twice, with the same Message-ID.
    """
    make_recipient()
    tell(make_incident())
    reached, killed = threading.Event(), threading.Event()
    mailbox.stop_at = step

    def stop() -> None:
        reached.set()
        killed.wait(20)

    mailbox.stop = stop

    child = start_delivery(mailbox, after(30))
    assert reached.wait(30)
    child.kill()
    child.wait(10)
    killed.set()

    assert Notification.objects.get().state == "queued"
    assert deliver(after(60)) == 0
    assert deliver(after(40) + LEASE) == 1
    assert deliver(after(600) + LEASE) == 0
    assert len(mailbox.ids) == arrivals
    assert len(set(mailbox.ids)) == 1
    assert Notification.objects.get().state == "sent"
