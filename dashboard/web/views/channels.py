"""Channels, for site administrators: whoever holds one learns of everything."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.alerts.delivery import send_test_message
from dashboard.alerts.models import Channel
from dashboard.pipeline.posting import post
from dashboard.teams.models import AuditAction
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.mail_forms import ChannelForm
from dashboard.web.pages import channels as page


@require_http_methods(["GET", "HEAD", "POST"])
@access.site_admin_only
def channels(request: HttpRequest) -> HttpResponse:
    form = ChannelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        channel = form.save()
        noted(request, AuditAction.RECIPIENT, channel, detail="channel added")
        messages.success(request, f"{channel} is told from now on. Send it a test.")
        return redirect("channels")
    shown = {"rows": page.rows(timezone.now()), "form": form}
    return render(request, "web/channels.html", shown)


@require_POST
@access.site_admin_only
def test_channel(request: HttpRequest, pk: int) -> HttpResponse:
    channel = get_object_or_404(Channel, pk=pk)
    noted(request, AuditAction.RECIPIENT, channel, detail="test sent to the channel")
    if refusal := send_test_message(channel, timezone.now(), post):
        messages.error(request, refusal)
    else:
        messages.success(request, f"{channel} took the test.")
    return redirect("channels")


@require_POST
@access.site_admin_only
def switch_channel(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a channel off, or on again; what waits for it is given up while it is off.

    The form names the state that it wants, so that a second click changes nothing.
    """
    channel = get_object_or_404(Channel, pk=pk)
    word = "on" if request.POST.get("to") == "on" else "off"
    Channel.objects.filter(pk=pk).update(enabled=word == "on")
    noted(request, AuditAction.RECIPIENT, channel, detail=f"channel switched {word}")
    return redirect("channels")


@require_POST
@access.site_admin_only
def delete_channel(request: HttpRequest, pk: int) -> HttpResponse:
    channel = get_object_or_404(Channel, pk=pk)
    channel.delete()
    noted(request, AuditAction.RECIPIENT, channel, detail="channel deleted")
    messages.success(request, f"{channel} is deleted, with its address and its secret.")
    return redirect("channels")
