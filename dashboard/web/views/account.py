"""Logging in; logging out and the password are Django's own views."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_safe


class LogIn(LoginView):
    """The only door; axes counts wrong attempts by name and address."""

    template_name = "web/log_in.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        shown = (settings.DEMO_USER, settings.DEMO_PASSWORD) if settings.DEMO else None
        return super().get_context_data(**kwargs, demo_login=shown)


@login_not_required
@require_safe
def to_log_in(request: HttpRequest) -> HttpResponseBase:
    return redirect_to_login(request.GET.get("next", "/admin/"))


@login_not_required
@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon, the admin's."""
    return redirect(static("img/favicon.svg"))
