"""A team's settings, for its managers: key, probes, members, recipients, limits."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.alerts.models import Recipient, Rule, RuleKind
from dashboard.alerts.rulebook import enabled_rules, own_name, own_rules
from dashboard.alerts.targets import of_team
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Probe
from dashboard.probes.services import change, pause, request_run, resume
from dashboard.teams.keys import clear_key
from dashboard.teams.models import AuditAction, Gateway, Membership, Role, Team
from dashboard.web import access, words
from dashboard.web.audited import noted
from dashboard.web.changes import changes
from dashboard.web.limits import limits
from dashboard.web.live import template_of
from dashboard.web.members import may_name_more, note_gone, now_a
from dashboard.web.new_keys import give_key
from dashboard.web.pages import team_settings as page
from dashboard.web.pages.costs import team_cap_means
from dashboard.web.team_forms import (
    NOBODY,
    OWN_RULES,
    DetailsForm,
    KeyForm,
    MemberForm,
    ProbeForm,
    RecipientForm,
    RuleForm,
)


@dataclass(slots=True)
class Forms:
    """The forms of the page; the one that was sent is bound, and tells its errors."""

    details: DetailsForm
    key: KeyForm
    member: MemberForm
    recipient: RecipientForm
    probes: list[ProbeForm] = field(default_factory=list)


def _forms(request: HttpRequest, team: Team, part: str = "") -> Forms:
    def sent(name: str) -> QueryDict | None:
        return request.POST if part == name else None

    probes = Probe.objects.filter(team=team).select_related("gateway", "team")
    return Forms(
        # Its own row: a form that fails leaves its values in it.
        details=DetailsForm(sent("details"), instance=Team.objects.get(pk=team.pk)),
        key=KeyForm(
            team, sent("key"), any_reference=access.is_site_admin(request.user)
        ),
        member=MemberForm(
            team,
            sent("member"),
            may_ask=_may_name(request) if part == "member" else True,
        ),
        recipient=RecipientForm(team, sent("recipient")),
        probes=[ProbeForm(probe, sent("probes")) for probe in probes.order_by("pk")],
    )


@sensitive_post_parameters("key")
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, pk: int) -> HttpResponse:
    """Show all settings; take one part of them back, named by the form's `part`."""
    team = access.team_or_404(request.user, pk)
    access.manage_or_404(request.user, team)
    if request.method == "POST":
        part = request.POST.get("part", "")
        with transaction.atomic():
            team = _take(request, team)
            # Only now: what was read before may be another's key or consent by now.
            shown = _forms(request, team, part)
            if _PARTS.get(part, _no_part)(request, team, shown):
                return redirect("team_settings", pk)
    else:
        shown = _forms(request, team)
    context = {
        "page": page.team_settings(
            team,
            shown.probes,
            timezone.now(),
            for_admin=access.is_site_admin(request.user),
        ),
        "forms": shown,
    }
    return render(request, template_of(request, "team_settings"), context)


def _take(request: HttpRequest, team: Team) -> Team:
    """Let one at a time change a team: two managers cannot remove each other.

    Its probes come first, as for the recorder, else the two would wait in a circle; its
    gateway comes last, whose address decides where a key is sent. Who was removed while
    he waited is a stranger.
    """
    # Whoever adds a row of the team meanwhile, in the admin, need not wait: if it is the
    # same as one of ours, we wait for him. Nor need the recorder for an alarm.
    probes = Probe.objects.select_for_update(no_key=True)
    list(probes.filter(team=team).order_by("pk"))
    teams = Team.objects.select_for_update(no_key=True)
    taken = get_object_or_404(teams, pk=team.pk)
    taken.gateway = Gateway.objects.select_for_update(no_key=True).get(
        pk=taken.gateway_id
    )
    access.manage_or_404(request.user, taken)
    return taken


def _no_part(request: HttpRequest, team: Team, shown: Forms) -> bool:
    return False


