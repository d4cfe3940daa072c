"""The first administrator, by the one-time link."""

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.teams.models import AuditAction
from dashboard.web.audited import noted
from dashboard.web.forms import FirstAdminForm
from dashboard.web.setup import is_valid

_BACKEND = "django.contrib.auth.backends.ModelBackend"


@login_not_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator, log him in and lead him to the first-run guide."""
    if not is_valid(token, timezone.now()):
        raise Http404
    form = FirstAdminForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if (admin := _make(form)) is None:
            raise Http404
        login(request, admin, backend=_BACKEND)
        noted(request, AuditAction.USER, admin, detail="made, by the set-up link")
        return redirect("start")
    return render(request, "web/setup.html", {"form": form})


@transaction.atomic
def _make(form: FirstAdminForm) -> User | None:
    """Make the first administrator; None when somebody else was quicker."""
    # There is no user to lock yet: of many who send the form at once, the one who gets
    # the row that stands for the users' table is the first.
    ContentType.objects.select_for_update().get(app_label="auth", model="user")
    if User.objects.exists():
        return None
    user: User = form.save(commit=False)
    user.is_superuser = user.is_staff = True
    user.save()
    return user
