"""Logging in; logging out and the password are Django's own views."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import (
    LoginView,
    PasswordChangeView,
    redirect_to_login,
)
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.views.decorators.http import require_safe

from dashboard.teams.models import AuditAction
from dashboard.web.audited import noted

# Django's form views take PUT for POST, too.
_METHODS = ["get", "head", "post", "options"]


class LogIn(LoginView):
    """The only door; axes counts wrong attempts by name and address."""

    template_name = "web/log_in.html"
    http_method_names = _METHODS
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        shown = (settings.DEMO_USER, settings.DEMO_PASSWORD) if settings.DEMO else None
        return super().get_context_data(**kwargs, demo_login=shown)


class Password(PasswordChangeView):
    """One's own password; every other session of the user ends with the old one."""

    template_name = "web/password.html"
    http_method_names = _METHODS
    success_url = reverse_lazy("overview")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        response = super().form_valid(form)
        noted(self.request, AuditAction.PASSWORD, self.request.user)
        return response


@login_not_required
@require_safe
def to_log_in(request: HttpRequest) -> HttpResponseBase:
    return redirect_to_login(request.GET.get("next", "/admin/"))


@login_not_required
@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon, the admin's."""
    return redirect(static("img/favicon.svg"))
