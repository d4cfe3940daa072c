"""What is no longer watched ends, says why, and has not recovered."""

from collections.abc import Callable

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from pytest_django import Settings

from dashboard.alerts import batches, lifecycle, payloads
from dashboard.alerts.delivery import deliver
from dashboard.alerts.letters import letter_of
from dashboard.alerts.models import EventKind, Incident, Rule
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes.models import Breaker, Probe, ProbeKind
from dashboard.probes.queries import breaker_keys, gateway_key
from dashboard.teams.models import Gateway, Team
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.factories import NOW, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rules(db: None) -> None:
    install_default_rules()
    make_recipient()


@pytest.fixture
def probe() -> Probe:
    made = make_probe(make_team(key_sealed="sealed"), kind=ProbeKind.BALANCE)
    # Its gateway and its team stay watched without it.
    make_probe(gateway=made.gateway)
    make_probe(made.team)
    return made


def open_breaker(gateway: Gateway, key: str) -> Breaker:
    """Store a breaker whose trial is due, which nobody makes any more."""
    return Breaker.objects.create(
        gateway=gateway,
        key=key,
        failures=5,
        opened_at=NOW.timestamp() - 120,
        open_until=NOW.timestamp() + 10,
        reason="server_error",
    )


def breaker_incident(probe: Probe, key: str = "") -> Incident:
    open_breaker(probe.gateway, key or next(iter(breaker_keys(probe).values())))
    evaluate_all(NOW)
    deliver(after(60))
    assert len(mail.outbox) == 1
    return Incident.objects.get(kind="breaker_open")


def assert_ended(incident: Incident, why: str) -> None:
    incident.refresh_from_db()
    assert incident.resolved_at == after(90)
    assert incident.ended_because == f"no longer watched: {why}"
    assert incident.events.get(kind=EventKind.RESOLVED).text == incident.ended_because
    deliver(after(600))
    told = mail.outbox[-1]
    assert len(mail.outbox) == 2
    assert "RESOLVED" not in f"{told.subject}{told.body}"
    assert f"Nobody knows whether it is over: no longer watched: {why}." in told.body


def move(gateway: Gateway, base_url: str = "https://moved.example") -> None:
    Gateway.objects.filter(pk=gateway.pk).update(base_url=base_url)


def test_a_breaker_of_an_address_that_the_gateway_no_longer_has(probe: Probe) -> None:
    incident = breaker_incident(probe)
    move(probe.gateway)

    evaluate({probe.pk}, after(75))
    assert Incident.objects.get(pk=incident.pk).is_open
    evaluate_all(after(90))

    assert_ended(incident, "the gateway's address was changed")


def test_a_whole_hosts_breaker_of_an_old_address(probe: Probe) -> None:
    incident = breaker_incident(probe, gateway_key(probe.gateway))
    move(probe.gateway)

    evaluate_all(after(90))

    assert_ended(incident, "the gateway's address was changed")


def test_a_breaker_at_the_new_address_is_an_alarm_of_its_own(probe: Probe) -> None:
    old = breaker_incident(probe)
    move(probe.gateway)
    moved = Probe.objects.get(pk=probe.pk)
    open_breaker(moved.gateway, next(iter(breaker_keys(moved).values())))
    Breaker.objects.update(open_until=NOW.timestamp() + 3600)

    evaluate_all(after(90))
    evaluate_all(after(105))

    old.refresh_from_db()
    assert old.ended_because
    assert Incident.objects.get(resolved_at=None, kind="breaker_open") != old


def test_a_breaker_that_is_watched_waits_for_its_trial(probe: Probe) -> None:
    """Half open decides nothing, for however long."""
    incident = breaker_incident(probe)

    for seconds in range(15, 3600, 600):
        evaluate_all(after(seconds))

    incident.refresh_from_db()
    assert incident.is_open


def errors(probe: Probe) -> Incident:
    for i in range(5):
        make_outcome(probe, -60 * i, error_class="server_error")
    Probe.objects.filter(pk=probe.pk).update(last_at=NOW, last_error="server_error")
    evaluate_all(NOW)
    deliver(after(60))
    return Incident.objects.get(kind="error_rate")


def rename_team() -> int:
    return Team.objects.update(team_id="renamed")


def take_key() -> int:
    return Team.objects.update(key_sealed="")


def switch_off() -> int:
    return Probe.objects.filter(kind=ProbeKind.BALANCE).update(enabled=False)


def switch_rule_off() -> int:
    return Rule.objects.filter(kind="error_rate").update(enabled=False)


@pytest.mark.parametrize(
    ("begin", "change", "why"),
    [
        (breaker_incident, rename_team, "the team's id was changed"),
        # It is never tried again: it stayed half open for ever.
        (breaker_incident, switch_off, "the probe is switched off"),
        (breaker_incident, take_key, "the team has no key"),
        # No sample comes any more, and too few never clear an alarm.
        (errors, switch_off, "the probe is switched off"),
        (errors, take_key, "the team has no key"),
        (errors, switch_rule_off, "its rule is switched off"),
    ],
)
def test_what_nothing_judges_any_more_ends(
    probe: Probe,
    begin: Callable[[Probe], Incident],
    change: Callable[[], int],
    why: str,
) -> None:
    incident = begin(probe)
    assert change() == 1

    evaluate_all(after(90))

    assert_ended(incident, why)


def test_a_certificate_of_a_gateway_that_no_longer_uses_tls(probe: Probe) -> None:
    """The date that was seen is the old address's."""
    Gateway.objects.update(certificate_expires_at=after(86_400))
    evaluate_all(NOW)
    deliver(after(60))
    move(probe.gateway, "http://gateway.example")

    evaluate_all(after(90))

    assert_ended(Incident.objects.get(), "the gateway's address was changed")


@pytest.mark.parametrize("form", [payloads.webhook, payloads.slack, payloads.plain])
def test_programs_are_told_that_it_ended_and_why(
    form: Callable[..., object],
) -> None:
    """Nobody knows whether it recovered: it is not called resolved."""
    incident = tell(make_incident())
    deliver(after(30))
    lifecycle.resolve([incident], after(60), "no longer watched: the probe is gone")
    batch = batches.Claims().next(after(200))
    assert batch is not None
    letter = letter_of(batch, after(200))

    told = form(batch, letter) if form is payloads.webhook else form(letter)

    assert "no longer watched: the probe is gone" in str(told)
    assert "resolved" not in str(told).lower().replace("resolved_at", "")


def test_a_digest_tells_that_it_ended_and_why(settings: Settings) -> None:
    """A-74, and nothing of it is called resolved."""
    settings.MAIL_CAP = 5
    for second in (0, 60):
        tell(make_incident(severity="warning"), after(second))
        deliver(after(second + 30))
    incident = Incident.objects.earliest("pk")
    lifecycle.resolve([incident], after(100), "no longer watched: the probe is gone")
    deliver(after(2000))

    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    assert message.subject.endswith("and 1 more: 1 ended")
    for text in (str(message.body), str(message.alternatives[0][0])):
        assert "no longer watched: the probe is gone" in text
        assert "RESOLVED" not in text.upper()
