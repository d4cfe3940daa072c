"""Whose is what: pages, mails and exports all ask here.

Site administrators (superusers and staff) reach everything, others the teams they are
members of, and those teams' gateways.
"""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Q, QuerySet

from dashboard.teams.models import Team

Visitor = AbstractBaseUser | AnonymousUser


def is_site_admin(user: Visitor) -> bool:
    return isinstance(user, User) and (user.is_superuser or user.is_staff)


def own_team_ids(user: Visitor) -> QuerySet[Team, int]:
    return Team.objects.filter(memberships__user=user.pk or 0).values_list(
        "pk", flat=True
    )


def teams(user: Visitor) -> QuerySet[Team]:
    everything = Team.objects.select_related("gateway")
    if is_site_admin(user):
        return everything
    return everything.filter(pk__in=own_team_ids(user))


def is_own(user: Visitor) -> Q:
    """Return which rows with a team and a gateway somebody reaches: all, or his own.

    Without a team a row is its gateway's: of all whose team is there.
    """
    if is_site_admin(user):
        return Q()
    own = own_team_ids(user)
    gateways = Team.objects.filter(pk__in=own).values("gateway")
    return Q(team__in=own) | Q(team__isnull=True, gateway__in=gateways)