def _details(request: HttpRequest, team: Team, shown: Forms) -> bool:
    if not shown.details.is_valid():
        return False
    shown.details.save()
    changed = changes(shown.details)
    noted(request, AuditAction.TEAM, team, detail=changed, team=team)
    messages.success(request, "Saved.")
    probes = [form.probe for form in shown.probes]
    if means := team_cap_means(shown.details.instance, probes, timezone.now()):
        messages.warning(request, means)
    return True


def _key(request: HttpRequest, team: Team, shown: Forms) -> bool:
    if not shown.key.is_valid():
        return False
    if shown.key.is_for_elsewhere:
        messages.error(
            request,
            "The gateway has another address since you opened this page, so the key was "
            "not kept. Type it again if it is for the new one.",
        )
        return True
    tried = give_key(request, team, shown.key.cleaned_data["key"], timezone.now())
    when = "the balance is read with it now" if tried else "the next probes send it"
    said = f"The key is set, and not tried yet: {when}."
    messages.add_message(request, messages.INFO, said)
    return True


def _forget_key(request: HttpRequest, team: Team, shown: Forms) -> bool:
    clear_key(team)
    noted(request, AuditAction.KEY_FORGOTTEN, team, team=team)
    messages.success(request, "The key is forgotten: balance and job probes wait.")
    return True


def _probes(request: HttpRequest, team: Team, shown: Forms) -> bool:
    if not all([form.is_valid() for form in shown.probes]):  # noqa: C419 (all tell their errors)
        return False
    for form in shown.probes:
        told = form.cleaned_data
        changed = change(
            form.probe,
            period_s=told["period_s"],
            enabled=told["enabled"],
            now=timezone.now(),
        )
        if changed:
            detail = ", ".join(changed)
            noted(request, AuditAction.PROBE, form.probe, detail=detail, team=team)
    messages.success(request, "The probes are as you set them.")
    return True


def _may_name(request: HttpRequest) -> bool:
    if access.is_site_admin(request.user):
        return True
    return may_name_more(request.user.get_username(), timezone.now())


def _check(request: HttpRequest, team: Team, shown: Forms) -> bool:
    free = Probe.objects.filter(team=team, kind__in=CHEAP)
    asked = request_run(free, timezone.now())
    noted(request, AuditAction.PROBE, team, detail="checks asked for", team=team)
    messages.success(request, f"{words.count(asked, 'probe')} due now.")
    return True


def _pause(request: HttpRequest, team: Team, shown: Forms) -> bool:
    pause(team, timezone.now())
    noted(request, AuditAction.TEAM, team, detail="paused", team=team)
    messages.success(request, "Nobody asks for this team until you resume it.")
    return True


def _resume(request: HttpRequest, team: Team, shown: Forms) -> bool:
    waiting = resume(team, timezone.now())
    noted(request, AuditAction.TEAM, team, detail="resumed", team=team)
    messages.success(request, page.resumed(waiting))
    return True


def _member(request: HttpRequest, team: Team, shown: Forms) -> bool:
    if not shown.member.is_valid():
        # Not what was typed where nobody was found: it may be a password.
        unknown = shown.member.has_error("user", NOBODY)
        nobody = "an unknown name" if unknown else ""
        # With a role that there is not the answer tells who is here, too.
        if named := shown.member.cleaned_data.get("user") or nobody:
            noted(request, AuditAction.MEMBER, named, detail="not added", team=team)
        return False
    user, role = shown.member.cleaned_data["user"], shown.member.cleaned_data["role"]
    held = Membership.objects.filter(team=team, user=user).first()
    if held and role != Role.MANAGER and not _may_go(request, held):
        shown.member.add_error("role", "A team keeps one manager at least.")
        return False
    Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
    detail = now_a(role, held.role if held else "")
    noted(request, AuditAction.MEMBER, user, detail=detail, team=team)
    messages.success(request, f"{user} is {Role(role).label.lower()} of {team} now.")
    return True


