"""The admin's list of teams, and what it does with many at once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.services import install_default_rules
from dashboard.probes.kinds import PAID
from dashboard.probes.models import (
    Breaker,
    Probe,
    ProbeKind,
)
from dashboard.probes.queries import breaker_keys
from dashboard.probes.services import change, watch_team
from dashboard.rows import take
from dashboard.teams.credit_hours import (
    fold,
)
from dashboard.teams.models import AuditEntry, Team
from dashboard.web.admin import team_actions
from dashboard.web.admin.probes import ProbeAdmin
from dashboard.web.admin.teams import TeamAdmin
from tests.factories import (
    NOW,
    beat,
    make_gateway,
    make_incident,
    make_probe,
    make_team,
)
from tests.web.people import person
from tests.web.watching import watched

pytestmark = pytest.mark.django_db
LIST = "/admin/teams/team/"


def act(client: Client, action: str, *teams: Team, **fields: object) -> str:
    sent = {"action": action, "_selected_action": [team.pk for team in teams], **fields}
    return client.post(LIST, sent, follow=True).content.decode()


def test_the_list_tells_status_credits_runway_checks_breakers_and_the_week(
    admin_page: Client,
) -> None:
    team = watched(status="suspended", status_at=NOW)
    fold(NOW + timedelta(minutes=1))
    probe = Probe.objects.get(kind=ProbeKind.TEAM_STATUS)
    Probe.objects.filter(pk=probe.pk).update(last_at=NOW, last_error="server_error")
    Breaker.objects.create(
        gateway=team.gateway,
        key=next(iter(breaker_keys(probe).values())),
        failures=5,
        open_until=NOW.timestamp() + 60,
        opened_at=NOW.timestamp(),
    )

    text = admin_page.get(LIST).content.decode()

    assert "suspended" in text
    assert "15 % left (150 of 1,000 credits)" in text
    assert 'class="bar"' in text
    assert 'class="spark"' in text
    assert "about 15 h" in text
    assert "1 of 2 probes" in text
    assert "1 open" in text


@pytest.mark.parametrize(
    ("error", "team_says", "gateway_says"),
    [
        ("server_error", "failing 1 of 3 probes", "failing 1 probe"),
        ("config_error", "cap reached 1 of 3 probes", "none failing"),
    ],
)
def test_its_lists_say_of_a_probe_what_its_page_says(
    admin_page: Client, error: str, team_says: str, gateway_says: str
) -> None:
    watched()
    beat()
    Probe.objects.update(last_at=NOW)
    Probe.objects.filter(kind=ProbeKind.DEEP_JOB).update(
        enabled=True, last_error=error, capped_on=NOW.date()
    )

    for address, said in ((LIST, team_says), ("/admin/teams/gateway/", gateway_says)):
        text = re.sub("<[^>]+>", " ", admin_page.get(address).content.decode())
        assert said in " ".join(text.split())


@pytest.mark.parametrize("number", [3, 30])
def test_many_teams_take_no_more_queries_than_few(
    number: int,
    admin_page: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """C-20."""
    gateway = make_gateway()
    for _ in range(number):
        watch_team(make_team(gateway), NOW)

    with django_assert_max_num_queries(20):
        assert admin_page.get(LIST).status_code == 200


def test_a_team_shows_its_latest_readings_and_incidents(admin_page: Client) -> None:
    team = watched()
    incident = make_incident(
        kind=RuleKind.TEAM_STATE,
        gateway=team.gateway,
        team=team,
        summary="<b>suspended</b>",
    )

    text = admin_page.get(f"{LIST}{team.pk}/change/").content.decode()

    assert "2 Mar 2026, 12:00:00 UTC: 150 credits" in text
    assert reverse("incident", args=[incident.pk]) in text
    assert "<b>suspended" not in text


def test_check_now_makes_the_free_probes_due(admin_page: Client) -> None:
    team = watched()
    Probe.objects.update(enabled=True, next_run=NOW.replace(year=2027))

    assert "2 probes due now" in act(admin_page, "check_now", team)
    due = Probe.objects.filter(next_run=NOW).values_list("kind", flat=True)
    assert set(due) == {"team_status", "balance"}


def test_pause_stops_all_and_resume_starts_what_is_free(admin_page: Client) -> None:
    team, other = watched(), watched()
    Probe.objects.update(enabled=True)

    act(admin_page, "pause", team)
    assert not Probe.objects.filter(team=team, enabled=True).exists()
    assert Probe.objects.filter(team=other, enabled=True).count() == 5

    act(admin_page, "resume", team)
    running = Probe.objects.filter(team=team, enabled=True)
    assert set(running.values_list("kind", flat=True)) == {"team_status", "balance"}
    assert [e.detail for e in AuditEntry.objects.filter(action="team")] == [
        "resumed",
        "paused",
    ]


@pytest.mark.parametrize(
    ("action", "kind"),
    [("enable_deep", ProbeKind.DEEP_JOB), ("enable_stream", ProbeKind.STREAM_JOB)],
)
def test_a_paid_probe_asks_with_its_cost_before_it_is_switched_on(
    admin_page: Client, action: str, kind: ProbeKind
) -> None:
    team, other = watched(), watched()
    deep = Probe.objects.filter(kind=kind)

    asked = act(admin_page, action, team, other)

    assert "192 credits a day at one each, and at most 9,600 tokens" in asked
    assert not deep.filter(enabled=True).exists()
    consent = {"confirmed": "1", "model": "chat-fast", "daily_credit_cap": 50}
    refused = act(admin_page, action, team, **{**consent, "model": "other"})
    assert "Not every one of these teams may call this model" in refused
    act(admin_page, action, team, other, **consent)
    assert [probe.daily_credit_cap for probe in deep.filter(enabled=True)] == [50, 50]
    assert Probe.objects.filter(kind__in=PAID, enabled=True).count() == 2
    assert AuditEntry.objects.filter(detail__contains="at most 50").count() == 2


def test_the_consent_is_for_all_teams_whose_cost_was_told(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TeamAdmin, "list_per_page", 1)
    first, second = watched(), watched()

    asked = act(admin_page, "enable_deep", first, select_across="1")

    assert "192 credits a day" in asked
    for team in (first, second):
        assert f'name="_selected_action" value="{team.pk}"' in asked


def test_only_what_was_switched_on_is_told(
    admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    team, other = watched(), watched()

    def take_late(probes: QuerySet[Probe]) -> list[int]:
        """Take them when somebody else has just deleted a team."""
        Team.objects.filter(pk=other.pk).delete()
        return take(probes)

    monkeypatch.setattr(team_actions, "take", take_late)
    consent = {"confirmed": "1", "model": "chat-fast", "daily_credit_cap": 50}

    said = act(admin_page, "enable_deep", team, other, **consent)

    assert "1 probe switched on: Job with LLM call." in said


def test_a_team_without_a_key_gets_no_deep_probe(admin_page: Client) -> None:
    team = make_team(team_id="keyless", model_aliases=["chat-fast"])
    watch_team(team, NOW)

    text = act(admin_page, "enable_deep", team, confirmed="1", model="chat-fast")

    assert "without a key" in text
    assert not Probe.objects.filter(kind=ProbeKind.DEEP_JOB, enabled=True).exists()


def test_limits_are_copied_and_taken_away(admin_page: Client) -> None:
    """C-07: the log of the team that gets them names no other."""
    install_default_rules()
    source, target = watched(team_id="the-others"), watched()
    Rule.objects.create(kind="credits", name="Own", team=source, warn_at=0.5)
    # Never asked: the first by name judges.
    Rule.objects.create(kind="credits", name="Own, too", team=source, warn_at=0.9)
    Rule.objects.create(kind="error_rate", name="Old", team=target, warn_at=0.5)
    # The plain name of its copy is taken.
    Rule.objects.create(kind="credits", name=f"Credits low: {target.pk} {target}")

    asked = act(admin_page, "copy_rules", target)
    assert "is replaced" in asked
    act(admin_page, "copy_rules", target, confirmed="1", source=source.pk)

    own = Rule.objects.get(team=target)
    assert (own.kind, own.warn_at, own.gateway) == ("credits", 0.5, target.gateway)
    assert Rule.objects.filter(team=source).count() == 2
    manager = person("mary", target).client
    told = manager.get(reverse("team_settings", args=[target.pk])).content.decode()
    assert f"limits of the team at /teams/{source.pk}/<" in told
    assert source.team_id not in told
    act(admin_page, "copy_rules", target, confirmed="1", source="")
    assert not Rule.objects.filter(team=target).exists()


def test_periods_are_changed_in_the_list_and_noted(admin_page: Client) -> None:
    probe = Probe.objects.get(team=watched(), kind=ProbeKind.BALANCE)
    Probe.objects.exclude(pk=probe.pk).delete()

    admin_page.post(
        "/admin/probes/probe/",
        {
            "form-TOTAL_FORMS": 1,
            "form-INITIAL_FORMS": 1,
            "form-0-id": probe.pk,
            "form-0-period_s": 120,
            "form-0-daily_credit_cap": "",
            "_save": "Save",
        },
    )

    probe.refresh_from_db()
    assert probe.period_s == 120
    assert [before_s for before_s, _ in probe.paces] == [300]
    told = "Changed Period from 300 s to 120 s."
    assert AuditEntry.objects.get(action="probe").detail == told


@pytest.mark.parametrize("place", ["", "{pk}/change/"])
def test_what_was_changed_while_a_form_was_read_is_not_forgotten(
    place: str, admin_page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The periods and rests that a probe had are kept, whoever ended them."""
    probe = make_probe(period_s=300)

    def saved_later(*args: Any, **kwargs: Any) -> Any:
        for enabled in (False, True):
            read = Probe.objects.get()
            change(read, period_s=10, enabled=enabled, now=timezone.now())
        return save_form(*args, **kwargs)

    save_form = ProbeAdmin.save_form
    monkeypatch.setattr(ProbeAdmin, "save_form", saved_later)
    row = {"form-0-id": probe.pk, "form-0-period_s": 120}
    forms = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save"}

    admin_page.post(
        f"/admin/probes/probe/{place.format(pk=probe.pk)}",
        {**forms, **row, "period_s": 120},
    )

    probe.refresh_from_db()
    assert [before_s for before_s, _ in probe.paces] == [300, 10]
    assert (probe.period_s, len(probe.rests)) == (120, 2 if place else 1)


