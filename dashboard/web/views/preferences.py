"""What regular mails somebody gets, and the link in each of them that ends it."""

from datetime import date, timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from dashboard.alerts import regular
from dashboard.alerts.models import Subscription
from dashboard.teams.models import AuditAction
from dashboard.web import access
from dashboard.web.audited import noted
from dashboard.web.mail_forms import PreferencesForm


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    wanted = Subscription.objects.filter(user=request.user).first()
    wanted = wanted or Subscription(user=request.user)
    form = PreferencesForm(request.POST or None, instance=wanted)
    if request.method == "POST" and form.is_valid():
        begun = [kind for kind in ("daily", "weekly") if _is_new(form, kind)]
        day = regular.first_day(form.instance, timezone.now())
        # Sent twice at once, it is still one row.
        Subscription.objects.update_or_create(
            user=request.user,
            defaults={**form.cleaned_data, **{f"{kind}_from": day for kind in begun}},
        )
        if form.changed_data:
            detail = f"own mails: {', '.join(form.changed_data)}"
            noted(request, AuditAction.RECIPIENT, request.user, detail=detail)
        messages.success(request, _said(request.user, form.instance, begun, day))
        return redirect("preferences")
    return render(request, "web/preferences.html", {"form": form})


def _is_new(form: PreferencesForm, kind: str) -> bool:
    return kind in form.changed_data and bool(form.cleaned_data[kind])


def _said(user: User, wanted: Subscription, begun: list[str], day: date) -> str:
    """Say that it is saved, and when the first mail comes of what was not asked before."""
    if not user.email or not begun:
        return "Saved."
    if not access.has_teams(user):
        return "Saved. None comes before a team is shared with you."
    if begun == ["weekly"]:
        day += timedelta(days=-day.weekday() % 7)
    when = f"{day:%A}, {day.day} {day:%B}, from {wanted.hour:02}:00 on"
    return f"Saved. The first comes on {when} ({wanted.time_zone})."


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
