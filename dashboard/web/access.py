"""Who may see and do what: the only place that decides it for pages.

What is somebody's own dashboard.teams.reach knows, since mails ask it, too. To anybody
else a page does not exist: 404, never 403, so that nothing can be learnt by guessing
ids.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from dashboard.alerts.models import Incident, Silence
from dashboard.probes.models import Breaker, Outcome, Probe
from dashboard.probes.queries import breakers_of
from dashboard.teams.models import Membership, Role, Team
from dashboard.teams.reach import Visitor, is_own, is_site_admin, own_team_ids, teams

__all__ = ["Visitor", "is_site_admin", "teams"]  # pages ask here for these as well

P = ParamSpec("P")
M = TypeVar("M", bound=Model)
_OPERATORS = {Role.OPERATOR, Role.MANAGER}
# Of a number that every database takes.
_MOST_DIGITS = 18


class Denied(Http404):
    """Somebody asked for what is there, but not for him: the audit log hears of it.

    The answer is the same as for what does not exist.
    """


def has_teams(user: Visitor) -> bool:
    """Say whether anything could be there for the user to see."""
    return is_site_admin(user) or own_team_ids(user).exists()


def probes(user: Visitor) -> QuerySet[Probe]:
    return Probe.objects.select_related("gateway", "team").filter(is_own(user))


def incidents(user: Visitor) -> QuerySet[Incident]:
    everything = Incident.objects.select_related(
        "gateway", "team", "probe__gateway", "probe__team", "inhibited_by", "silence"
    )
    return everything.filter(is_own(user))


def silences(user: Visitor) -> QuerySet[Silence]:
    """Return those of one's teams, and those that hold for all teams of a gateway."""
    everything = Silence.objects.select_related(
        "gateway", "team", "probe__gateway", "probe__team", "author"
    )
    if is_site_admin(user):
        return everything
    own = own_team_ids(user)
    gateways = Team.objects.filter(pk__in=own).values("gateway")
    wide = Q(team=None, probe=None) & (Q(gateway=None) | Q(gateway__in=gateways))
    return everything.filter(Q(team__in=own) | wide)


def operable_teams(user: Visitor) -> QuerySet[Team]:
    """Return the teams whose alarms the user may silence and acknowledge."""
    if is_site_admin(user):
        return teams(user)
    operated = Membership.objects.filter(user_id=user.pk or 0, role__in=_OPERATORS)
    return teams(user).filter(pk__in=operated.values("team"))


def team_or_404(user: Visitor, pk: int, *with_its: str) -> Team:
    """Return the team, and with it these other rows of it in the same query."""
    return _visible(teams(user).select_related("gateway", *with_its), pk)


def probe_or_404(user: Visitor, pk: int) -> Probe:
    return _visible(probes(user), pk)


def outcome_or_404(user: Visitor, pk: int) -> Outcome:
    seen = Outcome.objects.select_related("probe__gateway", "probe__team")
    return _visible(seen.filter(probe__in=probes(user)), pk)


def incident_or_404(user: Visitor, pk: int) -> Incident:
    return _visible(incidents(user).select_related("acknowledged_by"), pk)


def silence_or_404(user: Visitor, pk: int) -> Silence:
    return _visible(silences(user), pk)


def breaker_or_404(user: Visitor, pk: int) -> tuple[Breaker, Team | None]:
    """Return a breaker of what the user may see, and its team; None: the gateway's."""
    breaker = get_object_or_404(Breaker, pk=pk)
    near = list(probes(user).filter(gateway=breaker.gateway_id))
    for seen in breakers_of(near, timezone.now()):
        if seen.pk == pk:
            return breaker, seen.probe.team if seen.probe else None
    raise Denied(f"breaker {pk}")


def _visible(seen: QuerySet[M], pk: int) -> M:
    found = seen.filter(pk=pk).first()
    if found is not None:
        return found
    if seen.model._default_manager.filter(pk=pk).exists():  # noqa: SLF001 (Django's documented Model._default_manager)
        raise Denied(f"{seen.model._meta.verbose_name} {pk}")  # noqa: SLF001 (Django's documented Model._meta)
    raise Http404


def row_number(text: str) -> int:
    """Return the number by which an address or a form names a row; no row has 0."""
    is_one = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if is_one else 0


def may_operate(user: Visitor, team: Team | None) -> bool:
    """Say whether the user may probe now and acknowledge incidents of the team.

    What belongs to a whole gateway (no team) is the site administrators'.
    """
    return is_site_admin(user) or _role(user, team) in _OPERATORS


def may_manage(user: Visitor, team: Team | None) -> bool:
    """Say whether the user may spend the team's credits and set its key."""
    return is_site_admin(user) or _role(user, team) == Role.MANAGER


def operate_or_404(user: Visitor, team: Team | None) -> None:
    if not may_operate(user, team):
        raise Denied(f"operating {_numbered(team)}")


def manage_or_404(user: Visitor, team: Team | None) -> None:
    if not may_manage(user, team):
        raise Denied(f"managing {_numbered(team)}")


def _numbered(team: Team | None) -> str:
    """Return which team it is: a manager may call his like another one."""
    return f"team {team} ({team.pk})" if team else "a gateway"


def site_admin_only(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Hide the view from everybody but site administrators."""

    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        if not is_site_admin(request.user):
            raise Denied("a page for site administrators")
        return view(request, *args, **kwargs)

    return guarded


def _role(user: Visitor, team: Team | None) -> str:
    if team is None or user.pk is None:
        return ""
    held = Membership.objects.filter(user_id=user.pk, team=team)
    return held.values_list("role", flat=True).first() or ""
