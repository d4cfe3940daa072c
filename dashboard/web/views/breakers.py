"""Circuit breakers: all of them, and forcing one."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.probes.breaker_events import force as force_now
from dashboard.probes.breaker_events import state_named
from dashboard.teams.models import AuditAction
from dashboard.web import access, exports, ranges
from dashboard.web.audited import noted
from dashboard.web.live import template_of
from dashboard.web.pages import breakers as page
from dashboard.web.remembered import remembering_range

# Breakers change seldom: a day is mostly empty.
_SHOWN = "7d"


@require_safe
@remembering_range
def breakers(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    chosen = ranges.chosen(request.GET, now, default=_SHOWN)
    shown = page.breakers(request.user, chosen, now)
    if kind := exports.wanted(request):
        return exports.answer(kind, "gatewatch breaker changes", [shown.sheet], now)
    return render(request, template_of(request, "breakers"), {"page": shown})


@require_POST
def force(request: HttpRequest, pk: int) -> HttpResponse:
    """Force a breaker open or closed, or reset it; who and when is kept."""
    breaker, team = access.breaker_or_404(request.user, pk)
    access.operate_or_404(request.user, team)
    wanted = request.POST.get("to", "unknown")
    if wanted not in page.forced_states():
        return HttpResponseBadRequest("This is not a state to force.")
    assert isinstance(request.user, User)
    if force_now(breaker, state_named(wanted), request.user, timezone.now()):
        noted(
            request,
            AuditAction.BREAKER,
            breaker.key,
            detail=f"to {wanted or 'automatic'}",
            team=team,
        )
        messages.success(request, "Done: it holds from the next call on.")
    else:
        messages.error(request, "It was in that state already.")
    if probe := access.row_number(request.POST.get("probe", "")):
        return redirect("probe", probe)
    return redirect("breakers")
