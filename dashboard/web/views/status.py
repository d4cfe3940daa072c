"""How Gatewatch itself is, for site administrators."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import access, exports
from dashboard.web.live import template_of
from dashboard.web.pages import status as page


@require_safe
@access.site_admin_only
def status(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    shown = page.status(now)
    if kind := exports.wanted(request):
        return exports.answer(kind, "gatewatch status", shown.sheets, now)
    # The banner asks no second time.
    context = {"page": shown, "prober": shown.prober}
    return render(request, template_of(request, "status"), context)
