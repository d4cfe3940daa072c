"""An outage that comes and goes stays open while it is good: it hides nothing then."""

import pytest
from django.core import mail

from dashboard.alerts import targets
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Incident, Notification, Rule, RuleKind
from dashboard.alerts.services import (
    evaluate,
    evaluate_all,
    evaluate_slow,
    install_default_rules,
)
from dashboard.probes import heartbeats
from dashboard.probes.models import Breaker, Probe
from dashboard.probes.queries import breaker_keys, breakers
from dashboard.rollups.services import fold
from dashboard.teams.models import Team
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.factories import NOW, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _told() -> None:
    install_default_rules()
    Rule.objects.filter(kind=RuleKind.NO_DATA).update(enabled=False)
    make_recipient()
    heartbeats.beat("evaluate", after(-241))


def run(probe: Probe, seconds: float, error: str = "", health: str = "") -> None:
    """Let a probe end so, and health, too; judge all, and send what is due."""
    make_outcome(Probe.objects.get(team=None), seconds, error_class=health)
    make_outcome(probe, seconds, error_class=error, detail=error and "HTTP 500")
    Probe.objects.filter(pk=probe.pk).update(last_at=after(seconds), last_error=error)
    evaluate({probe.pk}, after(seconds))
    for later in (0, 35):
        evaluate_all(after(seconds + later))
        deliver(after(seconds + later))


def subjects() -> list[str]:
    return [message.subject.removeprefix("[Gatewatch] ") for message in mail.outbox]


def make_outage(team: Team | None, *, good_at: float) -> Incident:
    """Store an outage that came and went, was told, and has been good for a while."""
    assert team is not None
    health = make_probe(gateway=team.gateway)
    for seconds in (-305, -245):
        make_outcome(health, seconds)
    return tell(
        make_incident(
            team.gateway,
            identity=f"gateway_down:gateway:{team.gateway_id}",
            kind="gateway_down",
            summary="Gateway down",
            opened_at=after(-900),
            evaluated_at=after(-900),
            flapping_since=after(good_at),
            clear_since=after(good_at),
        ),
        after(-900),
    )


def test_another_outage_is_told_while_the_one_before_waits_for_its_calm() -> None:
    """A-53, A-57: half an hour of calm hid whatever failed in it, from everybody."""
    team = make_team()
    probe = make_probe(team)
    down = make_outage(team, good_at=-300)
    for minute in range(4):
        run(probe, 60 * minute - 240)
    mail.outbox.clear()

    for minute in range(3):
        run(probe, 60 * minute, "rate_limited")

    down.refresh_from_db()
    assert down.is_open
    (told,) = subjects()
    assert told.startswith(f"CRITICAL {probe}")
    errors = Incident.objects.get(probe=probe)
    assert errors.inhibited_by is None
    # Nor is it spoken for again in rounds that do not judge it.
    evaluate_all(after(150))
    evaluate(
        list(Probe.objects.filter(team=None).values_list("pk", flat=True)), after(151)
    )
    errors.refresh_from_db()
    assert errors.inhibited_by is None


def test_a_mail_tells_what_fails_now_and_not_the_outage_that_is_over() -> None:
    """A-57, A-60: the same alarm was open in that outage, and nobody was told of it."""
    team = make_team()
    probe = make_probe(team)
    down = make_outage(team, good_at=-300)
    errors = make_incident(
        team.gateway,
        team,
        probe,
        identity=f"error_rate:probe:{probe.pk}",
        level="high",
        value=1.0,
        evidence={"since": after(-900).isoformat(), "classes": {"server_error": 5}},
        opened_at=after(-840),
        evaluated_at=after(-400),
        clear_since=after(-300),
        flapping_since=after(-300),
        inhibited_by=down,
    )
    for minute in range(4):
        run(probe, 60 * minute - 240)
    mail.outbox.clear()

    for minute in range(3):
        run(probe, 60 * minute, "rate_limited")

    (message,) = mail.outbox
    assert "3 of 5 runs failed" in message.subject
    assert "Whose fault: yours (rate limited)" in message.body
    assert f"Since:      {NOW:%Y-%m-%d %H:%M} UTC" in message.body
    assert "erver error" not in message.body
    errors.refresh_from_db()
    assert errors.began_at == NOW


def test_hiccups_of_health_do_not_let_a_good_outage_hide_another() -> None:
    """A-53, A-57: its calm begins anew with each, but it is over all the same."""
    team = make_team()
    probe = make_probe(team)
    down = make_outage(team, good_at=-300)
    for minute in range(4):
        run(probe, 60 * minute - 240, health="timeout" if minute == 3 else "")
    mail.outbox.clear()

    for minute in range(3):
        run(probe, 60 * minute, "rate_limited", health="timeout" if minute == 2 else "")

    (told,) = subjects()
    assert told.startswith(f"CRITICAL {probe}")
    down.refresh_from_db()
    assert down.clear_since == after(-300)
    assert down.calm_since is not None
    assert down.calm_since > after(60)


