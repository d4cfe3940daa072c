"""Logging in; logging out and the password are Django's own views."""

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import (
    LoginView,
    PasswordChangeView,
    redirect_to_login,
)
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.views.decorators.http import require_safe

from dashboard.teams.models import AuditAction
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.middleware import too_much

# Django's form views take PUT for POST, too.
_METHODS = ["get", "head", "post", "options"]


class LogIn(LoginView):
    """The only door; axes counts wrong attempts by name and address."""

    template_name = "web/log_in.html"
    http_method_names = _METHODS
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:
        """Lead nobody from the log-in to the log-in, where Django sees a circle."""
        asked: str = super().get_redirect_url()
        return "" if asked == self.request.path else asked

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Let in nobody who fills the log by logging in again and again."""
        user = form.get_user()
        return too_much(self.request, user) or super().form_valid(form)

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        shown = (settings.DEMO_USER, settings.DEMO_PASSWORD) if settings.DEMO else None
        return super().get_context_data(**kwargs, demo_login=shown)


class PasswordForm(PasswordChangeForm):
    """A new password, for whoever knows the old one: it is asked as at the log-in.

    So a browser that was left open is no place to try passwords without end.
    """

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        told: str = self.cleaned_data["old_password"]
        if authenticate(
            self._request, username=self.user.get_username(), password=told
        ):
            return told
        raise ValidationError(
            self.error_messages["password_incorrect"], code="password_incorrect"
        )


class Password(PasswordChangeView):
    """One's own password; every other session of the user ends with the old one."""

    form_class = PasswordForm
    template_name = "web/password.html"
    http_method_names = _METHODS
    success_url = reverse_lazy("overview")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        response = super().form_valid(form)
        noted(self.request, AuditAction.PASSWORD, self.request.user)
        return response


@login_not_required
@require_safe
def to_log_in(request: HttpRequest) -> HttpResponseBase:
    """Lead to the log-in; who is logged in, and no administrator, would come back."""
    if request.user.is_authenticated and not access.is_site_admin(request.user):
        raise access.Denied("the admin pages")
    return redirect_to_login(request.GET.get("next", "/admin/"))


@login_not_required
@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon, the admin's."""
    return redirect(static("img/favicon.svg"))
