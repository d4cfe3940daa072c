"""The overview: the verdict, what needs attention, and every probe."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import access, exports
from dashboard.web.live import template_of
from dashboard.web.pages import overview as page


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    kind = exports.wanted(request)
    whole = bool(kind) or request.GET.get("all") == "1"
    shown = page.overview(request.user, now, whole=whole)
    if kind:
        told = page.overview_sheets(shown)
        return exports.answer(kind, "gatewatch overview", told, now)
    if shown.is_empty and access.is_site_admin(request.user):
        return redirect("start")
    context = {"page": shown, "prober": shown.prober}
    return render(request, template_of(request, "overview"), context)
