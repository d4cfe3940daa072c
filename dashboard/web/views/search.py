"""The search over what somebody may see."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web.pages import search as page

_LONGEST = 100


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("q", "").replace("\0", "")[:_LONGEST]
    shown = page.search(request.user, asked, timezone.now())
    if request.GET.get("format") == "json":
        return JsonResponse(
            {
                "asked": shown.asked,
                "teams": [_link(each.word, each.url) for each in shown.teams],
                "probes": [_link(each.word, each.url) for each in shown.probes],
                "incidents": [_link(each.title, each.url) for each in shown.incidents],
                "more": shown.more,
            }
        )
    return render(request, "web/search.html", {"page": shown})


def _link(name: str, url: str) -> dict[str, str]:
    return {"name": name, "url": url}