def _may_go(request: HttpRequest, held: Membership) -> bool:
    """Say whether the team keeps a manager without this one."""
    if held.role != Role.MANAGER or access.is_site_admin(request.user):
        return True
    others = Membership.objects.filter(team=held.team_id, role=Role.MANAGER)
    return others.exclude(pk=held.pk).exists()


def _drop_member(request: HttpRequest, team: Team, shown: Forms) -> bool:
    held = Membership.objects.filter(
        team=team, pk=access.row_number(request.POST.get("pk", ""))
    ).first()
    if held is None:
        raise Http404
    if not _may_go(request, held):
        messages.error(request, "A team keeps one manager at least.")
        return True
    held.delete()
    note_gone(request, held.user, team)
    messages.success(
        request, f"{held.user} does not see {team}, nor is mailed of it, any more."
    )
    return True


def _recipient(request: HttpRequest, team: Team, shown: Forms) -> bool:
    if not shown.recipient.is_valid():
        return False
    email = shown.recipient.cleaned_data["email"]
    Recipient.objects.get_or_create(email=email, gateway=team.gateway, team=team)
    noted(request, AuditAction.RECIPIENT, email, detail="added", team=team)
    messages.success(request, f"{email} is mailed of this team's alarms.")
    return True


def _drop_recipient(request: HttpRequest, team: Team, shown: Forms) -> bool:
    told = Recipient.objects.filter(
        team=team, pk=access.row_number(request.POST.get("pk", ""))
    ).first()
    if told is None:
        raise Http404
    noted(request, AuditAction.RECIPIENT, told.email, detail="removed", team=team)
    told.delete()
    messages.success(request, f"{told.email} is not mailed of this team any more.")
    return True


_PARTS: dict[str, Callable[[HttpRequest, Team, Forms], bool]] = {
    "details": _details,
    "key": _key,
    "forget_key": _forget_key,
    "probes": _probes,
    "check": _check,
    "pause": _pause,
    "resume": _resume,
    "member": _member,
    "drop_member": _drop_member,
    "recipient": _recipient,
    "drop_recipient": _drop_recipient,
}


@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Give the team limits of its own for one kind of alarm, or the general ones again."""
    team = access.team_or_404(request.user, pk)
    access.manage_or_404(request.user, team)
    if kind not in OWN_RULES:
        raise Http404
    if request.method != "POST":
        return _rule(request, team, RuleKind(kind))
    with transaction.atomic():
        _take(request, team)
        return _rule(request, team, RuleKind(kind))


def _rule(request: HttpRequest, team: Team, kind: RuleKind) -> HttpResponse:
    rules = own_rules(team, kind)
    own = rules[0] if rules else None
    form = RuleForm(own or _begun(team, kind), request.POST or None)
    if "general" in request.POST:
        for each in rules:
            detail = f"removed: {limits(each)}"
            noted(request, AuditAction.RULE, each, detail=detail, team=team)
            each.delete()
        messages.success(request, "The general limits hold for the team again.")
        return redirect("team_settings", team.pk)
    if request.method == "POST" and form.is_valid():
        changed = changes(form) or f"as before: {limits(form.instance)}"
        # One that was switched off in the admin would not hold.
        form.instance.enabled = True
        noted(request, AuditAction.RULE, form.save(), detail=changed, team=team)
        messages.success(request, "The team's own limits hold from the next look on.")
        return redirect("team_settings", team.pk)
    context = {"team": team, "form": form, "kind": kind.label, "own": own}
    return render(request, "web/team_rule.html", context)


def _begun(team: Team, kind: RuleKind) -> Rule:
    """Return a rule of the team that is not stored, with the limits that hold now."""
    general = enabled_rules().rule_for(of_team(kind, team, team.gateway))
    begun = Rule(kind=kind, name=own_name(kind, team), gateway=team.gateway)
    begun.team = team
    for name in OWN_RULES[kind] if general else ():
        setattr(begun, name, getattr(general, name))
    return begun
