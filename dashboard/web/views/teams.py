"""Teams: the list, one of them, and the credits of all."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import access, exports, ranges
from dashboard.web.live import template_of
from dashboard.web.pages import credits as credits_page
from dashboard.web.pages import teams as page
from dashboard.web.remembered import remembering_range

# Credits last for days: a shorter time says little of their pace.
_SHOWN = "7d"


@require_safe
def teams(request: HttpRequest) -> HttpResponse:
    shown = page.teams(request.user, timezone.now())
    return render(request, template_of(request, "teams"), {"page": shown})


@require_safe
@remembering_range
def team(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.team_or_404(request.user, pk, "statement")
    now = timezone.now()
    chosen = ranges.chosen(request.GET, now, default=_SHOWN)
    shown = page.team(request.user, found, chosen, now)
    if kind := exports.wanted(request):
        told = [*exports.sheets([shown.chart]), *shown.statement.sheets]
        return exports.answer(kind, f"gatewatch credits {found}", told, now)
    context = {"page": shown, "prober": shown.prober}
    return render(request, template_of(request, "team"), context)


@require_safe
@remembering_range
def credits(request: HttpRequest) -> HttpResponse:  # noqa: A001 (the page's own name)
    """Show the credits of all teams, soonest to run out first."""
    now = timezone.now()
    chosen = ranges.chosen(request.GET, now, default=_SHOWN)
    shown = credits_page.page(request.user, chosen, now)
    if kind := exports.wanted(request):
        told = [exports.Sheet("credits", shown.sheet)]
        return exports.answer(kind, "gatewatch credits", told, now)
    return render(request, template_of(request, "credits"), {"page": shown})
