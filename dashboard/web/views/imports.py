"""Import teams of a gateway that is watched: a look first, then the change."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from dashboard.pipeline import roster as service
from dashboard.teams.models import AuditAction, Gateway
from dashboard.web import access, words
from dashboard.web.audited import noted
from dashboard.web.pages import imports as page


@require_http_methods(["GET", "HEAD", "POST"])
@access.site_admin_only
def import_teams(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the gateway lists and what would change; add the teams that were ticked.

    What is sent is compared with the gateway's list once more: only that can be added.
    """
    gateway = get_object_or_404(Gateway, pk=pk)
    wanted = request.GET.get("organization", "").replace("\0", "")[:255]
    roster = service.ask_roster(gateway, wanted)
    chosen = set(request.POST.getlist("teams"))
    if request.method == "POST" and chosen and not roster.error:
        done = service.import_teams(roster, chosen, timezone.now())
        for team in done.added:
            noted(request, AuditAction.TEAM, team, detail="imported", team=team)
        number = words.count(len(done.added), "team")
        keyless = f"{reverse('admin:teams_team_changelist')}?has_key=no"
        messages.success(
            request,
            format_html(
                '{} watched from now on, without keys yet: <a href="{}">give them '
                "keys</a>.",
                number,
                f"{keyless}&gateway__id__exact={gateway.pk}",
            ),
        )
        if done.gone:
            gone = words.count(len(done.gone), "team")
            messages.warning(request, f"{gone} not in the gateway's list any more.")
        return redirect("teams")
    if request.method == "POST" and not roster.error:
        messages.error(request, "No team was ticked, so nothing was changed.")
    # What was sent with no tick at all comes back without one.
    shown = page.preview(roster, wanted, is_ticked=request.method != "POST")
    return render(request, "web/import.html", {"page": shown})