def test_one_period_is_set_for_many_probes_and_noted(admin_page: Client) -> None:
    """C-18: a paid one that is on costs what was accepted."""
    team = watched()
    Probe.objects.filter(kind=ProbeKind.DEEP_JOB).update(enabled=True)
    chosen = Probe.objects.filter(kind__in=["balance", "team_status", "deep_job"])
    sent = {"action": "set_period", "_selected_action": [p.pk for p in chosen]}
    address = "/admin/probes/probe/"

    asked = admin_page.post(address, sent).content.decode()
    refused = admin_page.post(address, {**sent, "confirmed": "1", "period_s": 4})
    done = admin_page.post(
        address, {**sent, "confirmed": "1", "period_s": 60}, follow=True
    )

    assert "keep their period" in asked
    assert "greater than or equal to 5" in refused.content.decode()
    # The team's status was asked for once a minute already.
    assert "1 period changed." in done.content.decode()
    assert list(chosen.order_by("kind").values_list("period_s", flat=True)) == [
        60,
        900,
        60,
    ]
    [line] = AuditEntry.objects.filter(action="probe")
    assert (line.detail, line.team_pk) == ("period from 300 s to 60 s", team.pk)


def test_a_model_is_chosen_of_those_that_all_teams_may_call(
    admin_page: Client,
) -> None:
    one, two = watched(), watched()
    Team.objects.filter(pk=two.pk).update(model_aliases=["other", "chat-fast"])
    asked = act(admin_page, "enable_deep", one, two)
    assert '<option value="chat-fast">' in asked
    assert "other" not in asked.partition("<select")[2].partition("</select>")[0]

    Team.objects.filter(pk=two.pk).update(model_aliases=["other"])
    assert "No model is one that each" in act(admin_page, "enable_deep", one, two)


