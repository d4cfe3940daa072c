"""Who comes to a team, and who leaves it and so is mailed no more of it."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.http import HttpRequest

from dashboard.alerts.models import Recipient
from dashboard.teams.models import AuditAction, AuditEntry, Team
from dashboard.web.audited import noted

# A manager who names people learns who has an account here; this many an hour are
# enough for a team that moves in, and too few to go through a list of names.
MOST_NAMED = 20
_COUNTED_FOR = timedelta(hours=1)


def stop_mails(
    request: HttpRequest, gone: User, team: Team, leaving: Collection[User] = ()
) -> None:
    """Remove the recipient of a team that has the address of somebody who has left.

    An address that another active member has, too, stays; those who are `leaving` with
    him do not count.
    """
    if not gone.email:
        return
    others = User.objects.filter(
        memberships__team=team, email__iexact=gone.email, is_active=True
    )
    if others.exclude(pk__in={gone.pk, *(user.pk for user in leaving)}).exists():
        return
    for told in Recipient.objects.filter(team=team, email__iexact=gone.email):
        noted(request, AuditAction.RECIPIENT, told.email, detail="removed", team=team)
        told.delete()


def stop_all_mails(request: HttpRequest, users: Iterable[User]) -> None:
    """Do so for all teams of users who are deleted or switched off next."""
    leaving = list(users)
    for user in leaving:
        for held in user.memberships.select_related("team"):
            stop_mails(request, user, held.team, leaving)


def may_name_more(actor: str, now: datetime) -> bool:
    """Say whether somebody may name more people; counted by the lines of the audit log."""
    lately = AuditEntry.objects.filter(
        at__gt=now - _COUNTED_FOR, action=AuditAction.MEMBER, actor=actor
    )
    return lately.count() < MOST_NAMED
