"""Silences: the list, a new one, one of an incident, and the end of one."""

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.alerts.models import RuleKind, Silence
from dashboard.alerts.silences import end as end_now
from dashboard.teams.models import AuditAction, Team
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.forms import QuietForm, SilenceForm
from dashboard.web.pages import silences as page

# Of a team, and not over: each of its alarms is held against all of them.
MOST_SILENCES = 50


@require_http_methods(["GET", "HEAD", "POST"])
def silences(request: HttpRequest) -> HttpResponse:
    operable = access.operable_teams(request.user)
    for_all = access.is_site_admin(request.user)
    may_add = for_all or operable.exists()
    if request.method == "POST" and not may_add:
        raise Http404
    now = timezone.now()
    form = SilenceForm(
        request.POST or None,
        operable=operable,
        for_all=for_all,
        now=now,
    )
    if request.method == "POST" and form.is_valid():
        _add(request, form)
        return redirect("silences")
    shown = page.silences(
        access.silences(request.user),
        set(operable.values_list("pk", flat=True)),
        access.row_number(request.GET.get("page", "")),
        now,
        for_all=for_all,
    )
    context = {"page": shown, "form": form if may_add else None}
    return render(request, "web/silences.html", context)


def _add(request: HttpRequest, form: SilenceForm) -> None:
    told = form.cleaned_data
    _keep(
        request,
        form,
        Silence(
            team=told["team"],
            kind=told["kind"],
            maintenance=told["maintenance"],
            starts_at=told["starts_at"],
        ),
    )


@require_POST
def silence_incident(request: HttpRequest, pk: int) -> HttpResponse:
    """Silence one incident: its kind of alarm, where it is, and nothing else."""
    found = access.incident_or_404(request.user, pk)
    access.operate_or_404(request.user, found.team)
    form = QuietForm(request.POST)
    if form.is_valid():
        of_this = Silence(
            gateway=found.gateway,
            team=found.team,
            probe=found.probe,
            kind=found.kind,
            starts_at=timezone.now(),
        )
        _keep(request, form, of_this)
    else:
        messages.error(request, "Not silenced: say for how long, and why.")
    return redirect("incident", pk)


@transaction.atomic
def _keep(request: HttpRequest, form: QuietForm, silence: Silence) -> None:
    """Store a silence for as long as the form says, and note who asked for it."""
    assert isinstance(request.user, User)
    if silence.team is not None:
        # Who was removed while he waited for the team is a stranger.
        list(Team.objects.select_for_update(no_key=True).filter(pk=silence.team.pk))
        access.operate_or_404(request.user, silence.team)
        held = Silence.objects.filter(team=silence.team, ends_at__gt=timezone.now())
        if held.count() >= MOST_SILENCES:
            text = f"Not silenced: {silence.team} has {MOST_SILENCES}. End one first."
            messages.error(request, text)
            return
    hours = form.cleaned_data["hours"]
    silence.ends_at = silence.starts_at + timedelta(hours=hours)
    silence.reason = form.cleaned_data["reason"]
    silence.author = request.user
    silence.save()
    noted(
        request,
        AuditAction.SILENCE,
        _place(silence),
        detail=f"{_what(silence)} for {hours} h",
        team=silence.team,
    )
    messages.success(
        request,
        "Silenced: incidents still open, and nobody is mailed. Who was told of one "
        "before is told of its end.",
    )


def _place(silence: Silence) -> object:
    return silence.probe or silence.team or silence.gateway or "all teams"


def _what(silence: Silence) -> str:
    if silence.maintenance:
        return "maintenance"
    return RuleKind(silence.kind).label if silence.kind else "all alarms"


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    silence = access.silence_or_404(request.user, pk)
    access.operate_or_404(request.user, silence.team)
    if end_now(silence, timezone.now()):
        noted(
            request,
            AuditAction.SILENCE,
            _place(silence),
            detail="ended",
            team=silence.team,
        )
        messages.success(request, "Ended: what still fires is mailed now.")
    return redirect("silences")
