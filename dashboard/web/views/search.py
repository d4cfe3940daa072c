"""The search over what somebody may see."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web.pages import search as page

_LONGEST = 100


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    asked = request.GET.get("q", "").replace("\0", "")[:_LONGEST]
    shown = page.search(request.user, asked, timezone.now())
    return render(request, "web/search.html", {"page": shown})
