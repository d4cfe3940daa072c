"""The first-run guide: a gateway, its first team, and off it goes."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.web import access
from dashboard.web.forms import StartForm
from dashboard.web.watching import start_watching


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@access.site_admin_only
def start(request: HttpRequest) -> HttpResponse:
    form = StartForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        team = start_watching(**form.cleaned_data, now=timezone.now())
        messages.success(request, f"{team.gateway} is watched from now on.")
        return redirect("overview")
    return render(request, "web/start.html", {"form": form})
