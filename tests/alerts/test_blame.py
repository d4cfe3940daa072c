"""Whose fault an alarm is, in the same words wherever it is told: A-60."""

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from dashboard.alerts import batches, payloads
from dashboard.alerts.blame import Whose, beside_class, of_alarm, of_class
from dashboard.alerts.delivery import deliver
from dashboard.alerts.letters import letter_of
from dashboard.alerts.models import Incident, RuleKind
from dashboard.probes.taxonomy import ErrorClass
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.factories import make_team

# These alarms rest on failed results, and those have an error class.
_BY_CLASS = {
    RuleKind.ERROR_RATE,
    RuleKind.BREAKER_OPEN,
    RuleKind.GATEWAY_DOWN,
    RuleKind.AUTH_FAILED,
    RuleKind.STREAM_FAILURES,
    RuleKind.BURN_RATE,
}


@pytest.mark.parametrize(
    ("error_class", "told", "beside"),
    [
        ("server_error", "the gateway's (server error)", "the gateway's"),
        ("tls_failed", "the gateway's (TLS failed)", "the gateway's"),
        (
            "provider_timeout",
            "the gateway's (what is behind it: provider timed out)",
            "the gateway's (what is behind it)",
        ),
        ("team_suspended", "yours (team suspended)", "yours"),
        (
            "not_found",
            "yours (the request itself: not found)",
            "yours (the request itself)",
        ),
    ],
)
def test_an_error_is_somebodys_fault(error_class: str, told: str, beside: str) -> None:
    assert str(of_class(error_class)) == told
    assert str(beside_class(error_class)) == beside


def test_every_error_has_an_answer() -> None:
    assert all(of_class(each).whose in Whose for each in ErrorClass)


@pytest.mark.parametrize("kind", [k for k in RuleKind if k not in _BY_CLASS])
def test_an_alarm_without_a_failed_result_says_why_too(kind: RuleKind) -> None:
    assert of_alarm(kind, "") != of_alarm(RuleKind.ERROR_RATE, "")


def test_credits_are_no_fault_of_the_gateway() -> None:
    assert of_alarm(RuleKind.CREDITS, "").whose is Whose.YOURS


@pytest.mark.django_db
def test_mail_page_webhook_and_slack_say_it_alike(admin_client: Client) -> None:
    """A-60."""
    make_recipient()
    incident = tell(credits_low())
    batch = batches.Claims().next(after(30))
    assert batch is not None
    letter = letter_of(batch, after(30))
    deliver(after(30) + batches.LEASE)
    (message,) = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)

    page = admin_client.get(reverse("incident", args=[incident.pk]))
    told = [
        str(message.body),
        str(message.alternatives[0][0]),
        page.content.decode(),
        payloads.as_json(payloads.webhook(batch, letter)).decode(),
        payloads.as_json(payloads.slack(letter)).decode(),
        payloads.plain(letter),
    ]

    words = "yours (the team's credits, no error of the gateway)"
    assert all(words in strip_tags(each).replace("&#x27;", "'") for each in told)


def credits_low() -> Incident:
    return make_incident(team=make_team(), kind=RuleKind.CREDITS, error_class="")
