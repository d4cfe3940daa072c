"""The overview: the verdict, what needs attention, and every probe."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import access
from dashboard.web.live import template_of
from dashboard.web.pages import overview as page


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    shown = page.overview(request.user, timezone.now())
    if shown.is_empty and access.is_site_admin(request.user):
        return redirect("start")
    return render(request, template_of(request, "overview"), {"page": shown})
