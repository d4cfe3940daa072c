"""Who comes to a team, and who leaves it and so is mailed no more of it."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest

from dashboard.alerts.models import Recipient
from dashboard.teams.models import AuditAction, AuditEntry, Membership, Team
from dashboard.web.audited import noted

# A manager who names people learns who has an account here; this many an hour are
# enough for a team that moves in, and too few to go through a list of names.
MOST_NAMED = 20
_COUNTED_FOR = timedelta(hours=1)


def note_members(request: HttpRequest, saved: Any) -> None:
    """Note each member of a saved formset, as a team's settings page does.

    Django tells them all in one line, with the team's name each time: a long one leaves no
    room for the third.
    """
    held: list[Membership] = [
        *saved.new_objects,
        *(m for m, _ in saved.changed_objects),
    ]
    before = {
        form.instance.pk: form.initial.get("role", "") for form in saved.initial_forms
    }
    for each in held:
        detail = now_a(each.role, before.get(each.pk, ""))
        noted(request, AuditAction.MEMBER, each.user, detail=detail, team=each.team)


def now_a(role: str, before: str) -> str:
    """Return "now operator, viewer before"; `before` is "" of who was no member."""
    return f"now {role}, {before} before" if before not in {"", role} else f"now {role}"


def note_gone(request: HttpRequest, gone: User, team: Team) -> None:
    """Note that somebody is no member now, and mail him no more of the team."""
    noted(request, AuditAction.MEMBER, gone, detail="not a member now", team=team)
    stop_mails(request, gone, team)


def stop_mails(
    request: HttpRequest, gone: User, team: Team, leaving: Collection[User] = ()
) -> None:
    """Remove the recipient of a team that has the address of somebody who has left.

    An address that another active member has, too, stays; those who are `leaving` with
    him do not count.
    """
    for told in _only_his(gone.email, team, {gone.pk, *(user.pk for user in leaving)}):
        noted(request, AuditAction.RECIPIENT, told.email, detail="removed", team=team)
        told.delete()


def _only_his(email: str, team: Team, his: Collection[int]) -> list[Recipient]:
    """Return the team's recipients of an address that no active member has but `his`."""
    members = User.objects.filter(memberships__team=team, is_active=True)
    others = members.filter(email__iexact=email).exclude(pk__in=his)
    if not email or others.exists():
        return []
    return list(Recipient.objects.filter(team=team, email__iexact=email))


def move_mails(request: HttpRequest, user: User, before: str) -> None:
    """Mail somebody of his teams at his new address where the old one was told of them.

    Else the old one would go on being mailed when he has left.
    """
    action = AuditAction.RECIPIENT
    for held in user.memberships.select_related("team"):
        for told in _only_his(before, held.team, {user.pk}):
            noted(request, action, told.email, detail="removed", team=held.team)
            told.delete()
            if user.email:
                Recipient.objects.get_or_create(
                    email=user.email, gateway_id=told.gateway_id, team=held.team
                )
                noted(request, action, user.email, detail="added", team=held.team)


def stop_all_mails(request: HttpRequest, users: Iterable[User]) -> None:
    """Do so for all teams of users who are deleted or switched off next."""
    leaving = list(users)
    for user in leaving:
        for held in user.memberships.select_related("team"):
            stop_mails(request, user, held.team, leaving)
        if user.email and Recipient.objects.filter(email__iexact=user.email).exists():
            messages.warning(
                request,
                f"Alarms are still mailed to {user.email}: remove it from the recipients "
                "where it is nobody else's.",
            )


def may_name_more(actor: str, now: datetime) -> bool:
    """Say whether somebody may name more people; counted by the lines of the audit log."""
    lately = AuditEntry.objects.filter(
        at__gt=now - _COUNTED_FOR, action=AuditAction.MEMBER, actor=actor
    )
    return lately.count() < MOST_NAMED
