"""A rule tried on the past, with other limits before they are saved."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.services import install_default_rules
from dashboard.probes.models import Probe
from dashboard.rollups.services import fold
from dashboard.web.pages import rules
from tests.factories import make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db


@pytest.fixture
def probe() -> Probe:
    install_default_rules()
    probe = make_probe(make_team(team_id="acme"))
    now = timezone.now()
    for i in range(40):
        error_class = "timeout" if 10 <= i < 20 else ""
        at = now - timedelta(minutes=50 - i)
        fold([make_outcome(probe, error_class=error_class, started_at=at)])
    return probe


def address(kind: RuleKind = RuleKind.ERROR_RATE) -> str:
    return Rule.objects.get(kind=kind).get_absolute_url()


def page(client: Client, **limits: str | int) -> str:
    return client.get(address(), limits).content.decode()


LIMITS: dict[str, str | int] = {
    "critical_at": "0.2",
    "window_s": 300,
    "min_samples": 5,
    "min_bad": 3,
    "for_s": 0,
    "keep_s": 0,
    "clear_after": 3,
    "days": 1,
}


def test_failures_in_a_row_are_looked_for_as_far_back_as_was_read(
    admin_page: Client, probe: Probe
) -> None:
    """C-20: many of them, of a probe that runs once a week, began before Christ."""
    make_probe(gateway=probe.gateway, period_s=7 * 24 * 3600)
    asked = {**LIMITS, "min_bad": 100_000}

    shown = admin_page.get(address(RuleKind.GATEWAY_DOWN), asked)

    assert shown.status_code == 200


def test_it_lists_what_the_rule_would_have_told(
    admin_page: Client, probe: Probe
) -> None:
    shown = page(admin_page)

    assert "In the last day: 1 alarm, for 12 min." in shown
    assert f"/probes/{probe.pk}/" in shown
    assert "timed out" in shown


def test_its_alarms_are_shaded_on_a_chart_of_what_the_probes_saw(probe: Probe) -> None:
    rule = Rule.objects.get(kind=RuleKind.ERROR_RATE)

    shown = rules.past(rule, 1, timezone.now())

    assert shown.chart is not None
    (mark,) = shown.chart.marks
    assert mark.end is not None
    assert mark.end - mark.start == timedelta(minutes=12)
    assert shown.chart.has_data


def test_other_limits_are_tried_and_not_saved(admin_page: Client, probe: Probe) -> None:
    shown = page(admin_page, **{**LIMITS, "for_s": 3600})

    assert "In the last day: no alarm." in shown
    assert Rule.objects.get(kind=RuleKind.ERROR_RATE).for_s == 0


def test_a_limit_that_is_none_is_told_beside_its_field(
    admin_page: Client, probe: Probe
) -> None:
    shown = page(admin_page, **{**LIMITS, "critical_at": "20"})

    assert "20 is not between 0 and 1" in shown
    assert "In the last" not in shown


def test_what_would_take_too_long_is_refused(
    admin_page: Client, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST_RUNS", 1000)

    assert "some 1,440 results, too many for a page" in page(admin_page)


def test_what_is_not_stored_says_so(admin_page: Client, probe: Probe) -> None:
    shown = admin_page.get(address(RuleKind.CERTIFICATE)).content.decode()

    assert "is not stored" in shown


def test_the_admin_leads_to_it(admin_page: Client, probe: Probe) -> None:
    rule = Rule.objects.get(kind=RuleKind.ERROR_RATE)
    shown = admin_page.get(f"/admin/alerts/rule/{rule.pk}/change/", follow=True)

    assert "View on site" in shown.content.decode()