def test_where_no_team_has_limits_of_its_own_the_copying_says_so(
    admin_page: Client,
) -> None:
    assert "No team has limits of its own" in act(admin_page, "copy_rules", watched())


@pytest.mark.parametrize(
    ("team_id", "sent", "code", "stored"),
    [
        ("other", "acme", 200, "other"),
        ("other", "acme ", 302, "acme "),
        ("acme ", "acme ", 302, "acme "),
        (" acme", " acme", 302, " acme"),
    ],
)
def test_an_id_stays_as_the_gateway_spells_it_and_is_no_other_teams(
    admin_page: Client, team_id: str, sent: str, code: int, stored: str
) -> None:
    gateway = make_gateway()
    make_team(gateway, team_id="acme")
    team = make_team(gateway, team_id=team_id)
    members = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}

    response = admin_page.post(f"{LIST}{team.pk}/change/", {"team_id": sent, **members})

    assert response.status_code == code
    assert Team.objects.get(pk=team.pk).team_id == stored


def test_a_team_that_gets_another_id_leaves_no_breaker_to_the_next_of_the_old_one(
    admin_page: Client,
) -> None:
    """C-22: it would be told who had forced it, and be watched no more."""
    team, other = watched(), watched()
    for each in (team, other):
        key = next(iter(breaker_keys(Probe.objects.filter(team=each)[0]).values()))
        Breaker.objects.create(gateway=each.gateway, key=key, forced="forced_open")
    members = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}

    admin_page.post(f"{LIST}{team.pk}/change/", {"team_id": "moved", **members})

    assert Team.objects.get(pk=team.pk).team_id == "moved"
    assert [each.gateway for each in Breaker.objects.all()] == [other.gateway]


def choosing_a_team() -> list[str]:
    """Return where the admin has a form in which a team is chosen, inlines included."""
    models = {
        model._meta.label_lower.replace(".", "/"): [
            model,
            *(inline.model for inline in site.get_model_admin(model).inlines),
        ]
        for model in apps.get_models()
        if site.is_registered(model)
    }
    return [
        place
        for place, forms in models.items()
        if any(
            field.related_model is Team for form in forms for field in form._meta.fields
        )
    ]


@pytest.mark.parametrize("place", choosing_a_team())
def test_teams_of_one_name_are_told_apart_where_one_is_chosen(
    admin_page: Client, place: str
) -> None:
    """C-07: who calls his team like another one gets none of its members or mails."""
    make_team(make_gateway(name="Production"), team_id="acme", name="Acme")
    make_team(make_gateway(name="Other"), team_id="evil", name="Acme")

    response = admin_page.get(f"/admin/{place}/add/")
    if response.status_code == 403 or place == "teams/team":
        return  # nobody chooses one there

    text = response.content.decode()
    assert ">Acme (acme) at Production</option>" in text
    assert ">Acme (evil) at Other</option>" in text
    listed = admin_page.get(LIST).content.decode()
    assert "Acme (acme)" in listed
    assert "Acme (evil)" in listed
