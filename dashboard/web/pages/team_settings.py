"""What the managers of a team see of its settings."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import Recipient, RuleKind
from dashboard.alerts.rulebook import enabled_rules
from dashboard.alerts.targets import of_team
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.queries import spent_by_team
from dashboard.probes.taxonomy import ErrorClass, meaning
from dashboard.teams.keys import hint
from dashboard.teams.models import Membership, Role, Team
from dashboard.web import words
from dashboard.web.limits import limits
from dashboard.web.pages.audit import Line, team_history
from dashboard.web.pages.costs import a_day, cost
from dashboard.web.pages.parts import Badge, Link, probe_link
from dashboard.web.states import Tone
from dashboard.web.team_forms import OWN_RULES, ProbeForm


@dataclass(frozen=True, slots=True)
class ProbeLine:
    link: Link
    form: ProbeForm
    cost: str


@dataclass(frozen=True, slots=True)
class MemberLine:
    pk: int
    name: str
    email: str
    role: str
    may_go: bool


@dataclass(frozen=True, slots=True)
class RuleLine:
    link: Link
    limits: str
    whose: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of the key: the latest read of the balance with it."""

    badge: Badge
    at: SafeString | None = None
    is_soon: bool = False


@dataclass(frozen=True, slots=True)
class TeamSettings:
    title: str
    team_url: str
    key: str
    key_at: SafeString | None
    tried: Tried | None
    spent: str
    is_running: bool
    pause_means: str
    probes: list[ProbeLine]
    members: list[MemberLine]
    recipients: list[Recipient]
    rules: list[RuleLine]
    history: list[Line]


def team_settings(
    team: Team, forms: list[ProbeForm], now: datetime, *, for_admin: bool
) -> TeamSettings:
    spent = spent_by_team([team.pk], now).get(team.pk, 0.0)
    return TeamSettings(
        title=str(team),
        team_url=reverse("team", args=[team.pk]),
        key=hint(team),
        key_at=words.time(team.key_set_at, now) if team.key_set_at else None,
        tried=_tried(team, [form.probe for form in forms], now),
        spent=_spent(spent, a_day(form.probe for form in forms)),
        is_running=any(form.probe.enabled for form in forms),
        pause_means=_pause_means([form.probe for form in forms]),
        probes=[
            ProbeLine(
                link=probe_link(form.probe),
                form=form,
                cost=cost(form.probe, now).sentence
                if KINDS[ProbeKind(form.probe.kind)].paid
                else "",
            )
            for form in forms
        ],
        members=_members(team, for_admin=for_admin),
        recipients=list(Recipient.objects.filter(team=team)),
        rules=[_rule(team, kind) for kind in OWN_RULES],
        history=team_history(team, now),
    )


def _spent(spent: float, a_day: float) -> str:
    """Say before a cap is set what would come of a low one."""
    said = f"{words.amount(spent, 'credit')} spent by its probes today (UTC)"
    if not a_day:
        return f"{said}."
    return (
        f"{said}. Those that are switched on cost {words.number(a_day)} a day: with a "
        "lower cap they stop before the day is over, and at once where it is spent."
    )


def _pause_means(probes: list[Probe]) -> str:
    """Say before a pause what does not come back by itself after it."""
    paid = sum(
        1 for each in probes if each.enabled and KINDS[ProbeKind(each.kind)].paid
    )
    said = (
        "Nobody asks for the team until it is resumed. Its open alarms end, and what "
        "still holds then is mailed anew. For work on it, announce a maintenance in Silences instead."
    )
    if not paid:
        return said
    waits = words.count(paid, "paid probe waits", "paid probes wait")
    return f"{said} After it {waits} until the cost is accepted once more."


def _tried(team: Team, probes: list[Probe], now: datetime) -> Tried | None:
    """Return what the gateway said to the present key; None where nobody asks it."""
    set_at = team.key_set_at
    found = [probe for probe in probes if probe.kind == ProbeKind.BALANCE]
    if set_at is None or not found:
        return None
    [probe] = found
    if probe.last_at is None or probe.last_at < set_at:
        if not probe.enabled:
            return Tried(Badge(Tone.OFF, "not tried", "the balance probe is off"))
        waiting = Badge(Tone.UNKNOWN, "waiting", "for the first read of the balance")
        return Tried(waiting, is_soon=now - set_at < _SOON)
    read_at = words.time(probe.last_at, now)
    if not probe.last_error:
        return Tried(
            Badge(Tone.OK, "accepted", "the balance was read with it"), read_at
        )
    title = meaning(probe.last_error).title
    if probe.last_error in _REFUSALS:
        return Tried(Badge(Tone.BAD, title.lower()), read_at)
    return Tried(Badge(Tone.UNKNOWN, "not known", f"the latest read: {title}"), read_at)


# The prober looks every few seconds; when it has not by then, it does not work.
_SOON = timedelta(minutes=5)
_REFUSALS = {ErrorClass.AUTH_FAILED, ErrorClass.WRONG_TEAM, ErrorClass.FORBIDDEN}


def resumed(waiting: int) -> str:
    """Say what runs again after a pause, and what does not by itself."""
    said = "The free probes that ran before run again."
    if not waiting:
        return said
    verb = "waits" if waiting == 1 else "wait"
    paid = words.count(waiting, "paid probe")
    return f"{said} {paid} {verb}: accept the cost once more where it stands."


def _members(team: Team, *, for_admin: bool) -> list[MemberLine]:
    found = list(
        Membership.objects.filter(team=team)
        .select_related("user")
        .order_by("user__username")
    )
    managers = sum(1 for each in found if each.role == Role.MANAGER)
    return [
        MemberLine(
            each.pk,
            each.user.get_username(),
            each.user.email,
            each.get_role_display(),
            # The last manager cannot lock himself out by accident.
            may_go=for_admin or each.role != Role.MANAGER or managers > 1,
        )
        for each in found
    ]


def _rule(team: Team, kind: RuleKind) -> RuleLine:
    rule = enabled_rules().rule_for(of_team(kind, team, team.gateway))
    return RuleLine(
        link=Link(kind.label, reverse("team_rule", args=[team.pk, kind.value])),
        limits=limits(rule) if rule else "off",
        whose="the team's own" if rule and rule.team_id else "as for all teams",
    )
