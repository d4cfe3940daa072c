"""Rules that look far back, on the database: latency, budgets, spending, baselines."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.alerts import situation
from dashboard.alerts.models import Incident, Rule, RuleKind
from dashboard.alerts.services import (
    evaluate,
    evaluate_all,
    evaluate_slow,
    install_default_rules,
)
from dashboard.probes.models import Outcome, Probe
from dashboard.rollups import store
from dashboard.rollups.services import fold
from dashboard.teams import credit_hours
from dashboard.teams.models import Team
from tests.alerts.conftest import after, make_incident, make_recipient
from tests.factories import NOW, make_probe, make_reading, make_team

pytestmark = pytest.mark.django_db
MINUTE = 60
DAY = 86_400


@pytest.fixture(autouse=True)
def _rules() -> None:
    install_default_rules()
    make_recipient()


def run(
    probe: Probe,
    minutes: range,
    error_class: str = "",
    latency_us: int = 50_000,
    **fields: object,
) -> None:
    """Store and fold an outcome in each of these minutes after NOW."""
    outcomes = [
        Outcome(
            probe=probe,
            started_at=after(MINUTE * minute),
            error_class=error_class,
            latency_us=latency_us,
            elapsed_us=latency_us,
            attempts=1,
            **fields,
        )
        for minute in minutes
    ]
    Outcome.objects.bulk_create(outcomes)
    fold(outcomes)


def kinds() -> list[str]:
    found = Incident.objects.filter(resolved_at=None).order_by("kind")
    return list(found.values_list("kind", flat=True))


def test_slow_answers_are_an_alarm_after_two_looks_and_end_after_three() -> None:
    """A-20, A-22: with the limit that nobody had to set, half of the deadline."""
    probe = make_probe(make_team())
    run(probe, range(30), latency_us=16_000_000)
    evaluate_slow(after(30 * MINUTE))
    assert kinds() == []
    evaluate_slow(after(31 * MINUTE))
    incident = Incident.objects.get()
    assert (incident.kind, incident.severity) == ("latency", "warning")
    assert incident.limit == 15_000
    assert incident.summary == (
        f"{probe}: 29 of 29 runs took longer than 15 s in 30 min (p95 16 s)"
    )

    run(probe, range(31, 62))
    for minute in (62, 63, 64):
        assert kinds() == ["latency"]
        evaluate_slow(after(minute * MINUTE))
    assert kinds() == []


def test_the_other_evaluation_leaves_it_alone() -> None:
    probe = make_probe(make_team(), last_at=after(31 * MINUTE))
    run(probe, range(30), latency_us=16_000_000)
    for minute in (30, 31):
        evaluate_slow(after(minute * MINUTE))
    evaluate_all(after(31 * MINUTE + 5))
    evaluate({probe.pk}, after(31 * MINUTE + 6))

    assert kinds() == ["latency"]


def test_an_outage_of_timeouts_is_slow_too_and_told_once() -> None:
    """A-21, A-57: its errors speak for its slowness."""
    probe = make_probe(make_team(), last_at=after(29 * MINUTE))
    run(probe, range(30), "timeout", latency_us=10_000_000)
    evaluate({probe.pk}, after(29 * MINUTE))
    for minute in (30, 31):
        evaluate_slow(after(minute * MINUTE))

    assert kinds() == ["error_rate", "latency"]
    slow = Incident.objects.get(kind=RuleKind.LATENCY)
    assert slow.inhibited_by == Incident.objects.get(kind=RuleKind.ERROR_RATE)
    assert "29 of them timed out" in slow.summary


def test_a_budget_is_judged_only_where_somebody_wants_it() -> None:
    """A-12: off by default, and one switch away."""
    probe = make_probe(make_team())
    run(probe, range(60))
    run(probe, range(60, 70), "server_error")
    evaluate_slow(after(70 * MINUTE))
    assert kinds() == []

    Rule.objects.filter(kind=RuleKind.BURN_RATE).update(enabled=True)
    evaluate_slow(after(70 * MINUTE))
    assert kinds() == ["burn_rate"]
    run(probe, range(70, 70 + 8 * 60, 10))
    evaluate_slow(after((70 + 8 * 60) * MINUTE))
    assert kinds() == []


def spend(team: Team, hours: range, per_hour: float, left: float) -> float:
    """Store a reading each half hour; return what is left."""
    for hour in hours:
        for half in (0, 1):
            left -= per_hour / 2
            seconds = 3600 * hour + 1800 * half
            make_reading(team, seconds, remaining=left, allocated=100_000)
    return left


def test_spending_far_above_the_teams_own_week_is_an_alarm() -> None:
    steady, fast = make_team(), make_team()
    for team in (steady, fast):
        make_probe(team, last_at=NOW)
    spend(steady, range(49), 1200, 100_000)
    left = spend(fast, range(48), 300, 100_000)
    spend(fast, range(48, 49), 2000, left)
    now = after(48 * 3600 + 1801)
    credit_hours.fold_between([steady.pk, fast.pk], NOW, now)

    evaluate_slow(now)

    incident = Incident.objects.get(kind=RuleKind.CREDITS_SPIKE)
    assert incident.team == fast
    assert "2,000 credits spent in the last hour" in incident.summary


class TestBaseline:
    @pytest.fixture
    def probe(self) -> Probe:
        Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(against_baseline=True)
        return make_probe(make_team(), last_at=after(DAY))

    def test_a_probe_that_always_fails_a_bit_is_no_news(self, probe: Probe) -> None:
        """A-13: and one that fails far more often than it did is."""
        run(probe, range(-1500, 0, 2), "timeout")
        run(probe, range(-1499, 0, 2))
        run(probe, range(3), "timeout")
        evaluate({probe.pk}, after(2 * MINUTE))
        assert kinds() == []

        Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(against_baseline=False)
        evaluate({probe.pk}, after(2 * MINUTE))
        assert kinds() == ["error_rate"]

    def test_an_outage_does_not_raise_the_next_days_baseline(
        self, probe: Probe
    ) -> None:
        """A-13: two hours of it, which fired, are left out; so is maintenance."""
        run(probe, range(-1440, -720))
        run(probe, range(-720, -600), "timeout")
        run(probe, range(-600, -540), "timeout", maintenance=True)
        run(probe, range(-540, 0))
        run(probe, range(3), "timeout")
        Incident.objects.create(
            kind=RuleKind.ERROR_RATE,
            identity=f"error_rate:probe:{probe.pk}",
            gateway=probe.gateway,
            probe=probe,
            severity="critical",
            summary="then",
            evidence={"since": after(-720 * MINUTE).isoformat()},
            opened_at=after(-718 * MINUTE),
            evaluated_at=after(-600 * MINUTE),
            resolved_at=after(-590 * MINUTE),
        )

        evaluate({probe.pk}, after(2 * MINUTE))
        assert kinds() == ["error_rate"]

    def test_with_it_among_the_usual_the_next_one_would_be_hidden(
        self, probe: Probe
    ) -> None:
        """A-13: the proof that the one above is not for nothing."""
        run(probe, range(-1440, -720), "timeout")
        run(probe, range(-720, 0))
        run(probe, range(3), "timeout")

        evaluate({probe.pk}, after(2 * MINUTE))
        assert kinds() == []


def test_a_long_window_must_agree_where_a_rule_has_one() -> None:
    """A-12."""
    Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(long_window_s=3600)
    probe = make_probe(make_team(), last_at=NOW)
    run(probe, range(-57, 0))
    run(probe, range(3), "timeout")
    evaluate({probe.pk}, after(2 * MINUTE))
    assert kinds() == []

    run(probe, range(3, 16), "timeout")
    evaluate({probe.pk}, after(15 * MINUTE))
    assert kinds() == ["error_rate"]


@pytest.mark.parametrize("asks", [False, True])
def test_the_number_of_queries_does_not_grow_with_the_probes(*, asks: bool) -> None:
    """A-04: whatever the rules ask for."""
    Rule.objects.filter(kind=RuleKind.BURN_RATE).update(enabled=asks)
    Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(
        against_baseline=asks, long_window_s=3600 if asks else 0
    )

    def count(teams: int) -> tuple[int, int]:
        made = [make_team() for _ in range(teams)]
        probes = [make_probe(team, last_at=NOW) for team in made]
        for probe, team in zip(probes, made, strict=True):
            run(probe, range(-2, 0))
            make_reading(team, -60)
        with CaptureQueriesContext(connection) as fast:
            evaluate({probe.pk for probe in probes}, NOW)
        with CaptureQueriesContext(connection) as slow:
            evaluate_slow(NOW + timedelta(seconds=1))
        return len(fast), len(slow)

    assert count(2) == count(12)


def test_what_an_outage_hid_costs_no_row_and_no_query_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A-04, A-57: however long it has been over, and for however many alarms."""
    Rule.objects.filter(kind=RuleKind.BURN_RATE).update(enabled=True)
    read = store.rows_in
    rows = []

    def counted(*asked: object) -> store.Rows:
        found = read(*asked)  # type: ignore[arg-type]
        rows.append(len(found))
        return found

    monkeypatch.setattr(store, "rows_in", counted)

    def cost(alarms: int, ago: int) -> tuple[int, int]:
        rows.clear()
        for minute in range(alarms):
            # Nearly slow: each alarm stays as it is, spoken for by an outage of its own.
            probe = make_probe(make_team(), last_at=NOW)
            run(probe, range(-150, 0), latency_us=13_500_000)
            over = after(-MINUTE * (ago + minute))
            down = make_incident(probe.gateway, kind="gateway_down", resolved_at=over)
            for kind in (RuleKind.LATENCY, RuleKind.BURN_RATE):
                make_incident(
                    probe.gateway,
                    probe.team,
                    probe,
                    kind=kind,
                    identity=f"{kind}:probe:{probe.pk}",
                    inhibited_by=down,
                )
        with CaptureQueriesContext(connection) as asked:
            evaluate_slow(NOW)
        Probe.objects.update(enabled=False)
        Incident.objects.update(resolved_at=NOW)
        return sum(rows), len(asked)

    _, queries = cost(1, ago=10)

    assert cost(1, ago=140) == (30, queries)
    assert cost(5, ago=10) == (5 * 30, queries)


@pytest.mark.parametrize(("last_error", "most"), [("", 0), ("config_error", 10)])
def test_a_probe_that_ran_often_until_now_is_not_looked_at_for_weeks(
    last_error: str, most: int
) -> None:
    """A-04, A-80: three of its periods of today are three weeks."""
    probe = make_probe(make_team(), period_s=7 * DAY, last_at=NOW)
    Probe.objects.filter(pk=probe.pk).update(last_error=last_error)
    longest_s = 6 * 3600
    Outcome.objects.bulk_create(
        Outcome(
            probe=probe,
            started_at=after(-longest_s - 5 * number),
            error_class=last_error,
            latency_us=1,
            elapsed_us=1,
            attempts=1,
        )
        for number in range(1, 400)
    )

    samples = situation.load({probe.pk}, NOW).samples[probe.pk]

    latest = [after(-longest_s - 5 * number) for number in range(most, 0, -1)]
    assert [each.at for each in samples] == latest
