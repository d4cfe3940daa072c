"""Managers set their own team's limits, and no others."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.rulebook import enabled_rules, install_default_rules
from dashboard.alerts.targets import of_team
from dashboard.teams.models import AuditEntry, Team
from dashboard.web.limit_fields import ShareField
from tests.factories import make_team

pytestmark = pytest.mark.django_db


def test_they_begin_as_the_general_ones_and_become_the_teams_own(
    alice: Client, team: Team
) -> None:
    address = reverse("team_rule", args=[team.pk, RuleKind.CREDITS])
    assert 'value="20 %"' in alice.get(address).content.decode()

    alice.post(address, {"warn_at": "50 %", "critical_at": 0.1, "floor": 30})

    own = Rule.objects.get(team=team)
    assert (own.kind, own.warn_at, own.floor) == ("credits", 0.5, 30)
    page = alice.get(reverse("team_settings", args=[team.pk])).content.decode()
    assert "warning at 50 %, critical at 10 %, warning at 30 credits" in page
    Rule.objects.filter(pk=own.pk).update(enabled=False)
    alice.post(address, {"warn_at": 0.4})
    assert Rule.objects.get(team=team).enabled
    alice.post(address, {"general": "1"})
    assert not Rule.objects.filter(team=team).exists()
    assert Rule.objects.filter(kind=RuleKind.CREDITS).exists()


@pytest.mark.parametrize("name", ["eu", "W" * 120])
def test_a_rule_of_the_same_name_may_be_anothers(
    alice: Client, team: Team, name: str
) -> None:
    """C-20: an administrator made the team's own rule one of all teams."""
    Team.objects.update(name=name)
    address = reverse("team_rule", args=[team.pk, RuleKind.CREDITS])
    limits = {"warn_at": 0.5, "for_s": 0, "clear_after": 3}
    for _ in range(3):
        assert alice.post(address, limits).status_code == 302
        Rule.objects.filter(team=team).update(team=None)

    names = Rule.objects.filter(warn_at=0.5).values_list("name", flat=True)
    told = f"Credits low: {team.pk} {name}"
    ends = ["", " (2)", " (3)"]
    assert set(names) == {told[: 80 - len(end)] + end for end in ends}


def test_each_rule_that_is_taken_away_leaves_a_line(alice: Client, team: Team) -> None:
    """C-18: and none is left of what was not there."""
    address = reverse("team_rule", args=[team.pk, RuleKind.CREDITS])
    alice.post(address, {"general": "1"})
    for name in ("One", "Two"):
        Rule.objects.create(name=name, kind=RuleKind.CREDITS, team=team, warn_at=1)

    alice.post(address, {"general": "1"})

    told = AuditEntry.objects.order_by("pk").values_list("subject", "detail")
    assert list(told.filter(action="rule")) == [
        ("One", "removed: warning at 100 %"),
        ("Two", "removed: warning at 100 %"),
    ]
    assert not Rule.objects.filter(team=team).exists()


def test_the_form_has_the_rule_that_judges(alice: Client, team: Team) -> None:
    """Of two of a kind; a database may sort texts otherwise than Python."""
    for name, is_on in (("0", False), ("b", True), ("B", True)):
        Rule.objects.create(
            name=name, kind=RuleKind.CREDITS, team=team, warn_at=1, enabled=is_on
        )

    alice.post(reverse("team_rule", args=[team.pk, RuleKind.CREDITS]), {"warn_at": 0.7})

    assert Rule.objects.get(warn_at=0.7).name == "B"
    judging = enabled_rules().rule_for(of_team(RuleKind.CREDITS, team, team.gateway))
    assert judging == Rule.objects.get(name="B")


def test_a_limit_that_is_none_is_refused(alice: Client, team: Team) -> None:
    address = reverse("team_rule", args=[team.pk, RuleKind.CREDITS])

    text = alice.post(address, {"warn_at": 20}).content.decode()

    assert "20 is not between 0 and 1" in text
    assert not Rule.objects.filter(team=team).exists()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("window_s", 3600, "shorter than the long window, 600 s"),
        ("min_bad", 6, "at most the last 5"),
        ("for_s", 2**63 - 1, "90 days at most"),
        ("clear_after", 2**31 - 1, "less than or equal to 100000"),
    ],
)
def test_what_does_not_fit_the_rest_of_the_rule_is_refused(
    alice: Client, team: Team, field: str, value: int, told: str
) -> None:
    """C-20: an administrator gave the team's rule more than a manager's form shows."""
    limits = {"window_s": 300, "min_samples": 5, "min_bad": 3, "clear_after": 3}
    own = Rule.objects.create(
        name="Own",
        kind=RuleKind.ERROR_RATE,
        team=team,
        warn_at=0.2,
        long_window_s=600,
        of_last=5,
    )

    page = alice.post(
        reverse("team_rule", args=[team.pk, own.kind]),
        {"warn_at": 0.2, "for_s": 0, **limits, field: value},
    )

    assert told in page.content.decode()
    assert Rule.objects.get(pk=own.pk).window_s == 300


