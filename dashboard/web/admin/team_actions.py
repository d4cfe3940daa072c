"""What the admin does with many teams at once; what costs credits asks first."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from dashboard.alerts.rulebook import apply_rule_set
from dashboard.probes.kinds import CHEAP, KINDS, runs_a_day
from dashboard.probes.models import LONGEST_MODEL, Probe, ProbeKind
from dashboard.probes.prices import each, expected_price, least_cap
from dashboard.probes.services import accept_cost, request_run
from dashboard.probes.services import pause as pause_team
from dashboard.probes.services import resume as resume_team
from dashboard.rows import take
from dashboard.teams.models import AuditAction, Team
from dashboard.web import words
from dashboard.web.admin.asking import ask
from dashboard.web.admin.team_keys import MOST_KEYS, replace_keys
from dashboard.web.audited import noted
from dashboard.web.forms import TeamField, refuse_less
from dashboard.web.pages.team_settings import resumed

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin


@admin.action(description="Check now")
def check_now(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> None:
    """Make the teams' free probes due; paid ones keep to their period."""
    wanted = Probe.objects.filter(team__in=teams, kind__in=CHEAP)
    asked = request_run(wanted, timezone.now())
    for team in teams:
        noted(request, AuditAction.PROBE, team, detail="checks asked for", team=team)
    messages.success(request, f"{words.count(asked, 'probe')} due now.")


