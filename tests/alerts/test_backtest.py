"""The past by a rule: just what the live engine would have told."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from io import StringIO
from random import Random

import pytest
from django.core.management import call_command
from django.utils import timezone

from dashboard.alerts.backtest import Alarm, backtest, in_words, probes_of
from dashboard.alerts.models import Incident, Notification, Rule, RuleKind
from dashboard.alerts.rulebook import DEFAULTS
from dashboard.alerts.services import evaluate, evaluate_slow, install_default_rules
from dashboard.management.edge import UsageError
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.rollups.services import fold
from tests.alerts.conftest import after
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
MINUTE = 60
HOURS = 2


def rule(kind: RuleKind, **fields: object) -> Rule:
    """Return the default rule of a kind, changed, and not saved."""
    own = next(row for row in DEFAULTS.values() if row["kind"] == kind)
    return Rule(name="tried", **{**own, **fields})


def store(probe: Probe, classes: Iterable[str], latency_us: int = 50_000) -> None:
    """Store an outcome a minute from NOW on."""
    Outcome.objects.bulk_create(
        Outcome(
            probe=probe,
            started_at=after(MINUTE * place),
            error_class=error_class,
            latency_us=latency_us,
            elapsed_us=latency_us,
            attempts=1,
        )
        for place, error_class in enumerate(classes)
    )


def spans(alarms: Iterable[Alarm]) -> list[tuple[datetime, datetime | None]]:
    return [(alarm.opened_at, alarm.ended_at) for alarm in alarms]


def noisy(seed: int) -> list[str]:
    """Return hours of runs with outages of some minutes, and some single failures."""
    draw = Random(seed)  # noqa: S311 (a plausible past, no secret)
    classes = [
        "server_error" if draw.random() < 0.03 else "" for _ in range(60 * HOURS)
    ]
    for _ in range(3):
        start = draw.randrange(len(classes))
        for place in range(start, min(start + draw.randrange(2, 25), len(classes))):
            classes[place] = "timeout"
    return classes


@pytest.mark.parametrize("seed", range(2))
def test_it_is_what_the_live_engine_tells(seed: int) -> None:
    install_default_rules()
    Rule.objects.exclude(kind=RuleKind.ERROR_RATE).update(enabled=False)
    probe = make_probe(make_team())
    classes = noisy(seed)
    for place, error_class in enumerate(classes):
        make_outcome(probe, MINUTE * place, error_class=error_class)
        evaluate({probe.pk}, after(MINUTE * place))
    live = Incident.objects.order_by("opened_at").values_list(
        "opened_at", "resolved_at"
    )

    found = backtest(
        rule(RuleKind.ERROR_RATE),
        [probe],
        NOW - timedelta(seconds=1),
        after(MINUTE * len(classes)),
    )

    assert spans(found) == list(live)
    assert found, "a past without an alarm proves nothing"


def test_it_changes_and_tells_nothing() -> None:
    probe = make_probe(make_team())
    store(probe, ["server_error"] * 30)

    found = backtest(rule(RuleKind.ERROR_RATE), [probe], NOW, after(3600))

    assert len(found) == 1
    assert not Incident.objects.exists()
    assert not Notification.objects.exists()


def test_an_alarm_from_before_that_still_lasted_is_in_it() -> None:
    probe = make_probe(make_team())
    store(probe, ["server_error"] * 120)

    (alarm,) = backtest(rule(RuleKind.ERROR_RATE), [probe], after(3600), after(7200))

    assert alarm.ended_at is None
    assert alarm.severity == "critical"
    assert alarm.lasted_s(after(7200)) >= 3300


def test_a_pending_rule_waits_in_the_past_as_well() -> None:
    probe = make_probe(make_team())
    store(probe, [""] * 10 + ["server_error"] * 20 + [""] * 30)
    at_once = backtest(rule(RuleKind.ERROR_RATE), [probe], NOW, after(3600))
    later = backtest(rule(RuleKind.ERROR_RATE, for_s=300), [probe], NOW, after(3600))

    assert later[0].opened_at - at_once[0].opened_at == timedelta(seconds=300)
    assert later[0].ended_at == at_once[0].ended_at


def test_slow_answers_are_told_as_live() -> None:
    """A-20, A-22: within the minute by which histograms are kept."""
    install_default_rules()
    Rule.objects.exclude(kind=RuleKind.LATENCY).update(enabled=False)
    Rule.objects.filter(kind=RuleKind.LATENCY).update(warn_at=1000)
    probe = make_probe(make_team())
    for place in range(100):
        slow = 40 <= place < 50
        run = make_outcome(
            probe, MINUTE * place, latency_us=2_000_000 if slow else 50_000
        )
        fold([run])
        if place >= 35:
            evaluate_slow(after(MINUTE * place + 5))
    live = Incident.objects.get()

    (alarm,) = backtest(
        rule(RuleKind.LATENCY, warn_at=1000), [probe], NOW, after(100 * MINUTE)
    )

    minute = timedelta(seconds=65)
    assert live.resolved_at is not None
    assert alarm.ended_at is not None
    assert abs(alarm.opened_at - live.opened_at) <= minute
    assert abs(alarm.ended_at - live.resolved_at) <= 2 * minute
    assert alarm.text.startswith("3 of 30 runs took longer than 1 s")


def test_budgets_gateways_and_keys_have_a_past() -> None:
    gateway = make_gateway()
    team = make_team(gateway)
    health = make_probe(gateway=gateway)
    status = make_probe(team)
    balance = make_probe(team, kind=ProbeKind.BALANCE)
    down = [""] * 60 + ["connect_failed"] * 30 + [""] * 60
    store(health, down)
    store(status, down)
    store(balance, [""] * 100 + ["auth_failed"] * 10 + [""] * 40)
    probes, until = [health, status, balance], after(150 * MINUTE)

    (outage,) = backtest(rule(RuleKind.GATEWAY_DOWN), probes, NOW, until)
    assert spans([outage]) == [(after(62 * MINUTE), after(91 * MINUTE))]
    (refused,) = backtest(rule(RuleKind.AUTH_FAILED), probes, NOW, until)
    assert spans([refused]) == [(after(101 * MINUTE), after(110 * MINUTE))]
    burnt = backtest(rule(RuleKind.BURN_RATE), [status], NOW, until)
    # After an hour's worth of runs, by its ninth failure; the short windows end it.
    assert burnt[0].opened_at <= after(70 * MINUTE)
    assert burnt[0].severity == "critical"


def test_a_new_key_that_is_refused_once_is_an_alarm_until_it_is_not() -> None:
    """As live: it said "no alarm" while that alarm was open. It is tried less often."""
    team = make_team(key_sealed="sealed", key_set_at=after(99 * MINUTE + 30))
    status = make_probe(team)
    balance = make_probe(team, kind=ProbeKind.BALANCE, period_s=60)
    store(status, [""] * 150)
    store(balance, [""] * 100)
    for minute in (100, 115, 130):
        make_outcome(balance, minute * MINUTE, error_class="auth_failed")
    own, probes = rule(RuleKind.AUTH_FAILED), [status, balance]

    found = backtest(own, probes, NOW, after(150 * MINUTE))
    assert spans(found) == [(after(100 * MINUTE), None)]

    make_outcome(balance, 140 * MINUTE)
    found = backtest(own, probes, NOW, after(150 * MINUTE))
    assert spans(found) == [(after(100 * MINUTE), after(140 * MINUTE))]


def test_credits_have_a_past() -> None:
    team = make_team()
    probe = make_probe(team)
    for hour, remaining in enumerate([300, 190, 150, 90, 90, 900, 800, 190]):
        make_reading(team, 3600 * hour, remaining=remaining)
    until = after(8 * 3600)

    low, again = backtest(
        rule(RuleKind.CREDITS), [probe], NOW - timedelta(seconds=1), until
    )
    assert spans([low, again]) == [
        (after(3600), after(5 * 3600)),
        (after(7 * 3600), None),
    ]
    assert low.severity == "critical"
    soon = backtest(rule(RuleKind.CREDITS_FORECAST), [probe], NOW, until)
    assert soon[0].opened_at == after(2 * 3600)


def test_what_is_not_stored_has_no_past() -> None:
    with pytest.raises(ValueError, match="certificate"):
        backtest(rule(RuleKind.CERTIFICATE), [], NOW, after(1))


def test_in_words() -> None:
    def alarm(minutes: int) -> Alarm:
        return Alarm("x", NOW, after(60 * minutes), "critical", "y")

    assert in_words([], 7, NOW) == "in the last 7 days: no alarm"
    assert in_words([alarm(3)], 1, NOW) == "in the last day: 1 alarm, for 3 min"
    both = in_words([alarm(3), alarm(42)], 7, NOW)
    assert both == "in the last 7 days: 2 alarms, the longest 42 min"


def test_a_rule_is_tried_on_what_it_names() -> None:
    team = make_team()
    mine = make_probe(team)
    make_probe(make_team(team.gateway))
    make_probe(team, kind=ProbeKind.BALANCE, enabled=False)

    assert probes_of(Rule(team=team)) == [mine]
    assert len(probes_of(Rule(gateway=team.gateway))) == 2


def test_the_command_lists_what_each_rule_would_have_told() -> None:
    install_default_rules()
    now = timezone.now()
    probe = make_probe(make_team(team_id="acme"))
    for i in range(30):
        error_class = "server_error" if 10 <= i < 20 else ""
        at = now - timedelta(minutes=40 - i)
        make_outcome(probe, error_class=error_class, started_at=at)
    told = StringIO()

    call_command("backtest_rules", "--days=1", stdout=told)

    assert "Error-rate spike, in the last day: 1 alarm, for 12 min." in told.getvalue()
    assert "Team status of acme" in told.getvalue()
    assert "Certificate expires: what it is judged by is not stored." in told.getvalue()


@pytest.mark.parametrize("options", [["--rule=No such"], ["--days=0"]])
def test_the_command_says_what_is_wrong(options: list[str]) -> None:
    with pytest.raises(UsageError):
        call_command("backtest_rules", *options)
