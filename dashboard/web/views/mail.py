"""The outbox, for site administrators: it names every recipient."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.alerts.delivery import send_test_mail
from dashboard.alerts.models import Notification
from dashboard.alerts.outbox import retry_dead
from dashboard.alerts.regular import queue_self_test, self_test_recipients
from dashboard.teams.models import AuditAction
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.forms import TestMailForm
from dashboard.web.live import template_of
from dashboard.web.pages import mail as page


@require_safe
@access.site_admin_only
def mail(request: HttpRequest) -> HttpResponse:
    shown = page.mail(
        request.GET.get("state", ""),
        timezone.now(),
        is_configured=settings.EMAIL_CONFIGURED,
        is_demo=settings.DEMO,
    )
    form = TestMailForm(initial={"to": getattr(request.user, "email", "")})
    return render(request, template_of(request, "mail"), {"page": shown, "form": form})


@require_POST
@access.site_admin_only
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    dead = get_object_or_404(Notification, pk=pk)
    if retry_dead(dead, timezone.now()):
        noted(request, AuditAction.OTHER, dead.recipient, detail="mail queued again")
        messages.success(request, "It waits to be sent again.")
    return redirect("mail")


@require_POST
@access.site_admin_only
def self_test(request: HttpRequest) -> HttpResponse:
    """Put a made-up alarm through rule, outbox and mail; the page shows its arrival."""
    if queue_self_test(timezone.now()):
        noted(request, AuditAction.OTHER, "self-test", detail="begun")
        messages.success(request, "On its way: this page shows when it has arrived.")
    elif not self_test_recipients():
        messages.error(request, "No administrator has a mail address to send it to.")
    else:
        messages.error(request, "The error-rate rule said nothing of a made-up outage.")
    return redirect("mail")


@require_POST
@access.site_admin_only
def test_mail(request: HttpRequest) -> HttpResponse:
    form = TestMailForm(request.POST)
    if not form.is_valid():
        messages.error(request, "That is not a mail address.")
        return redirect("mail")
    to = form.cleaned_data["to"]
    noted(request, AuditAction.OTHER, to, detail="test mail")
    if refusal := send_test_mail(to, timezone.now()):
        messages.error(request, refusal)
    elif settings.DEMO:
        messages.success(request, f"The demo sends nothing: {to} would have got it.")
    else:
        messages.success(request, f"The mail server took it for {to}.")
    return redirect("mail")
