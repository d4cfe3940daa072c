"""Trends over any time."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import exports, ranges
from dashboard.web.live import template_of
from dashboard.web.pages import trends as page
from dashboard.web.remembered import remembering_range

DEFAULT = "7d"


@require_safe
@remembering_range
def trends(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    asked = request.GET.copy()
    if not (asked.get("range") or asked.get("from") or asked.get("to")):
        asked["range"] = DEFAULT
    shown = page.trends(request.user, ranges.chosen(asked, now), now)
    if kind := exports.wanted(request):
        return exports.answer(kind, "gatewatch trends", shown.sheets, now)
    context = {"page": shown, "prober": shown.prober}
    return render(request, template_of(request, "trends"), context)
