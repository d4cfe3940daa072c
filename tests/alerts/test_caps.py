"""How many mails somebody gets in an hour, and what becomes of the rest."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from dashboard.alerts import lifecycle
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Incident, Notification, Recipient, Severity
from tests.alerts.conftest import after, make_incident, states, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import make_gateway

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recipient")]

WAIT_S = 30


def spread(number: int, seconds: float = 60, severity: str = Severity.WARNING) -> None:
    """Let so many unlike gateways fail one after the other, each told at once."""
    for place in range(number):
        at = after(seconds * place)
        tell(make_incident(opened_at=at, severity=severity), at)
        deliver(at + timedelta(seconds=WAIT_S), monotonic=lambda: 0.0)


def warn(seconds: float) -> Incident:
    incident = make_incident(opened_at=after(seconds), severity=Severity.WARNING)
    return tell(incident, after(seconds))


@pytest.mark.slow
def test_too_many_mails_become_digests_and_nothing_is_left_out(
    mailbox: Mailbox,
) -> None:
    """A-74: 16 mails, then one each quarter of an hour: 20 in any hour at most."""
    spread(40)

    assert len(mailbox.messages) == 17
    digest = mailbox.messages[-1]
    assert str(digest["Subject"]).startswith("[Gatewatch] WARNING gateway-")
    assert str(digest["Subject"]).endswith("runs failed, and 14 more: 14 warning")
    told = digest.get_body(("plain",))
    assert told is not None
    assert told.get_content().count("3 of 5 runs failed") == 15
    assert digest["In-Reply-To"] is None

    assert deliver(after(45 * 60 + WAIT_S)) == 1
    assert set(states()) == {"sent"}
    sent = Notification.objects.exclude(incident=None)
    assert sent.count() == 40
    assert all(sent.exclude(batch=None))


def test_a_critical_alarm_passes_the_cap_and_takes_along_what_waits(
    mailbox: Mailbox, settings: Settings
) -> None:
    """A-74: an outage at night does not wait for a digest of the evening's warnings."""
    settings.MAIL_CAP = 6
    spread(2)
    held = warn(120)
    assert deliver(after(120 + WAIT_S)) == 0

    outage = tell(make_incident(opened_at=after(180)), after(180))
    assert deliver(after(180 + WAIT_S)) == 1

    assert len(mailbox.messages) == 3
    rows = Notification.objects.filter(incident__in=[held, outage])
    assert len(set(rows.values_list("batch", flat=True))) == 1


def test_a_digest_goes_in_the_turn_of_each_gateway_that_it_tells_of(
    mailbox: Mailbox, settings: Settings
) -> None:
    """A-74: it went behind all mails of the outage that it told of first."""
    settings.MAIL_CAP = 6
    spread(2)
    gateway = make_gateway()
    for address in ("a@example.org", "b@example.org", "c@example.org"):
        Recipient.objects.create(email=address, gateway=gateway)
    outage = tell(make_incident(gateway, opened_at=after(180)), after(180))
    other = tell(make_incident(make_gateway(), opened_at=after(181)), after(181))

    assert deliver(after(181 + WAIT_S)) == 4

    told = [str(message["To"])[0] for message in mailbox.messages[2:]]
    assert told == ["a", "o", "b", "c"]
    rows = Notification.objects.filter(
        incident__in=[outage, other], recipient="ops@example.org"
    )
    assert len(set(rows.values_list("batch", flat=True))) == 1


@pytest.mark.parametrize(
    ("severity", "mails"), [(Severity.CRITICAL, 1), (Severity.WARNING, 0)]
)
def test_the_end_of_a_critical_alarm_passes_the_cap_as_its_beginning_did(
    mailbox: Mailbox, settings: Settings, severity: str, mails: int
) -> None:
    """A-74: that a gateway was up again was told five minutes late."""
    settings.MAIL_CAP = 6
    told = tell(make_incident(severity=severity))
    deliver(after(WAIT_S))
    for seconds in (60, 120):
        tell(make_incident(opened_at=after(seconds)), after(seconds))
        deliver(after(seconds + WAIT_S))
    lifecycle.resolve([told], after(180))

    assert deliver(after(180 + WAIT_S)) == mails

    assert deliver(after(120 + WAIT_S + 901)) == 1 - mails
    assert mailbox.messages[-1]["Subject"].startswith("[Gatewatch] RESOLVED")


def test_a_storm_of_critical_alarms_has_a_cap_of_its_own(
    mailbox: Mailbox, settings: Settings
) -> None:
    """A-74: twice the cap in any hour at most, and the rest in digests."""
    settings.MAIL_CAP = 6
    spread(12, severity=Severity.CRITICAL)

    assert len(mailbox.messages) == 8
    assert deliver(after(8 * 60 + 900)) == 1
    assert len(mailbox.messages) == 9
    assert set(states()) == {"sent"}


def test_what_ended_while_the_cap_held_it_is_told_in_the_digest(
    mailbox: Mailbox, settings: Settings
) -> None:
    """A-74: nothing is dropped silently, and no recovery comes besides."""
    settings.MAIL_CAP = 6
    spread(2)
    brief = warn(120)
    deliver(after(120 + WAIT_S))
    lifecycle.resolve([brief], after(240))

    assert deliver(after(900)) == 0
    assert deliver(after(1000)) == 1
    assert deliver(after(3600)) == 0

    told = mailbox.messages[-1].get_body(("plain",))
    assert mailbox.messages[-1]["Subject"].startswith("[Gatewatch] RESOLVED")
    assert told is not None
    assert "You hear of it only now" in told.get_content()
    assert set(states()) == {"sent"}


def test_what_waited_comes_together_once_there_is_room(mailbox: Mailbox) -> None:
    """One by one, the last of it would be told hours later."""
    spread(1)
    for place in range(20):
        tell(make_incident(), after(1800 + place))
    for place in range(15):
        deliver(after(1900 + place))
    assert len(mailbox.messages) == 2

    assert "and 19 more: 19 critical" in mailbox.messages[-1]["Subject"]


@pytest.mark.slow
def test_a_digest_tells_of_ends_too_and_only_to_whom_knew(mailbox: Mailbox) -> None:
    spread(15)
    known = warn(15 * 60)
    deliver(after(15 * 60 + WAIT_S))
    warn(16 * 60)
    never_told = warn(16 * 60)
    lifecycle.resolve([known], after(17 * 60))
    lifecycle.resolve([never_told], after(17 * 60))

    assert deliver(after(20 * 60)) == 0
    assert deliver(after(31 * 60)) == 1

    assert "and 1 more: 1 resolved" in mailbox.messages[-1]["Subject"]
    assert states().count("dropped") == 1


@pytest.mark.slow
def test_no_cap_where_it_is_switched_off(mailbox: Mailbox, settings: Settings) -> None:
    settings.MAIL_CAP = 0
    spread(25)

    assert len(mailbox.messages) == 25
