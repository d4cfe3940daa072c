"""Forecast, certificate and missing results: as tapes, and on the database."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from dashboard.alerts import models
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Incident, Notification, Rule, RuleKind
from dashboard.alerts.rules import (
    Limits,
    Pace,
    Sample,
    Silence,
    Step,
    certificate,
    credits_forecast,
    no_data,
)
from dashboard.alerts.services import (
    evaluate_all,
    evaluate_slow,
    install_default_rules,
)
from dashboard.probes.heartbeats import note_rest, told_rest
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.services import record
from dashboard.teams.models import Team
from dashboard.teams.queries import burns
from tests.alerts.conftest import after, make_recipient
from tests.alerts.mailbox import Mailbox
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

HOURS = Limits(warn_at=24, critical_at=6)
DAYS = Limits(warn_at=21, critical_at=7)


def pace(hours: float, *, auto_refill: bool = False) -> Pace:
    return Pace(10.0, 10.0 * hours, 24.0, 200, auto_refill)


@pytest.mark.parametrize(
    ("told", "step", "level"),
    [
        (None, Step.HOLD, ""),
        (pace(100), Step.CLEAR, ""),
        (pace(31), Step.CLEAR, ""),
        (pace(29), Step.HOLD, ""),  # an open one stays till it is well above
        (pace(24), Step.FIRE, "low"),
        (pace(6.1), Step.FIRE, "low"),
        (pace(6), Step.FIRE, "critical"),
        (pace(0.5), Step.FIRE, "critical"),
        (pace(0), Step.HOLD, ""),  # gone: the rule of credits tells of it
        (pace(3, auto_refill=True), Step.CLEAR, ""),
        (Pace(0.0, 100.0, 24.0, 50), Step.CLEAR, ""),  # nothing is used
    ],
)
def test_a_forecast_is_judged_by_the_hours_left(
    told: Pace | None, step: Step, level: str
) -> None:
    """A-43."""
    verdict = credits_forecast(told, HOURS, NOW)

    assert (verdict.step, verdict.level) == (step, level)


def test_a_forecast_says_on_what_it_rests() -> None:
    """A-43: at whose pace."""
    text = credits_forecast(pace(5), HOURS, NOW).text

    assert text == "credits last 5 h more at the pace of the last 24 h (10 an hour)"


def test_a_forecast_tells_the_sooner_end_and_judges_by_the_day() -> None:
    """A-43: an alarm that took each fast hour for the day would come and go."""
    told = replace(pace(12), faster=(120.0, 1.0))

    verdict = credits_forecast(told, HOURS, NOW)

    assert (verdict.level, verdict.value) == ("low", 12)
    assert verdict.text.endswith(
        "at the pace of the last 24 h (10 an hour), but 60 min at that of the last hour "
        "(120 an hour)"
    )


@pytest.mark.parametrize(
    ("days", "step", "level"),
    [
        (None, Step.HOLD, ""),
        (90, Step.CLEAR, ""),
        (21.1, Step.CLEAR, ""),
        (21, Step.FIRE, "raised"),
        (7, Step.FIRE, "high"),
        (-1, Step.FIRE, "high"),
    ],
)
def test_a_certificate_is_judged_by_the_days_left(
    days: float | None, step: Step, level: str
) -> None:
    """A-35."""
    expires_at = None if days is None else NOW + timedelta(days=days)
    verdict = certificate(expires_at, DAYS, NOW)

    assert (verdict.step, verdict.level) == (step, level)
    if days == -1:
        assert "has expired" in verdict.text


@pytest.mark.parametrize(
    ("silent_s", "late_s", "period_s", "step"),
    [
        (60, None, 60, Step.CLEAR),
        (119, None, 60, Step.CLEAR),
        (150, 20, 60, Step.HOLD),
        (180, 60, 60, Step.HOLD),  # late for a period only
        (300, 180, 60, Step.FIRE),
        (179, 140, 5, Step.HOLD),  # never before 180 s
        (180, 140, 5, Step.FIRE),
        (899, 800, 300, Step.HOLD),
        (900, 420, 300, Step.FIRE),
        (3600, 10, 60, Step.HOLD),  # just switched on again, or we just came back
        (None, None, 60, Step.HOLD),  # never a result, first look
        (None, 100, 60, Step.HOLD),
        (None, 181, 60, Step.FIRE),
    ],
)
def test_a_missing_result_is_judged_by_its_period(
    silent_s: float | None, late_s: float | None, period_s: int, step: Step
) -> None:
    """A-80."""

    def ago(seconds: float | None) -> object:
        return None if seconds is None else NOW - timedelta(seconds=seconds)

    results = [Sample(NOW)]
    silence = Silence(ago(silent_s), ago(late_s), period_s, results)  # type: ignore[arg-type]

    assert no_data(silence, NOW).step is step


OWN, HELD, REFUSED = "config_error", "breaker_held", "auth_failed"


@pytest.mark.parametrize(
    ("results", "step"),
    [
        ({200: OWN, 140: OWN, 80: OWN, 20: OWN}, Step.FIRE),
        ({200: "internal_error", 140: OWN, 80: HELD, 70: "cancelled"}, Step.HOLD),
        ({200: OWN, 140: OWN, 80: HELD, 20: OWN}, Step.FIRE),
        ({170: OWN, 110: OWN, 50: OWN}, Step.HOLD),  # not for long enough
        ({240: OWN, 60: OWN}, Step.HOLD),  # not often enough
        ({260: OWN, 200: "", 140: OWN, 80: OWN, 20: OWN}, Step.HOLD),
        ({200: OWN, 140: OWN, 80: OWN, 20: REFUSED}, Step.CLEAR),
        ({200: OWN, 140: OWN, 80: OWN, 20: ""}, Step.CLEAR),
        ({80: "", 20: HELD}, Step.CLEAR),
        ({500: OWN, 440: OWN, 380: OWN}, Step.HOLD),  # nothing since: a maintenance
        ({80: HELD, 20: "cancelled"}, Step.HOLD),  # nobody knows whether it is mended
        ({}, Step.HOLD),
    ],
)
def test_our_own_faults_are_no_results(results: dict[int, str], step: Step) -> None:
    """A-80: told as ours, when nothing else has come for three periods."""
    samples = [Sample(NOW - timedelta(seconds=s), each) for s, each in results.items()]
    silence = Silence(NOW - timedelta(seconds=20), None, 60, samples)

    assert no_data(silence, NOW).step is step


def kinds() -> list[str]:
    found = Incident.objects.filter(resolved_at=None).order_by("kind")
    return list(found.values_list("kind", flat=True))


@pytest.mark.django_db
class TestOnTheDatabase:
    @pytest.fixture(autouse=True)
    def _rules(self) -> None:
        install_default_rules()
        make_recipient()

    def test_a_forecast_in_a_burn_tells_both_paces(self) -> None:
        """A-43."""
        team = make_team()
        make_probe(team, last_at=NOW)
        for minute in range(-24 * 60, 1, 10):
            left = 1000 if minute < -30 else 1000 - 30 * (minute + 30)
            make_reading(team, 60 * minute, remaining=left)

        evaluate_slow(NOW)

        told = Incident.objects.get(kind=RuleKind.CREDITS_FORECAST).summary
        assert told == (
            f"{team}: credits last 3 h more at the pace of the last 24 h "
            "(37.76 an hour), but 7 min at that of the last hour (900 an hour)"
        )

    def test_a_probe_without_results_is_told_and_ends_with_the_next(
        self, mailbox: Mailbox
    ) -> None:
        """A-80: distinct from down."""
        probe = make_probe(make_team(), last_at=NOW)
        for seconds in range(0, 400, 15):
            evaluate_all(after(seconds))
        assert kinds() == ["no_data"]
        deliver(after(500))
        assert "no result for 6 min (one every 60 s is due)" in str(
            mailbox.messages[0]["Subject"]
        )

        record(
            [
                Outcome(
                    probe=probe,
                    started_at=after(410),
                    latency_us=1,
                    elapsed_us=1,
                    attempts=1,
                )
            ],
            after(410),
        )
        evaluate_all(after(415))

        assert kinds() == []

    def test_a_key_that_cannot_be_read_is_told_as_our_own_fault(
        self, mailbox: Mailbox
    ) -> None:
        """A-80: not the gateway's, and to somebody."""
        probe = make_probe(make_team(), last_at=NOW)
        for seconds in range(0, 300, 60):
            make_outcome(probe, seconds, error_class=OWN, detail="its file is gone")
        Probe.objects.update(last_at=after(240), last_error=OWN)
        evaluate_all(after(250))
        deliver(after(300))

        [mail] = mailbox.messages
        assert "Gatewatch cannot probe (not configured)" in str(mail["Subject"])
        text = str(mail.get_body(("plain",)))
        assert "yours (Gatewatch itself: not configured)" in text
        assert "its file is gone" in text
        assert "the probe runs, and does not get as far" in text

        make_outcome(probe, 260, error_class=HELD)
        evaluate_all(after(700))
        assert kinds() == ["no_data"]

        make_outcome(probe, 710)
        Probe.objects.update(last_at=after(710))
        evaluate_all(after(720))
        deliver(after(1100))
        assert kinds() == []
        recovery = str(mailbox.messages[-1].get_body(("plain",)))
        assert "RESOLVED" in recovery
        assert "runs" not in recovery  # it is of no results

    @pytest.mark.parametrize(
        ("kind", "period_s", "window"),
        [
            (ProbeKind.TEAM_STATUS, 10, {"window_s": 60}),
            (ProbeKind.TEAM_STATUS, 60, {"window_s": 120, "of_last": 2}),
            (ProbeKind.TEAM_STATUS, 60, {"enabled": False}),
            (ProbeKind.DEEP_JOB, 3600, {}),
            (ProbeKind.DEEP_JOB, 6 * 3600, {}),
        ],
    )
    def test_our_own_fault_is_told_whatever_window_another_rule_has(
        self, kind: ProbeKind, period_s: int, window: dict[str, object]
    ) -> None:
        """A-80: of paid probes, too, which are late for many reasons."""
        Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(**window)
        team = make_team(key_sealed="sealed")
        probe = make_probe(team, kind=kind, period_s=period_s, daily_credit_cap=100)
        runs = 200 // period_s + 3
        for number in range(runs):
            make_outcome(probe, period_s * number, error_class=OWN)
        Probe.objects.update(last_at=after(period_s * (runs - 1)), last_error=OWN)

        evaluate_all(after(period_s * (runs - 1) + 5))

        assert kinds() == ["no_data"]

    def test_what_a_cap_keeps_from_being_asked_is_no_fault(self) -> None:
        """A-80: it is stored as "not configured", and is as somebody wanted it."""
        team = make_team(key_sealed="sealed")
        kind = ProbeKind.DEEP_JOB
        probe = make_probe(team, kind=kind, period_s=3600, daily_credit_cap=1)
        for hour in range(12):
            make_outcome(probe, 3600 * hour, error_class=OWN if hour else "")
        # At noon there are twelve hours left of the day.
        Probe.objects.update(last_error=OWN, capped_on=NOW.date())
        for hour in range(15):
            evaluate_all(after(3600 * hour + 5))

        assert not Incident.objects.exists()

    def test_a_cap_that_stops_the_first_run_of_the_next_day_alarms_nobody(self) -> None:
        """A-80: of the days before it nobody knows whether they were capped, too."""
        team = make_team(key_sealed="sealed")
        kind, midnight = ProbeKind.DEEP_JOB, 12 * 3600
        probe = make_probe(team, kind=kind, period_s=900, daily_credit_cap=1)
        for place in range(-20, 1):
            make_outcome(probe, midnight + 900 * place + 5, error_class=OWN)
        tomorrow = after(midnight + 5)
        Probe.objects.update(
            last_at=tomorrow, last_error=OWN, capped_on=tomorrow.date()
        )
        evaluate_all(after(midnight + 10))

        assert not Incident.objects.exists()

    def test_what_was_mended_in_a_maintenance_is_not_told(self) -> None:
        """A-80: its results there are not judged, those before it are too few."""
        probe = make_probe(make_team())
        for seconds in (0, 60, 120):
            make_outcome(probe, seconds, error_class=OWN)
        Probe.objects.update(last_at=after(120), last_error=OWN)
        end = after(4000)
        models.Silence.objects.create(
            starts_at=after(130), ends_at=end, maintenance=True
        )
        evaluate_all(after(182))
        make_outcome(probe, 180, maintenance=True)
        Probe.objects.update(last_at=after(180), last_error="")
        evaluate_all(after(190))

        assert kinds() == []

    def test_a_fault_of_ours_that_hits_all_is_one_mail(self, mailbox: Mailbox) -> None:
        gateway = make_gateway(name="Third")
        for _ in range(4):
            probe = make_probe(make_team(gateway), last_at=after(240))
            for seconds in range(0, 300, 60):
                make_outcome(probe, seconds, error_class=OWN)

        evaluate_all(after(250))
        deliver(after(300))

        [mail] = mailbox.messages
        told = "Third: 4 probes: Gatewatch cannot probe (not configured) since"
        assert told in str(mail["Subject"])

    def test_what_waits_for_its_teams_key_is_not_missing(self) -> None:
        """A-80: its row says that it waits; an alarm of it from before ends."""
        team = make_team(key_sealed="sealed")
        make_probe(team, kind=ProbeKind.BALANCE, last_at=NOW)
        for seconds in range(0, 400, 15):
            evaluate_all(after(seconds))
        told = kinds()
        Team.objects.filter(pk=team.pk).update(key_sealed="")
        evaluate_all(after(415))
        other = make_probe(
            make_team(team.gateway), kind=ProbeKind.BALANCE, last_at=None
        )
        for seconds in range(430, 1000, 15):
            evaluate_all(after(seconds))

        assert told == ["no_data"]
        assert kinds() == []
        other.refresh_from_db()
        assert other.late_since is None

    def test_time_in_which_we_did_nothing_is_no_evidence(self) -> None:
        """A-51, A-83: after a pause the probes have their turn first."""
        make_probe(make_team(), last_at=NOW)
        evaluate_all(after(130))

        evaluate_all(after(7200))

        assert kinds() == []
        assert told_rest(after(7200)) == (after(130), after(7200))

    def test_the_longest_rest_of_a_day_is_told(self) -> None:
        """A-83: a restart hides no night in which nothing was watched."""
        note_rest(after(0), after(7200))
        note_rest(after(9000), after(9060))
        assert told_rest(after(9100)) == (after(0), after(7200))
        assert told_rest(after(7300 + 86_400)) is None

        note_rest(after(95_000), after(95_060))
        assert told_rest(after(95_100)) == (after(95_000), after(95_060))
        assert told_rest(after(90_000)) is None, "the clock went back"
        note_rest(after(90_000), after(90_030))
        assert told_rest(after(90_100)) == (after(90_000), after(90_030))

    def test_what_is_switched_off_is_not_missed(self) -> None:
        """A-80."""
        make_probe(make_team(), last_at=NOW, enabled=False)
        for seconds in range(0, 600, 15):
            evaluate_all(after(seconds))

        assert kinds() == []

    def test_a_forecast_opens_escalates_and_ends_with_the_refill(self) -> None:
        """A-43: a refill in the middle is not negative use."""
        team = make_team()
        make_probe(team, last_at=NOW)
        for hour in range(11):
            make_reading(team, 3600 * hour, remaining=500 - 40 * hour)
        evaluate_slow(after(10 * 3600))
        opened = Incident.objects.get(kind=RuleKind.CREDITS_FORECAST)
        assert (opened.level, opened.value) == ("critical", 2.5)

        make_reading(team, 11 * 3600, remaining=5000)
        evaluate_slow(after(11 * 3600))

        assert kinds() == []
        burn = burns([team.pk], after(11 * 3600))[team.pk]
        assert burn.per_hour == pytest.approx(400 / 11)

    @pytest.mark.parametrize("readings", [2, 3])
    def test_too_few_readings_forecast_nothing(self, readings: int) -> None:
        """A-43: three, over an hour."""
        team = make_team()
        make_probe(team, last_at=NOW)
        for number in range(readings):
            make_reading(team, 600 * number, remaining=100 - 40 * number)
        evaluate_slow(after(3600))

        assert kinds() == []

    def test_each_team_has_its_own_pace(self) -> None:
        """A-43."""
        fast, slow = make_team(), make_team()
        for hour in range(5):
            make_reading(fast, 3600 * hour, remaining=500 - 100 * hour)
            make_reading(slow, 3600 * hour, remaining=500 - hour)
        found = burns([fast.pk, slow.pk], after(4 * 3600))

        assert (found[fast.pk].per_hour, found[slow.pk].per_hour) == (100, 1)

    def test_the_other_evaluation_leaves_slow_incidents_alone(self) -> None:
        team = make_team()
        make_probe(team, last_at=after(4 * 3600))
        for hour in range(5):
            make_reading(team, 3600 * hour, remaining=450 - 100 * hour)
        evaluate_slow(after(4 * 3600))

        evaluate_all(after(4 * 3600 + 5))

        assert "credits_forecast" in kinds()

    def test_credits_that_are_gone_speak_for_their_forecast(self) -> None:
        """A-57: exhausted, not low: that one may have been told days ago."""
        team = make_team()
        make_probe(team, last_at=after(4 * 3600))
        for hour in range(5):
            make_reading(team, 3600 * hour, remaining=450 - 100 * hour)
        evaluate_slow(after(4 * 3600))
        make_reading(team, 4 * 3600 + 60, remaining=0)
        evaluate_all(after(4 * 3600 + 61))

        forecast = Incident.objects.get(kind=RuleKind.CREDITS_FORECAST)
        assert forecast.inhibited_by is not None
        assert forecast.inhibited_by.kind == RuleKind.CREDITS

    def test_a_certificate_is_told_once_for_its_gateway(self) -> None:
        """A-35."""
        gateway = make_gateway(certificate_expires_at=NOW + timedelta(days=10))
        make_probe(gateway=gateway, last_at=NOW)
        make_probe(make_team(gateway), last_at=NOW)
        evaluate_all(NOW)
        evaluate_all(after(15))

        assert Notification.objects.count() == 1
        incident = Incident.objects.get()
        assert incident.summary == (
            f"{gateway}: the TLS certificate expires in 10 days (2026-03-12 12:00 UTC)"
        )

        gateway.certificate_expires_at = NOW + timedelta(days=90)
        gateway.save()
        evaluate_all(after(30))
        assert kinds() == []


@pytest.mark.parametrize(
    ("kind", "limit", "ok"),
    [
        (RuleKind.CREDITS_FORECAST, 24, True),
        (RuleKind.CERTIFICATE, 21, True),
        (RuleKind.CERTIFICATE, 0, False),
        (RuleKind.ERROR_RATE, 24, False),
        (RuleKind.CREDITS, 0.2, True),
    ],
)
def test_limits_are_checked_in_the_unit_of_their_kind(
    kind: RuleKind, limit: float, *, ok: bool
) -> None:
    rule = Rule(name="x", kind=kind, warn_at=limit)
    if ok:
        rule.clean()
    else:
        with pytest.raises(ValidationError):
            rule.clean()
