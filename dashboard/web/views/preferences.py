"""What regular mails somebody gets, and the link in each of them that ends it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from dashboard.alerts import regular
from dashboard.alerts.models import Subscription
from dashboard.teams.models import AuditAction
from dashboard.web.audited import noted
from dashboard.web.mail_forms import PreferencesForm


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    wanted = Subscription.objects.filter(user=request.user).first()
    wanted = wanted or Subscription(user=request.user)
    form = PreferencesForm(request.POST or None, instance=wanted)
    if request.method == "POST" and form.is_valid():
        # Sent twice at once, it is still one row.
        Subscription.objects.update_or_create(
            user=request.user, defaults=form.cleaned_data
        )
        if form.changed_data:
            detail = f"own mails: {', '.join(form.changed_data)}"
            noted(request, AuditAction.RECIPIENT, request.user, detail=detail)
        messages.success(request, "Kept.")
        return redirect("preferences")
    return render(request, "web/preferences.html", {"form": form})


# The signed token is the proof, and a mail program that ends a mail by one POST
# (RFC 8058) has neither a session nor a form of ours.
@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether one kind of mail shall end; only a POST ends it, not a look at it."""
    found = regular.subscription_of(token)
    if found is None:
        raise Http404
    subscription, change = found
    if request.method == "POST" and regular.unsubscribe(subscription, change):
        detail = f"{change.label} ended by its link"
        noted(request, AuditAction.RECIPIENT, subscription.user, detail=detail)
    shown = {"mail": change.label, "is_over": request.method == "POST"}
    return render(request, "web/unsubscribe.html", shown)
