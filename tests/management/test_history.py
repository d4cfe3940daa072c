"""The demo's past: plausible, the same each time, and one with what comes live."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django import DjangoDbBlocker

from dashboard.alerts.models import Incident, Notification, RuleKind
from dashboard.alerts.services import install_default_rules
from dashboard.management.history import fill_history
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.queries import uncharged_runs
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.rollups.models import Level, Rollup
from dashboard.rollups.queries import series, total
from dashboard.rollups.rebuild import check
from dashboard.rollups.services import fold
from dashboard.teams.keys import set_key
from dashboard.teams.models import Gateway
from dashboard.teams.queries import burn
from tests.factories import NOW, make_gateway, make_outcome, make_team
from tests.shared import lasting

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

DAY = timedelta(days=1)


def watched() -> Gateway:
    gateway = make_gateway()
    install_default_rules()
    watch_gateway(gateway, NOW)
    for name in ("acme-chat", "globex-search", "initech-batch"):
        team = make_team(gateway, team_id=name)
        set_key(team, "sk-example", NOW)
        watch_team(team, NOW)
    gateway.probes.filter(kind=ProbeKind.DEEP_JOB).update(enabled=True)
    gateway.probes.filter(kind=ProbeKind.HEALTH).update(period_s=5)
    return gateway


@pytest.fixture(scope="module")
def gateway(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Gateway]:
    """Return the gateway of a past of eight days, which the tests only look at."""
    with lasting(django_db_blocker):
        made = watched()
        fill_history(now=NOW, days=8)
        yield made


def test_a_past_has_no_holes_and_ends_a_minute_ago(gateway: Gateway) -> None:
    free = gateway.probes.filter(enabled=True).exclude(kind=ProbeKind.DEEP_JOB)
    probes = list(free.values_list("pk", flat=True))

    week = total(probes, NOW - 7 * DAY, NOW, NOW)
    points = series(probes, NOW - 7 * DAY, NOW, 84, NOW)

    assert week.coverage is not None
    assert week.coverage > 0.99
    assert week.error_rate is not None
    assert 0 < week.error_rate < 0.05
    assert all(point.samples for point in points)
    assert week.latest_at is not None
    assert NOW - timedelta(minutes=3) < week.latest_at < NOW - timedelta(minutes=1)


def test_rollups_of_the_past_equal_its_outcomes_and_older_ones_stay(
    gateway: Gateway,
) -> None:
    hours = Rollup.objects.filter(level=Level.HOUR).count()

    assert list(check(NOW - 400 * DAY, NOW)) == []
    assert Outcome.objects.earliest("started_at").started_at >= NOW - 3 * DAY
    assert hours > 8 * 24 * 7


def test_what_comes_live_stands_for_its_own_period(gateway: Gateway) -> None:
    """The past was watched once a minute, the demo's health is every five seconds."""
    probe = gateway.probes.get(kind=ProbeKind.HEALTH)
    before = total([probe.pk], NOW - DAY, NOW, NOW)
    fold(make_outcome(probe, 5 * n, error_class="timeout") for n in range(24))
    later = NOW + timedelta(minutes=2)

    found = [total([probe.pk], NOW - d * DAY, later, later) for d in (1, 7)]

    known_s = before.up_s + before.down_s
    assert known_s == pytest.approx(86_400, rel=0.01)
    assert found[0].down_s == pytest.approx(before.down_s + 120, abs=61)
    assert found[1].down_s >= before.down_s + 120
    day = Rollup.objects.get(probe=probe, level=Level.DAY, start__date=NOW.date())
    assert (day.up_s or 0) + (day.down_s or 0) == pytest.approx(
        12 * 3600 + 120, abs=121
    )


def test_bad_times_have_their_incidents_which_are_over(gateway: Gateway) -> None:
    kinds = set(Incident.objects.values_list("kind", flat=True))
    assert {RuleKind.GATEWAY_DOWN, RuleKind.ERROR_RATE, RuleKind.CREDITS} <= kinds
    down = Incident.objects.get(kind=RuleKind.GATEWAY_DOWN)
    assert "probes failing (timed out)" in down.summary
    assert not Incident.objects.filter(resolved_at=None).exists()
    assert not Notification.objects.exists()


def test_a_team_shows_how_long_its_credits_last(gateway: Gateway) -> None:
    for team in gateway.teams.all():
        pace = burn(team, NOW)
        assert pace is not None
        assert pace.hours_left is not None
        assert pace.hours_left > 24


def test_whole_jobs_of_the_past_were_charged(gateway: Gateway) -> None:
    """Else each team's page would hint at charges that were skipped."""
    ran = Outcome.objects.filter(probe__kind=ProbeKind.DEEP_JOB)

    assert ran.filter(error_class="", credits=1).exists()
    assert uncharged_runs([team.pk for team in gateway.teams.all()], NOW - DAY) == {}


def test_the_same_seed_makes_the_same_past() -> None:
    """Told by half an hour of it."""
    now = NOW.replace(hour=0, minute=30)
    made = watched().probes.filter(enabled=True).order_by("pk")
    fill_history(now=now, days=0)
    told = [list(_latencies(probe)) for probe in made]
    Outcome.objects.all().delete()
    Rollup.objects.all().delete()

    fill_history(now=now, days=0)

    assert all(told)
    assert [list(_latencies(probe)) for probe in made] == told


def _latencies(probe: Probe) -> list[int]:
    rows = Outcome.objects.filter(probe=probe).order_by("started_at")
    return list(rows.values_list("latency_us", flat=True))
