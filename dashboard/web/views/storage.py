"""What is stored and what that takes, for site administrators."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import access
from dashboard.web.forms import RetentionForm
from dashboard.web.pages import storage as page


@require_safe
@access.site_admin_only
def storage(request: HttpRequest) -> HttpResponse:
    """Show the levels, and what other settings would take; it changes none of them."""
    form = RetentionForm(request.GET or None, initial=settings.RETENTION_DAYS)
    days = form.cleaned_data if form.is_bound and form.is_valid() else {}
    shown = page.storage(days, timezone.now())
    return render(
        request, "web/storage.html", {"page": shown, "form": form, "asked": bool(days)}
    )
