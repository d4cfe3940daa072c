"""The first-run guide: a gateway is tried, its teams are chosen, and off it goes."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.alerts.delivery import send_test_mail
from dashboard.alerts.recipients import first_administrator
from dashboard.pipeline.roster import Roster, ask_roster
from dashboard.pipeline.trial import Sought, Trial, seek_teams, try_gateway
from dashboard.teams.keys import seal_key
from dashboard.teams.models import AuditAction, Gateway, Team
from dashboard.web import access, words
from dashboard.web.audited import noted
from dashboard.web.gateway_forms import StartForm, WatchForm, carry
from dashboard.web.pages import start as page
from dashboard.web.watching import Wanted, start_watching

# Somebody waits for the answer, and a mail server may take seconds for each.
_MOST_TRIED = 5


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@access.site_admin_only
def start(request: HttpRequest) -> HttpResponse:
    """Ask for a gateway, and show what it really answers before anything is saved."""
    form = StartForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        told = form.cleaned_data
        sealed = seal_key(told["key"], told["base_url"]) if told["key"] else ""
        gateway, team = _unsaved({**told, "key_sealed": sealed})
        carried = {name: told[name] for name in ("name", "base_url", "team_id")}
        wanted = WatchForm(
            initial={
                **carried,
                "allow_private": told["allow_private"],
                "key_sealed": carry(sealed, told["base_url"]),
                "recipients": ", ".join(first_administrator()),
            }
        )
        shown = page.tried(try_gateway(gateway, team))
        return render(request, "web/tried.html", {"page": shown, "form": wanted})
    return render(request, "web/start.html", {"form": form})


@sensitive_post_parameters()
@require_POST
@access.site_admin_only
def watch(request: HttpRequest) -> HttpResponse:
    """Save the gateway and the teams that were chosen, and begin to probe them."""
    form = WatchForm(request.POST)
    chosen = list(dict.fromkeys(request.POST.getlist("teams")))
    field: Any = form.fields["teams"]
    field.choices = [(team_id, team_id) for team_id in chosen]
    form.full_clean()
    on_this_page = {"teams", "others", "recipients"}
    if "again" in request.POST or not on_this_page >= set(form.errors):
        return _begin_again(request, form)
    gateway, team = _unsaved(form.cleaned_data)
    roster = ask_roster(gateway)
    unchecked = _refuse_unknown(form, gateway, roster)
    if form.errors:
        shown = page.tried(Trial([], roster), chosen)
        return render(request, "web/tried.html", {"page": shown, "form": form})
    wanted = Wanted(
        gateway=gateway,
        roster=roster,
        chosen=dict.fromkeys([*chosen, *form.cleaned_data["others"]]),
        keyed=team,
        recipients=form.cleaned_data["recipients"],
    )
    with transaction.atomic():
        teams = start_watching(wanted, timezone.now())
        told = words.count(len(teams), "team")
        noted(request, AuditAction.GATEWAY, gateway, detail=f"watched, with {told}")
        for each in teams:
            noted(request, AuditAction.TEAM, each, detail="watched", team=each)
            if each.has_key:
                noted(request, AuditAction.KEY_SET, each, team=each)
        for address in wanted.recipients:
            noted(request, AuditAction.RECIPIENT, address, detail="added")
    messages.success(request, f"{gateway} is watched from now on, with {told}.")
    if unchecked:
        messages.warning(request, page.unchecked_words(unchecked))
    if form.cleaned_data["test_mail"]:
        _try_mail(request, form.cleaned_data["recipients"][:_MOST_TRIED])
    return redirect("overview")


def _try_mail(request: HttpRequest, recipients: Sequence[str]) -> None:
    """Say whether alarms would reach these; a server that refuses one is asked no more."""
    for to in recipients:
        noted(request, AuditAction.OTHER, to, detail="test mail")
        if refusal := send_test_mail(to, timezone.now()):
            messages.error(request, f"No test mail to {to}: {refusal}")
            return
    if recipients:
        told = ", ".join(recipients)
        messages.success(request, f"The mail server took a test mail for {told}.")


def _begin_again(request: HttpRequest, form: WatchForm) -> HttpResponse:
    """Show the first page with what it was told, all but the key; and why, if unasked."""
    for texts in [] if "again" in request.POST else form.errors.values():
        messages.error(request, f"{texts[0]} Nothing was saved: try the gateway again.")
    if form.data.get("key_sealed") and "again" in request.POST:
        messages.warning(request, "Type the key again: no page shows it.")
    told = {name: form.data.get(name) for name in ("name", "base_url", "team_id")}
    again = StartForm(
        initial={**told, "allow_private": form.data.get("allow_private") == "True"}
    )
    return render(request, "web/start.html", {"form": again})


def _refuse_unknown(form: WatchForm, gateway: Gateway, roster: Roster) -> Sequence[str]:
    """Refuse typed teams that the gateway does not know; return those it told nothing of.

    One that does not exist would be a failing probe from its first minute on.
    """
    listed = {each.team_id for each in roster.teams}
    typed = [each for each in form.cleaned_data.get("others", []) if each not in listed]
    sought = seek_teams(gateway, typed) if typed and not form.errors else Sought()
    if sought.unknown:
        form.add_error("others", page.unknown_words(sought.unknown))
    return sought.unchecked


def _unsaved(told: dict[str, Any]) -> tuple[Gateway, Team | None]:
    """Return what a form tells, as rows that are not stored."""
    gateway = Gateway(
        name=told["name"],
        base_url=told["base_url"],
        allow_private=told["allow_private"],
    )
    if not told["team_id"]:
        return gateway, None
    team = Team(team_id=told["team_id"], key_sealed=told["key_sealed"])
    return gateway, team
