"""Results: the list behind a number, and one of them."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.probes.models import ProbeKind
from dashboard.probes.taxonomy import ErrorClass
from dashboard.web import access, exports, ranges
from dashboard.web.live import template_of
from dashboard.web.pages import outcome as one
from dashboard.web.pages import outcomes as page

_CLASSES = {each.value for each in ErrorClass}


@require_safe
def outcomes(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    asked = _asked(request.user, request.GET)
    chosen = ranges.chosen(request.GET, now)
    if kind := exports.wanted(request):
        found = page.sheet(request.user, asked, chosen)
        return exports.answer(kind, "gatewatch results", [found], now)
    after = request.GET.get("after", "")
    shown = page.outcomes(request.user, asked, chosen, after, now)
    return render(request, template_of(request, "outcomes"), {"page": shown})


@require_safe
def outcome(request: HttpRequest, pk: int) -> HttpResponse:
    found = access.outcome_or_404(request.user, pk)
    now = timezone.now()
    if kind := exports.wanted(request):
        title = f"gatewatch result {found.pk}"
        return exports.answer(kind, title, [one.sheet(found)], now)
    shown = one.outcome(request.user, found, now)
    return render(request, "web/outcome.html", {"page": shown})


def _asked(user: access.Visitor, query: QueryDict) -> page.Asked:
    """Return what the address asks for; a stranger's probe or team is not there."""
    probe, team = query.get("probe", ""), query.get("team", "")
    kind = query.get("kind", "")
    state, error_class = query.get("state", ""), query.get("class", "")
    return page.Asked(
        probe=access.probe_or_404(user, access.row_number(probe)) if probe else None,
        team=access.team_or_404(user, access.row_number(team)) if team else None,
        kind=ProbeKind(kind) if kind in ProbeKind else None,
        state=state if state in page.STATES else "",
        error_class=error_class if error_class in _CLASSES else "",
    )
