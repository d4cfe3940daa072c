"""What goes out together, and how long it waits for the rest of an outage."""

import pytest

from dashboard.alerts import lifecycle, outbox
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import RuleKind, Severity
from tests.alerts.conftest import after, make_incident, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import make_gateway

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recipient")]

WAIT_S, INTERVAL_S = 30, 300


def test_later_news_of_a_gateway_waits_for_the_interval(mailbox: Mailbox) -> None:
    gateway = make_gateway()
    tell(make_incident(gateway))
    deliver(after(WAIT_S))
    tell(make_incident(gateway), after(60))
    tell(make_incident(gateway), after(120))

    assert deliver(after(WAIT_S + INTERVAL_S - 1)) == 0
    assert deliver(after(WAIT_S + INTERVAL_S + 1)) == 1
    assert len(mailbox.messages) == 2


def test_an_outage_does_not_wait_for_the_interval_of_low_credits(
    mailbox: Mailbox,
) -> None:
    gateway = make_gateway()
    tell(make_incident(gateway, kind=RuleKind.CREDITS))
    deliver(after(WAIT_S))
    tell(make_incident(gateway), after(60))

    assert deliver(after(60 + WAIT_S)) == 1


def test_a_critical_alarm_does_not_wait_for_the_interval_of_a_warning(
    mailbox: Mailbox,
) -> None:
    """A-56: a breaker's warning held back for five minutes that the gateway was down."""
    gateway = make_gateway()
    breaker = RuleKind.BREAKER_OPEN
    tell(make_incident(gateway, kind=breaker, severity=Severity.WARNING))
    deliver(after(WAIT_S))
    tell(make_incident(gateway, kind=RuleKind.GATEWAY_DOWN), after(60))

    assert deliver(after(60 + WAIT_S)) == 1
    tell(make_incident(gateway, kind=breaker, severity=Severity.WARNING), after(120))
    assert deliver(after(120 + WAIT_S)) == 0


def test_other_gateways_do_not_wait_for_each_other(mailbox: Mailbox) -> None:
    tell(make_incident())
    tell(make_incident())

    assert deliver(after(WAIT_S)) == 2


def test_an_escalation_does_not_wait(mailbox: Mailbox) -> None:
    incident = tell(make_incident())
    deliver(after(WAIT_S))
    incident.level = "critical"
    outbox.queue_escalation(incident, after(60))

    assert deliver(after(60)) == 1
    assert mailbox.messages[1]["In-Reply-To"] == mailbox.ids[0]


def test_one_recovery_tells_of_all_that_one_mail_told(mailbox: Mailbox) -> None:
    gateway = make_gateway()
    first, second = tell(make_incident(gateway)), tell(make_incident(gateway))
    deliver(after(WAIT_S))
    lifecycle.resolve([first], after(100))
    assert deliver(after(200)) == 0
    lifecycle.resolve([second], after(210))

    assert deliver(after(220)) == 1
    assert len(mailbox.messages) == 2


def test_a_recovery_waits_for_the_others_no_longer_than_the_interval(
    mailbox: Mailbox,
) -> None:
    gateway = make_gateway()
    first = tell(make_incident(gateway))
    tell(make_incident(gateway))
    deliver(after(WAIT_S))
    lifecycle.resolve([first], after(100))

    assert deliver(after(100 + INTERVAL_S - 1)) == 0
    assert deliver(after(100 + INTERVAL_S + 1)) == 1
