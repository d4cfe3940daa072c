"""One probe: its page, a run at once, and the consent to what a paid one costs."""

from datetime import UTC, datetime, timedelta

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import accept_cost, request_run, switch_off
from dashboard.teams.models import AuditAction
from dashboard.web import access, exports, ranges
from dashboard.web.audited import noted
from dashboard.web.changes import turned
from dashboard.web.forms import CostForm
from dashboard.web.live import template_of
from dashboard.web.pages import probe as page
from dashboard.web.pages.costs import cap_means
from dashboard.web.remembered import remembering_range

# How long the page of a probe goes on showing the run that somebody asked for.
_RUN_SHOWN = timedelta(minutes=10)
_EPOCH_DIGITS = 11


@require_safe
@remembering_range
def probe(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.probe_or_404(request.user, pk)
    now = timezone.now()
    chosen = ranges.chosen(request.GET, now)
    if kind := exports.wanted(request):
        told = page.probe_sheets(request.user, found, chosen, now)
        return exports.answer(kind, f"gatewatch {found}", told, now)
    shown = page.probe(
        request.user,
        found,
        page.Asked(
            chosen,
            request.GET.get("state", ""),
            _asked_at(request.GET.get("asked", ""), now),
        ),
        now,
        may_operate=access.may_operate(request.user, found.team),
        may_manage=access.may_manage(request.user, found.team),
    )
    asks = shown.may_accept_cost or shown.may_change_cap
    form = CostForm.for_probe(found) if asks else None
    context = {"page": shown, "form": form, "prober": shown.prober}
    return render(request, template_of(request, "probe"), context)


@require_POST
@transaction.atomic
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the probe due at once; the prober runs it with its next look."""
    found = _taken_or_404(request, pk)
    access.operate_or_404(request.user, found.team)
    now = timezone.now()
    if request_run(Probe.objects.filter(pk=found.pk), now):
        noted(
            request, AuditAction.PROBE, found, detail="run asked for", team=found.team
        )
        # There the focus goes on: what comes of it is read where it appears.
        place = f"?asked={int(now.timestamp())}#run"
        return redirect(f"{reverse('probe', args=[pk])}{place}")
    messages.error(request, "This probe is switched off, so it was not run.")
    return redirect("probe", pk)


@require_POST
@transaction.atomic
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a paid probe on, at the price that the form names, or change its cap."""
    found = _paid_or_404(request, pk)
    was_on = found.enabled
    if "change" in request.POST and not was_on:
        messages.error(request, "It was switched off meanwhile: nothing was changed.")
        return redirect("probe", pk)
    form = CostForm.for_probe(found, request.POST)
    if not form.is_valid():
        for name, texts in form.errors.items():
            for text in texts:
                messages.error(request, f"{form[name].label}: {text}")
        return redirect("probe", pk)
    assert isinstance(request.user, User)
    accept_cost(
        found,
        user=request.user,
        model=form.cleaned_data.get("model", ""),
        daily_credit_cap=form.cleaned_data["daily_credit_cap"],
        now=timezone.now(),
    )
    cap = form.cleaned_data["daily_credit_cap"]
    detail = f"cost accepted, at most {cap} credits a day"
    if was_on:
        detail += f", {found.daily_credit_cap} before"
        model = form.cleaned_data.get("model", "")
        if found.model and model != found.model:
            detail += f"; {turned('model', found.model, model)}"
    noted(request, AuditAction.PROBE, found, detail=detail, team=found.team)
    said = "it goes on." if was_on else "the probe is switched on."
    messages.success(request, f"Its cost is accepted; {said}")
    found.refresh_from_db()
    if means := cap_means(found, timezone.now()):
        messages.warning(request, means)
    return redirect("probe", pk)


@require_POST
@transaction.atomic
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a paid probe off again."""
    found = _paid_or_404(request, pk)
    switch_off(found, timezone.now())
    noted(request, AuditAction.PROBE, found, detail="switched off", team=found.team)
    messages.success(request, "Switched off: it costs nothing any more.")
    return redirect("probe", pk)


def _asked_at(text: str, now: datetime) -> datetime | None:
    """Return when a run was asked for, None when that was none of the last minutes."""
    if not (text.isascii() and text.isdigit()) or len(text) > _EPOCH_DIGITS:
        return None
    at = datetime.fromtimestamp(int(text), UTC)
    return at if now - _RUN_SHOWN <= at <= now else None


def _taken_or_404(request: HttpRequest, pk: int) -> Probe:
    # First: who was removed while he waited for it is a stranger.
    list(Probe.objects.select_for_update().filter(pk=pk).order_by("pk"))
    return access.probe_or_404(request.user, pk)


def _paid_or_404(request: HttpRequest, pk: int) -> Probe:
    found = _taken_or_404(request, pk)
    access.manage_or_404(request.user, found.team)
    if not KINDS[ProbeKind(found.kind)].paid:
        raise Http404
    return found
