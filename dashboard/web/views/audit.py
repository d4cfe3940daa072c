"""The audit log, for site administrators."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.web import access
from dashboard.web.forms import AuditForm
from dashboard.web.pages import audit as page


@require_safe
@access.site_admin_only
def audit(request: HttpRequest) -> HttpResponse:
    wanted = page.Wanted.of(request.GET.dict())
    kept = {"action": wanted.action, "q": wanted.text, "days": wanted.days}
    context = {
        "page": page.audit(wanted, timezone.now()),
        "form": AuditForm(initial=kept),
        "query": urlencode(kept),
    }
    return render(request, "web/audit.html", context)