def test_a_restart_takes_back_no_mail_that_waits_to_go() -> None:
    """A-51, A-57: a calm begins anew, but what was good before it is so still."""
    team = make_team()
    probe = make_probe(team, period_s=900)
    down = make_outage(team, good_at=-1500)
    deliver(after(-800))
    mail.outbox.clear()
    for seconds in (-3600, -2700, -1300, -600, -1):
        error = "rate_limited" if seconds > -1500 else ""
        make_outcome(probe, seconds, error_class=error)
    heartbeats.beat("evaluate", after(-5))
    evaluate({probe.pk}, NOW)

    evaluate_all(after(60))
    deliver(after(60))

    down.refresh_from_db()
    assert down.calm_since == after(60)
    (told,) = subjects()
    assert told.startswith(f"CRITICAL {probe}")


@pytest.mark.parametrize(
    ("opened_ago_s", "reopened", "until_s", "is_new"),
    [
        (120, 0, 10, True),
        (400, 0, 10, False),
        # The peeks of a cheap probe open it anew, and are not counted.
        (5000, 0, 600, True),
        (5000, 0, 10, False),
        (700, 1, 10, True),
        (700, 4, 10, False),
    ],
)
def test_a_breaker_that_fails_anew_is_of_no_outage_that_is_over(
    opened_ago_s: int, reopened: int, until_s: int, *, is_new: bool
) -> None:
    """A-57: nor are its probe's errors, for which it speaks."""
    probe = make_probe(make_team())
    down = make_outage(probe.team, good_at=-300)
    key = next(iter(breaker_keys(probe).values()))
    Breaker.objects.create(
        gateway=probe.gateway,
        key=key,
        failures=6,
        opened_at=NOW.timestamp() - opened_ago_s,
        open_until=NOW.timestamp() + until_s,
        reopened=reopened,
        reason="server_error",
    )
    (target,) = (targets.of_breaker(each) for each in breakers(NOW))
    muted = make_incident(
        probe.gateway,
        probe.team,
        probe,
        identity=target.identity,
        kind="breaker_open",
        evidence={"since": after(-640).isoformat(), "endpoint": "GET /x"},
        opened_at=after(-640),
        evaluated_at=after(-640),
        inhibited_by=down,
    )
    heartbeats.beat("evaluate", after(-5))

    evaluate_all(NOW)

    muted.refresh_from_db()
    assert (muted.inhibited_by is None) == is_new


def test_a_new_outage_is_told_in_one_mail_while_another_is_good_again() -> None:
    """A-56: its mail waits a moment for the probes that have just begun to fail."""
    team = make_team()
    probe = make_probe(team)
    make_outage(team, good_at=-300)
    deliver(after(-800))
    mail.outbox.clear()
    begun = make_probe(team, kind="balance", failing_since=after(20))
    tell(make_incident(team.gateway, team, probe))

    deliver(after(35))
    assert subjects() == []
    Probe.objects.filter(pk=begun.pk).update(failing_since=None)
    deliver(after(50))
    assert len(subjects()) == 1


def test_what_failed_in_the_outage_only_stays_spoken_for() -> None:
    """A-57: a moment after its end late runs end, and breakers close."""
    team = make_team()
    probe = make_probe(team)
    make_outage(team, good_at=-60)
    for minute in range(5):
        run(probe, 60 * minute - 240, "timeout")
    mail.outbox.clear()

    for minute in range(1, 6):
        run(probe, 60 * minute)

    assert Incident.objects.get(probe=probe).inhibited_by is not None
    assert subjects() == []


def test_slowness_of_the_outages_own_timeouts_is_no_alarm_after_it() -> None:
    """A-57: a p95 of half an hour tells for half an hour what is over."""
    probe = make_probe(make_team())
    outage = make_incident(
        probe.gateway, kind="gateway_down", opened_at=after(-600), resolved_at=NOW
    )
    slow = make_incident(
        probe.gateway,
        probe.team,
        probe,
        identity=f"latency:probe:{probe.pk}",
        kind="latency",
        opened_at=after(-300),
        evidence={"since": after(-300).isoformat()},
        inhibited_by=outage,
    )

    def live(minutes: range, **fields: object) -> None:
        fold(make_outcome(probe, 60 * minute, **fields) for minute in minutes)
        evaluate_slow(after(60 * minutes.stop))

    live(range(-30, -10))
    live(range(-10, 0), error_class="timeout")
    live(range(3))
    assert Notification.objects.filter(incident=slow).count() == 0

    # Slow by itself, it is told after three runs, and not when the window is past it.
    live(range(3, 5), latency_us=20_000_000, elapsed_us=20_000_000)
    assert Notification.objects.filter(incident=slow).count() == 0
    live(range(5, 6), latency_us=20_000_000, elapsed_us=20_000_000)
    assert Notification.objects.filter(incident=slow, state="queued").count() == 1
