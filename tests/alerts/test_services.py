"""Evaluation on the database: what opens, escalates, ends and is told."""

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import (
    EventKind,
    Incident,
    Notification,
    Rule,
    RuleKind,
    Severity,
    Silence,
)
from dashboard.alerts.queries import broken_rules
from dashboard.alerts.rulebook import DEFAULTS
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes.models import Breaker, Probe, ProbeKind
from dashboard.probes.queries import breaker_keys, gateway_key
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rules(request: pytest.FixtureRequest) -> None:
    # After the database of a transactional test is there, too.
    request.getfixturevalue("db" if _is_plain(request) else "transactional_db")
    install_default_rules()


def _is_plain(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("django_db")
    return not marker.kwargs.get("transaction", False)


def fail(probe: Probe, times: int = 5, error: str = "server_error") -> None:
    """Store `times` failures, a minute apart, the last one now."""
    for i in range(times):
        make_outcome(probe, -60 * i, error_class=error, detail="HTTP 500")
    Probe.objects.filter(pk=probe.pk).update(last_at=NOW, last_error=error)


def open_kinds() -> list[str]:
    found = Incident.objects.filter(resolved_at=None).order_by("kind")
    return list(found.values_list("kind", flat=True))


def test_default_rules_are_installed_once_and_kept_as_changed() -> None:
    Rule.objects.filter(name="Gateway down").update(enabled=False)

    install_default_rules()

    assert Rule.objects.count() == len(DEFAULTS)
    assert not Rule.objects.get(name="Gateway down").enabled


def test_a_default_rule_that_got_another_name_does_not_come_back() -> None:
    """Before the other one by its name, it would have judged in its place."""
    rules = Rule.objects.filter(kind=RuleKind.ERROR_RATE)
    rules.update(name="Errors", critical_at=0.05)
    Rule.objects.filter(kind=RuleKind.CREDITS).delete()

    install_default_rules()

    assert rules.get().critical_at == 0.05
    assert Rule.objects.get(kind=RuleKind.CREDITS).name == "Credits low"


def test_evaluating_twice_opens_one_incident_and_writes_one_mail() -> None:
    make_recipient()
    probe = make_probe(make_team())
    fail(probe)

    evaluate({probe.pk}, NOW)
    evaluate({probe.pk}, after(1))
    evaluate_all(after(15))

    assert Incident.objects.count() == 1
    assert Notification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_evaluators_at_once_open_one_incident_and_write_one_mail() -> None:
    make_recipient()
    probe = make_probe(make_team())
    fail(probe)
    together = threading.Barrier(4)
    broken: list[BaseException] = []

    def judge() -> None:
        try:
            together.wait()
            evaluate({probe.pk}, NOW)
        except BaseException as error:  # noqa: BLE001 (shown by the assertion below)
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert broken == []
    assert Incident.objects.count() == 1
    assert Notification.objects.count() == 1


def test_nothing_is_left_when_the_callers_transaction_fails() -> None:
    """A-70."""
    make_recipient()
    probe = make_probe(make_team())
    fail(probe)

    with transaction.atomic():
        evaluate({probe.pk}, NOW)
        assert Notification.objects.exists()
        transaction.set_rollback(True)

    assert not Incident.objects.exists()
    assert not Notification.objects.exists()


def test_the_narrowest_rule_judges() -> None:
    probe = make_probe(make_team())
    fail(probe)
    Rule.objects.create(
        name="Never here", kind=RuleKind.ERROR_RATE, probe=probe, min_samples=99
    )
    Rule.objects.create(
        name="Team", kind=RuleKind.ERROR_RATE, team=probe.team, critical_at=0.1
    )

    evaluate({probe.pk}, NOW)
    assert not Incident.objects.exists()

    Rule.objects.filter(name="Never here").update(enabled=False)
    evaluate({probe.pk}, NOW)
    rule = Incident.objects.get().rule
    assert rule is not None
    assert rule.name == "Team"


def test_a_rule_that_raises_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """A-84: logged and kept for the pages to show, until a round has no error."""
    team = make_team()
    probe = make_probe(team, last_at=NOW)
    outcome = make_outcome(probe, error_class="no such class")
    make_reading(team, remaining=0)

    evaluate({probe.pk}, NOW)

    assert open_kinds() == ["credits"]
    assert "rule_error" in caplog.text
    broken = Rule.objects.get(name="Error-rate spike")
    assert broken.failure == f"ValueError judging error_rate:probe:{probe.pk}"
    evaluate_all(after(15))
    assert broken_rules()

    outcome.error_class = "server_error"
    outcome.save()
    evaluate_all(after(30))
    assert broken_rules() == []


def test_an_open_breaker_speaks_for_the_errors_of_its_endpoint() -> None:
    make_recipient()
    probe = make_probe(make_team())
    fail(probe)
    (key,) = breaker_keys(probe).values()
    Breaker.objects.create(
        gateway=probe.gateway,
        key=key,
        failures=5,
        opened_at=NOW.timestamp() - 61,
        open_until=NOW.timestamp() + 30,
        reason="server_error",
    )

    evaluate({probe.pk}, NOW)

    assert open_kinds() == ["breaker_open", "error_rate"]
    errors = Incident.objects.get(kind="error_rate")
    assert errors.inhibited_by == Incident.objects.get(kind="breaker_open")
    assert Notification.objects.get().incident == errors.inhibited_by
    # "WARNING" would be all that is mailed of a probe that fails each time.
    assert errors.inhibited_by.severity == Severity.CRITICAL


def test_a_breaker_speaks_for_the_slow_failures_that_opened_it() -> None:
    """A-57: a run that takes two minutes to fail began long before its breaker opened."""
    Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(window_s=1800)
    probe = make_probe(make_team())
    for place in range(5):
        make_outcome(probe, -200 - 60 * place, error_class="timeout")
    (key,) = breaker_keys(probe).values()
    Breaker.objects.create(
        gateway=probe.gateway,
        key=key,
        failures=5,
        opened_at=NOW.timestamp() - 61,
        open_until=NOW.timestamp() + 30,
        reason="timeout",
    )

    evaluate({probe.pk}, NOW)

    errors = Incident.objects.get(kind="error_rate")
    assert errors.inhibited_by == Incident.objects.get(kind="breaker_open")


def test_a_breaker_speaks_for_no_errors_that_were_over_before_it() -> None:
    """A-57: they wait for their calm, and it opened a quarter of an hour later."""
    probe = make_probe(make_team())
    errors = Incident.objects.create(
        gateway=probe.gateway,
        team=probe.team,
        probe=probe,
        kind="error_rate",
        identity=f"error_rate:probe:{probe.pk}",
        severity=Severity.CRITICAL,
        evidence={"latest": (NOW - timedelta(minutes=15)).isoformat()},
        opened_at=NOW - timedelta(minutes=20),
        evaluated_at=NOW - timedelta(minutes=15),
    )
    (key,) = breaker_keys(probe).values()
    Breaker.objects.create(
        gateway=probe.gateway,
        key=key,
        failures=5,
        opened_at=NOW.timestamp() - 61,
        open_until=NOW.timestamp() + 30,
        reason="timeout",
    )

    evaluate({probe.pk}, NOW)

    errors.refresh_from_db()
    assert Incident.objects.filter(kind="breaker_open").exists()
    assert errors.inhibited_by is None


def test_a_warning_that_comes_to_speak_for_a_critical_alarm_is_told_as_that() -> None:
    """A-55, A-57: of an outage that health does not see nobody else would tell."""
    make_recipient()
    gateway = make_gateway(name="Production")
    probes = [make_probe(make_team(gateway)) for _ in range(3)]
    Breaker.objects.create(
        gateway=gateway,
        key=gateway_key(gateway),
        failures=5,
        opened_at=NOW.timestamp() - 61,
        open_until=NOW.timestamp() + 300,
        reason="unavailable",
    )
    evaluate({probes[0].pk}, NOW)
    deliver(after(40))
    assert subjects() == ["WARNING"]
    for probe in probes:
        fail(probe, error="unavailable")
    Silence.objects.create(
        team=probes[0].team, reason="known", starts_at=NOW, ends_at=after(900)
    )

    evaluate({probes[0].pk}, after(45))
    deliver(after(45))
    assert subjects() == ["WARNING"]
    evaluate_all(after(50))
    deliver(after(50))
    evaluate_all(after(65))
    deliver(after(600))

    assert subjects() == ["WARNING", "CRITICAL"]
    breaker = Incident.objects.get(kind="breaker_open")
    events = breaker.events.filter(kind=EventKind.ESCALATED)
    assert events.get().text == "speaks for critical alarms"


def subjects() -> list[str]:
    """Return how bad each mail calls what it tells of."""
    return [str(message.subject).split()[1] for message in mail.outbox]


def test_errors_that_were_told_first_speak_for_their_breaker() -> None:
    """A-57; and A-30: a breaker's alarm ends when it has been closed for 5 minutes."""
    make_recipient()
    probe = make_probe(make_team())
    fail(probe)
    evaluate({probe.pk}, NOW)
    deliver(after(40))
    (key,) = breaker_keys(probe).values()
    breaker = Breaker.objects.create(
        gateway=probe.gateway,
        key=key,
        failures=5,
        opened_at=NOW.timestamp(),
        open_until=NOW.timestamp() + 300,
    )

    evaluate({probe.pk}, after(60))
    deliver(after(1000))
    assert len(mail.outbox) == 1
    assert Incident.objects.get(kind="breaker_open").inhibited_by is not None

    Probe.objects.filter(pk=probe.pk).update(last_at=after(390))
    Breaker.objects.filter(pk=breaker.pk).update(open_until=0, opened_at=0)
    for seconds in range(90, 390, 15):
        evaluate_all(after(seconds))
        assert open_kinds() == ["breaker_open", "error_rate"]
    evaluate_all(after(390))
    assert open_kinds() == ["error_rate"]


def test_what_still_fires_when_its_inhibitor_ends_is_told_after_all() -> None:
    make_recipient()
    team = make_team(status="suspended", status_at=NOW)
    probe = make_probe(team)
    fail(probe)
    evaluate({probe.pk}, NOW)
    assert Notification.objects.filter(incident__kind="team_state").count() == 1

    team.status, team.status_at = "active", after(50)
    team.save()
    evaluate({probe.pk}, after(50))
    assert not Notification.objects.filter(state="queued").exists()

    make_outcome(probe, 60, error_class="server_error")
    evaluate({probe.pk}, after(61))
    queued = Notification.objects.get(state="queued")
    assert queued.incident == Incident.objects.get(kind="error_rate", resolved_at=None)


def test_mail_of_a_muted_incident_is_withdrawn_and_written_again() -> None:
    make_recipient()
    team = make_team()
    probe = make_probe(team)
    fail(probe)
    evaluate({probe.pk}, NOW)
    row = Notification.objects.get()

    team.status, team.status_at = "paused", after(5)
    team.save()
    evaluate({probe.pk}, after(5))
    row.refresh_from_db()
    assert row.state == "dropped"

    team.status, team.status_at = "active", after(50)
    team.save()
    evaluate({probe.pk}, after(50))
    make_outcome(probe, 60, error_class="server_error")
    evaluate({probe.pk}, after(61))
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("queued", after(91))


def test_credits_escalate_one_incident() -> None:
    make_recipient()
    team = make_team()
    probe = make_probe(team, kind=ProbeKind.BALANCE, period_s=300)
    told = []
    for minute, remaining in enumerate([250, 190, 150, 90, 110, 90, 0, -5]):
        make_reading(team, 60 * minute, remaining=remaining)
        evaluate({probe.pk}, after(60 * minute))
        deliver(after(60 * minute + 50))
        told.append(len(mail.outbox))

    assert told == [0, 1, 1, 2, 2, 2, 3, 3]
    incident = Incident.objects.get()
    assert (incident.level, incident.severity) == ("exhausted", "critical")

    make_reading(team, 600, remaining=1000)
    evaluate({probe.pk}, after(600))
    deliver(after(640))
    assert len(mail.outbox) == 4
    assert "RESOLVED" in mail.outbox[-1].subject


def test_a_fall_through_two_levels_is_told_once() -> None:
    make_recipient()
    team = make_team()
    probe = make_probe(team)
    make_reading(team, remaining=190)
    evaluate({probe.pk}, NOW)
    make_reading(team, 10, remaining=50)
    evaluate({probe.pk}, after(10))

    deliver(after(60))
    deliver(after(600))

    (message,) = mail.outbox
    assert "CRITICAL" in message.subject
    assert "5 % left (50 of 1,000 credits)" in message.subject


def test_an_incident_ends_when_its_probe_is_switched_off() -> None:
    probe = make_probe(make_team())
    fail(probe)
    evaluate({probe.pk}, NOW)
    Probe.objects.filter(pk=probe.pk).update(enabled=False)

    evaluate_all(after(15))

    assert open_kinds() == []


def test_no_new_samples_never_end_an_incident() -> None:
    probe = make_probe(make_team())
    fail(probe)
    evaluate({probe.pk}, NOW)

    evaluate_all(after(86_400))

    assert open_kinds() == ["error_rate"]


def test_a_clock_that_went_back_changes_nothing() -> None:
    probe = make_probe(make_team())
    fail(probe)
    evaluate({probe.pk}, NOW)

    evaluate_all(NOW - timedelta(hours=1))

    assert open_kinds() == ["error_rate"]


def test_our_own_faults_are_never_the_gateways() -> None:
    """A-01, A-80: they are told, and as what they are."""
    probe, health = make_probe(make_team()), make_probe()
    fail(probe, error="internal_error")
    fail(health, error="internal_error")

    evaluate_all(NOW)

    assert open_kinds() == ["no_data", "no_data"]
    assert {each.error_class for each in Incident.objects.all()} == {"internal_error"}


def test_nobody_to_tell_is_no_reason_not_to_open() -> None:
    probe = make_probe(make_team())
    fail(probe)

    evaluate({probe.pk}, NOW)

    assert open_kinds() == ["error_rate"]
    assert not Notification.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_probes(
    settings: Settings,
) -> None:
    def count(teams: int) -> int:
        gateway = make_gateway()
        probes = [make_probe(make_team(gateway)) for _ in range(teams)]
        for probe in probes:
            make_outcome(probe)
            assert probe.team is not None
            make_reading(probe.team)
        with CaptureQueriesContext(connection) as queries:
            evaluate({probe.pk for probe in probes}, NOW)
        return len(queries)

    assert count(3) == count(30)


def test_an_outage_mutes_all_of_it_in_the_same_number_of_statements() -> None:
    make_recipient()

    def muted(teams: int) -> int:
        gateway = make_gateway()
        probes = [make_probe(make_team(gateway)) for _ in range(teams)]
        lesser = [tell(make_incident(gateway, each.team, each)) for each in probes]
        greater = make_incident(gateway, kind=RuleKind.GATEWAY_DOWN)
        with CaptureQueriesContext(connection) as queries:
            evaluate({probes[0].pk}, NOW)
        spoken_for = greater.inhibits.filter(notifications__state="dropped")
        assert set(spoken_for) == set(lesser)
        assert all(each.events.get().kind == "spoken_for" for each in lesser)
        return len(queries)

    assert muted(3) == muted(30)
