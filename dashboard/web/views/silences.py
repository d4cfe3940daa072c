"""Silences: the list, a new one, and the end of one."""

from collections.abc import Mapping
from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.alerts.models import Silence
from dashboard.alerts.silences import end as end_now
from dashboard.teams.models import AuditAction
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.forms import SilenceForm
from dashboard.web.pages import silences as page


@require_http_methods(["GET", "HEAD", "POST"])
def silences(request: HttpRequest) -> HttpResponse:
    operable = access.operable_teams(request.user)
    for_all = access.is_site_admin(request.user)
    may_add = for_all or operable.exists()
    if request.method == "POST" and not may_add:
        raise Http404
    form = SilenceForm(
        request.POST or None,
        initial={name: request.GET.get(name, "") for name in ("team", "kind")},
        operable=operable,
        for_all=for_all,
    )
    if request.method == "POST" and form.is_valid():
        _add(request, form)
        return redirect("silences")
    shown = page.rows(
        access.silences(request.user),
        set(operable.values_list("pk", flat=True)),
        timezone.now(),
        for_all=for_all,
    )
    context = {"rows": shown, "form": form if may_add else None}
    return render(request, "web/silences.html", context)


def _add(request: HttpRequest, form: SilenceForm) -> None:
    assert isinstance(request.user, User)
    now, told = timezone.now(), form.cleaned_data
    Silence.objects.create(
        team=told["team"],
        kind=told["kind"],
        maintenance=told["maintenance"],
        starts_at=now,
        ends_at=now + timedelta(hours=told["hours"]),
        reason=told["reason"],
        author=request.user,
    )
    noted(
        request,
        AuditAction.SILENCE,
        told["team"] or "all teams",
        detail=f"{_what(told)} for {told['hours']} h",
        team=told["team"],
    )
    messages.success(request, "Silenced: incidents still open, and nobody is mailed.")


def _what(told: Mapping[str, object]) -> str:
    return "maintenance" if told["maintenance"] else str(told["kind"] or "all alarms")


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    silence = get_object_or_404(access.silences(request.user), pk=pk)
    access.operate_or_404(request.user, silence.team)
    if end_now(silence, timezone.now()):
        noted(
            request,
            AuditAction.SILENCE,
            silence.team or "all teams",
            detail="ended",
            team=silence.team,
        )
        messages.success(request, "Ended: what still fires is mailed now.")
    return redirect("silences")