@pytest.mark.parametrize(
    ("kind", "limits", "told"),
    [
        ("credits", (0.3, 0.5), "0.5 here is above its 0.3"),
        ("credits", (0.5, 0.5), ""),
        ("credits", (0.5, 0.3), ""),
        ("credits_forecast", (1, 48), "48 here is above its 1"),
        ("error_rate", (0.5, 0.2), "0.2 here is below the warning&#x27;s 0.5"),
        ("error_rate", (0.2, 0.5), ""),
    ],
)
def test_a_warning_comes_before_what_is_critical(
    alice: Client, team: Team, kind: str, limits: tuple[float, float], told: str
) -> None:
    fields: dict[str, float]
    fields = {"window_s": 300, "min_samples": 5, "min_bad": 3, "for_s": 0}
    fields |= {"clear_after": 3, "warn_at": limits[0], "critical_at": limits[1]}

    answer = alice.post(reverse("team_rule", args=[team.pk, kind]), fields)

    assert told in answer.content.decode()
    assert Rule.objects.filter(team=team).exists() is not bool(told)


@pytest.mark.parametrize(
    ("typed", "kept"), [("29 %", 0.29), ("29%", 0.29), (" 0.29 ", 0.29), ("", None)]
)
def test_a_share_is_typed_as_the_pages_say_it(typed: str, kept: float | None) -> None:
    field = ShareField(required=False)

    assert field.clean(typed) == kept
    assert not field.has_changed(kept, field.prepare_value(kept))


@pytest.mark.parametrize("typed", ["x %", "%", "nan %", "1e999 %"])
def test_what_is_no_share_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        ShareField(required=True).clean(typed)


def test_the_admin_shows_of_a_rule_what_its_kind_reads(admin_page: Client) -> None:
    install_default_rules()
    ends = Rule.objects.get(kind=RuleKind.CREDITS_FORECAST)
    address = f"/admin/alerts/rule/{ends.pk}/change/"

    shown = admin_page.get(address).context["adminform"].form
    assert {"warn_at", "critical_at", "for_s", "keep_s"} <= set(shown.fields)
    assert not {"floor", "objective", "window_s", "of_last"} & set(shown.fields)
    assert shown["warn_at"].help_text == "Hours until they are gone."

    Rule.objects.filter(pk=ends.pk).update(floor=3)
    assert "floor" in admin_page.get(address).context["adminform"].form.fields
    sent = {"name": ends.name, "enabled": "on", "warn_at": 30, "critical_at": 6}
    answer = admin_page.post(address, {**sent, "floor": "", "for_s": 0, "keep_s": 0})
    assert answer.status_code == 302
    listed = admin_page.get("/admin/alerts/rule/").content.decode()
    assert "warning at 30 h, critical at 6 h" in listed
    assert reverse("rule_past", args=[ends.pk]) in listed
    assert "half of what a run may take" in listed
    assert "2 of the last 4" in listed
    assert "no limits" not in listed


def test_what_is_wrong_with_a_field_that_is_not_shown_is_told_all_the_same(
    admin_page: Client,
) -> None:
    rule = Rule.objects.create(kind=RuleKind.CREDITS, name="x", warn_at=0.2, of_last=5)
    sent = {"name": "x", "enabled": "on", "warn_at": "20 %", "for_s": 0, "keep_s": 0}

    answer = admin_page.post(
        f"/admin/alerts/rule/{rule.pk}/change/", {**sent, "of_last": 2}
    )

    assert "It must be at most the last 2." in answer.content.decode()


def test_neither_its_kind_nor_its_team_can_be_set(alice: Client, team: Team) -> None:
    """C-21."""
    other = make_team()
    address = reverse("team_rule", args=[team.pk, RuleKind.CREDITS])
    forged = {"team": other.pk, "kind": RuleKind.GATEWAY_DOWN, "probe": 1}

    alice.post(address, {"critical_at": 0.1, "name": "Mine", **forged})

    own = Rule.objects.get(team__isnull=False)
    assert (own.team, own.kind, own.probe) == (team, "credits", None)


@pytest.mark.parametrize("kind", ["gateway_down", "nonsense"])
def test_other_kinds_are_no_teams(kind: str, alice: Client, team: Team) -> None:
    address = reverse("team_rule", args=[team.pk, kind])
    assert alice.get(address).status_code == 404
