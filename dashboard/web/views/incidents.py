"""Incidents: the list, one of them, and its acknowledgement."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.alerts import lifecycle
from dashboard.alerts.models import EventKind, Incident
from dashboard.teams.models import AuditAction
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.forms import QuietForm
from dashboard.web.live import template_of
from dashboard.web.pages import incident as one
from dashboard.web.pages import incidents as many
from dashboard.web.pages.post_mortem import markdown

_LAST_PAGE = 1000
MOST_NOTES = 200


@require_safe
def incidents(request: HttpRequest) -> HttpResponse:
    shown = many.incidents(
        access.incidents(request.user),
        request.GET.get("state", ""),
        _number(request.GET.get("page", "1")),
        timezone.now(),
    )
    return render(request, template_of(request, "incidents"), {"page": shown})


@require_safe
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.incident_or_404(request.user, pk)
    shown = one.incident(
        found,
        one.told_of(found),
        _visible(request),
        timezone.now(),
        may_operate=access.may_operate(request.user, found.team),
        is_mine=found.acknowledged_by == request.user,
    )
    context = {"page": shown, "quiet": QuietForm()}
    return render(request, template_of(request, "incident"), context)


def _visible(request: HttpRequest) -> one.Visible:
    probes = access.probes(request.user)
    return one.Visible(
        incidents=access.incidents(request.user),
        probes=probes,
        operated=probes.filter(team__in=access.operable_teams(request.user)),
        address=_address(request),
    )


def _address(request: HttpRequest) -> str:
    return request.user.email if isinstance(request.user, User) else ""


@require_safe
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the incident as a Markdown file, to begin a post-mortem with."""
    found = access.incident_or_404(request.user, pk)
    now = timezone.now()
    text = markdown(
        found,
        one.readable(
            found,
            one.told_of(found),
            _address(request),
            may_operate=access.may_operate(request.user, found.team),
        ),
        _visible(request),
        now,
    )
    name = f"incident-{pk}-{found.opened_at:%Y%m%d}.md"
    return HttpResponse(
        text,
        content_type="text/markdown; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that somebody is on it. The first one stays named, until one takes over."""
    found = access.incident_or_404(request.user, pk)
    access.operate_or_404(request.user, found.team)
    assert isinstance(request.user, User)
    text = request.POST.get("text", "").strip()
    now = timezone.now()
    takes_over = "over" in request.POST and found.acknowledged_at is not None
    hands = found.events.filter(kind=EventKind.ACKNOWLEDGED)
    if takes_over and hands.count() >= MOST_NOTES:
        messages.error(
            request, f"Not kept: it changed hands {MOST_NOTES} times already."
        )
    elif "over" in request.POST and lifecycle.take_over(found, request.user, now, text):
        _noted(request, found, "taken over")
        messages.success(request, "Taken over: the others see that you are on it.")
    elif lifecycle.acknowledge(found, request.user, now, text):
        _noted(request, found, "acknowledged")
        messages.success(request, "Acknowledged: the others see that you are on it.")
    else:
        found.refresh_from_db()
        if not found.is_open:
            messages.error(request, "Too late: it is over.")
        elif found.acknowledged_by != request.user:
            who = found.acknowledged_by or "somebody"
            messages.error(request, f"Too late: {who} is on it.")
    return redirect("incident", pk)


@require_POST
def note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a line to the timeline, also of an incident that is over."""
    found = access.incident_or_404(request.user, pk)
    access.operate_or_404(request.user, found.team)
    assert isinstance(request.user, User)
    text = request.POST.get("text", "").strip()
    if found.events.filter(kind=EventKind.NOTE).count() >= MOST_NOTES:
        messages.error(request, f"Not kept: this has {MOST_NOTES} notes already.")
    elif text:
        lifecycle.note(found, EventKind.NOTE, timezone.now(), text, request.user)
        _noted(request, found, "note added")
    else:
        messages.error(request, "An empty note was not kept.")
    return redirect("incident", pk)


def _noted(request: HttpRequest, found: Incident, detail: str) -> None:
    subject = f"incident {found.pk}: {found.summary}"
    noted(request, AuditAction.INCIDENT, subject, detail=detail, team=found.team)


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _LAST_PAGE:
        return int(text[:6])
    return 1
