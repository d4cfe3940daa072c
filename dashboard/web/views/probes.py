"""One probe: its page, a run at once, and the consent to what a paid one costs."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import accept_cost, request_run, switch_off
from dashboard.web import access, ranges
from dashboard.web.forms import CostForm
from dashboard.web.live import template_of
from dashboard.web.pages import probe as page


@require_safe
def probe(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.probe_or_404(request.user, pk)
    shown = page.probe(
        found,
        ranges.chosen(request.GET),
        timezone.now(),
        may_operate=access.may_operate(request.user, found.team),
        may_manage=access.may_manage(request.user, found.team),
    )
    form = CostForm.for_probe(found) if shown.may_accept_cost else None
    return render(request, template_of(request, "probe"), {"page": shown, "form": form})


@require_POST
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the probe due at once; the prober runs it with its next look."""
    found = access.probe_or_404(request.user, pk)
    if not access.may_operate(request.user, found.team):
        raise Http404
    if request_run([found.pk], timezone.now()):
        messages.success(request, "Asked for: its result appears here in a moment.")
    else:
        messages.error(request, "This probe is switched off, so it was not run.")
    return redirect("probe", pk)


@require_POST
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a paid probe on, at the price that the form names."""
    found = _paid_or_404(request, pk)
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
    messages.success(request, "Its cost is accepted; the probe is switched on.")
    return redirect("probe", pk)


@require_POST
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a paid probe off again."""
    switch_off(_paid_or_404(request, pk))
    messages.success(request, "Switched off: it costs nothing any more.")
    return redirect("probe", pk)


def _paid_or_404(request: HttpRequest, pk: int) -> Probe:
    found = access.probe_or_404(request.user, pk)
    if not access.may_manage(request.user, found.team):
        raise Http404
    if not KINDS[ProbeKind(found.kind)].paid:
        raise Http404
    return found