@admin.action(description="Pause watching")
def pause(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> None:
    """Stop every probe of the teams; the gateway is told nothing."""
    for team in teams:
        pause_team(team, timezone.now())
        noted(request, AuditAction.TEAM, team, detail="paused", team=team)
    messages.success(request, "Nobody asks for these teams until you resume them.")


@admin.action(description="Resume watching")
def resume(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> None:
    """Start what ran before the pause again; a paid probe needs its consent again."""
    waiting = 0
    for team in teams:
        waiting += resume_team(team, timezone.now())
        noted(request, AuditAction.TEAM, team, detail="resumed", team=team)
    messages.success(request, resumed(waiting))


@admin.action(description="Set or replace keys…")
def rotate_key(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> HttpResponse | None:
    """Ask for the new key of each team; where it is one, lead to its own page."""
    pks = list(teams.order_by("pk").values_list("pk", flat=True)[: MOST_KEYS + 1])
    if len(pks) > MOST_KEYS:
        messages.error(request, f"Choose {MOST_KEYS} teams at most, for one form.")
        return None
    if len(pks) == 1 and "confirmed" not in request.POST:
        return redirect(f"{reverse('team_settings', args=pks)}#key")
    form = replace_keys(request, pks)
    if form is None:
        return None
    return ask(
        modeladmin,
        request,
        teams,
        "rotate_key",
        form=form,
        sentence="Each key is stored encrypted, sent to its own gateway only, and never "
        "shown. env:NAME or file:/path refer to one that is kept elsewhere.",
        title="New keys",
        verb="Set these keys",
    )


class DeepForm(forms.Form):
    """The consent to a paid probe of each chosen team."""

    model = forms.ChoiceField(
        help_text="A model that each of these teams may call.",
        error_messages={
            "invalid_choice": "Not every one of these teams may call this model."
        },
    )
    daily_credit_cap = forms.IntegerField(
        label="Credits a day at most, each",
        min_value=1,
        max_value=10_000,
        help_text="Each probe stops for the day (UTC) when it has spent this many.",
    )


@admin.action(description="Switch the job with LLM call on…")
def enable_deep(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> HttpResponse | None:
    """Switch the job with an LLM call on after its cost was read and accepted."""
    return _enable(modeladmin, request, teams, "enable_deep", ProbeKind.DEEP_JOB)


@admin.action(description="Switch the job with streamed reply on…")
def enable_stream(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> HttpResponse | None:
    """Switch the job with a streamed reply on, in the same way."""
    return _enable(modeladmin, request, teams, "enable_stream", ProbeKind.STREAM_JOB)


def _enable(
    modeladmin: "ModelAdmin[Any]",
    request: HttpRequest,
    teams: QuerySet[Team],
    action: str,
    kind: ProbeKind,
) -> HttpResponse | None:
    wanted = Probe.objects.filter(team__in=teams, kind=kind)
    probes = list(wanted.select_related("team", "gateway"))
    lacking = [str(probe.team) for probe in probes if not _may_run(probe)]
    if lacking or not probes:
        named = ", ".join(lacking[:5]) or "none was chosen"
        why = "without a key, or without models that the gateway has told"
        messages.error(request, f"Not for teams {why}: {named}.")
        return None
    runs = sum(runs_a_day(probe.period_s) for probe in probes)
    spent = sum(runs_a_day(probe.period_s) * expected_price(probe) for probe in probes)
    sent = request.POST if "confirmed" in request.POST else None
    shared = set.intersection(*(set(_aliases(probe)) for probe in probes))
    if not shared:
        messages.error(request, "No model is one that each of these teams may call.")
        return None
    form = DeepForm(
        sent,
        initial={
            "daily_credit_cap": round(spent / len(probes)),
        },
    )
    model = form.fields["model"]
    assert isinstance(model, forms.ChoiceField)
    model.choices = [(each, each) for each in sorted(shared)]
    refuse_less(form.fields["daily_credit_cap"], max(map(least_cap, probes)))
    if sent is not None and form.is_valid():
        return _accept(request, form, probes)
    row = KINDS[kind]
    prices = " or ".join(sorted({each(probe) for probe in probes}))
    cost = (
        f"{words.count(len(probes), 'probe')}, {words.number(runs)} runs a day: "
        f"{words.number(spent)} credits a day at {prices}, and "
        f"at most {words.number(runs * row.tokens_per_run)} tokens. {row.proves}"
    )
    return ask(modeladmin, request, teams, action, form=form, sentence=cost)


def _may_run(probe: Probe) -> bool:
    return bool(probe.team and probe.team.has_key and probe.team.model_aliases)


def _aliases(probe: Probe) -> list[str]:
    # A gateway may tell names that are longer than what is kept of one.
    told = probe.team.model_aliases if probe.team else []
    return [alias for alias in told if len(alias) <= LONGEST_MODEL]


@transaction.atomic
def _accept(request: HttpRequest, form: DeepForm, probes: list[Probe]) -> None:
    model, cap = form.cleaned_data["model"], form.cleaned_data["daily_credit_cap"]
    chosen = [probe.pk for probe in probes]
    assert isinstance(request.user, User)
    # In the order of the recorder, who may hold some of them.
    taken = take(Probe.objects.filter(pk__in=chosen))
    there = Probe.objects.filter(pk__in=taken).order_by("pk")
    for probe in there.select_related("team", "gateway"):
        accept_cost(
            probe,
            user=request.user,
            model=model,
            daily_credit_cap=cap,
            now=timezone.now(),
        )
        detail = f"cost accepted, at most {cap} credits a day"
        noted(request, AuditAction.PROBE, probe, detail=detail, team=probe.team)
    what = probes[0].get_kind_display()
    number = words.count(len(taken), "probe")
    messages.success(request, f"{number} switched on: {what}.")


class RuleSetForm(forms.Form):
    """Whose limits the chosen teams get."""

    source = TeamField(
        label="The limits of",
        queryset=Team.objects.none(),
        required=False,
        empty_label="all teams (the general ones)",
    )


@admin.action(description="Give limits of…")
def copy_rules(
    modeladmin: "ModelAdmin[Any]", request: HttpRequest, teams: QuerySet[Team]
) -> HttpResponse | None:
    """Give the teams another team's own limits, or none of their own."""
    sent = request.POST if "confirmed" in request.POST else None
    form = RuleSetForm(sent)
    field = form.fields["source"]
    assert isinstance(field, forms.ModelChoiceField)
    teams_with_own = Team.objects.filter(rule__isnull=False).distinct()
    field.queryset = teams_with_own.select_related("gateway")
    if sent is not None and form.is_valid():
        source = form.cleaned_data["source"]
        for team in teams:
            apply_rule_set(source, team)
            # By its number: the team's managers read this, and not who else is there.
            whose = f"the team at {reverse('team', args=[source.pk])}" if source else ""
            detail = f"limits of {whose or 'all teams'}"
            noted(request, AuditAction.RULE, team, detail=detail, team=team)
        messages.success(request, "The limits hold from the next look on.")
        return None
    what = "What these teams have of their own is replaced."
    if not teams_with_own.exists():
        what += (
            " No team has limits of its own yet; they are set with a team's settings."
        )
    return ask(modeladmin, request, teams, "copy_rules", form=form, sentence=what)
