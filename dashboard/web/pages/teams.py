"""What the list of teams and one team show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.models import ChannelKind, Incident, Silence
from dashboard.alerts.recipients import Reader, reader_rows, readers_in
from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.queries import uncharged_runs
from dashboard.probes.taxonomy import meaning
from dashboard.rollups.recent import recent
from dashboard.teams.burn import (
    paced_from,
    paces,
)
from dashboard.teams.credit_hours import (
    Hour,
    hours_of,
)
from dashboard.teams.keys import hint
from dashboard.teams.models import Gateway, Membership, Role, Team, TeamStatus
from dashboard.teams.queries import BURN_WINDOW, latest_readings
from dashboard.teams.spending import (
    refills,
    spending,
    with_latest,
)
from dashboard.teams.statements import statement_of
from dashboard.web import access, ranges, words
from dashboard.web.burn_charts import burn_down
from dashboard.web.credit_levels import marks_of
from dashboard.web.drawing import ChartTable
from dashboard.web.pages.credits import (
    Credits,
    NextRefill,
    credit_probes,
    credits_of,
    hours_left,
    next_refill,
    pace,
    runs_out,
    runway,
    soonest_first,
)
from dashboard.web.pages.incidents import IncidentRow, incident_row
from dashboard.web.pages.maintenance import Maintenance, of_team, told, under_way
from dashboard.web.pages.parts import Badge, Link
from dashboard.web.pages.probe_rows import ProbeRow, off_links, probe_rows
from dashboard.web.pages.statements import StatementPart, statement_part
from dashboard.web.pages.used import before_of, used_words
from dashboard.web.prober import Prober, prober
from dashboard.web.ranges import Range, RangeBar
from dashboard.web.states import Tone

_MOST_INCIDENTS = 10
_REFILLS_SHOWN = timedelta(days=30)
_UNCHARGED_SHOWN = timedelta(days=1)
_STATUS_TONES = {
    TeamStatus.ACTIVE: Tone.OK,
    TeamStatus.SUSPENDED: Tone.BAD,
    TeamStatus.PAUSED: Tone.WARN,
    TeamStatus.UNKNOWN: Tone.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class TeamRow:
    link: Link
    gateway: str
    status: Badge
    status_at: SafeString
    credits: Credits
    hours_left: float


@dataclass(frozen=True, slots=True)
class Teams:
    rows: list[TeamRow]
    import_url: str


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class RefillRow:
    at: SafeString
    amount: str


@dataclass(frozen=True, slots=True)
class TeamPage:
    title: str
    team_id: str
    gateway: str
    gateway_settings_url: str
    settings_url: str
    manage_url: str
    uncharged: str
    maintenances: list[Maintenance]
    status: Badge
    status_at: SafeString
    credits: Credits
    runway: str
    runs_out: str
    pace: str
    refill: NextRefill
    refills: list[RefillRow]
    terms: str
    rates: str
    organization: str
    key: str
    key_at: SafeString | None
    chart: ChartTable
    range: RangeBar
    used: str
    csv_url: str
    json_url: str
    members: list[Member]
    recipients: list[str]
    rows: list[ProbeRow]
    off: list[Link]
    incidents: list[IncidentRow]
    statement: StatementPart
    prober: Prober


def teams(user: access.Visitor, now: datetime) -> Teams:
    """Return every team that the user sees; the one that runs out first comes first."""
    running = Probe.objects.filter(team=OuterRef("pk"), enabled=True)
    found = list(access.teams(user).annotate(is_watched=Exists(running)))
    readings = latest_readings([team.pk for team in found])
    hours = hours_of([team.pk for team in found], now - BURN_WINDOW, now)
    told_by, marks = credit_probes(user), marks_of(found)
    burns = paces(hours, readings, now)
    announced = under_way(user, now)
    rows = [
        TeamRow(
            link=Link(team.full_name, reverse("team", args=[team.pk])),
            gateway=str(team.gateway),
            status=_announced(
                status_badge(
                    team, told_by.get(team.pk, ()), is_watched=team.is_watched
                ),
                of_team(announced, team),
            ),
            status_at=words.time(team.status_at, now, "not yet"),
            credits=credits_of(
                readings.get(team.pk),
                told_by.get(team.pk, ()),
                burns.get(team.pk),
                marks[team.pk],
                now,
            ),
            hours_left=hours_left(readings.get(team.pk), burns.get(team.pk)),
        )
        for team in found
    ]
    return Teams(
        sorted(
            rows,
            key=lambda row: soonest_first(row.hours_left, row.credits, row.link.word),
        ),
        import_url=_import_url() if access.is_site_admin(user) else "",
    )


def _announced(status: Badge, maintenances: Sequence[Silence]) -> Badge:
    if not maintenances:
        return status
    until = f"in maintenance until {words.minute(maintenances[0].ends_at)}"
    return replace(status, reason=", ".join(filter(None, [status.reason, until])))


def _import_url() -> str:
    """Return where teams are imported: of the only gateway, or from a list of all."""
    pks = list(Gateway.objects.values_list("pk", flat=True)[:2])
    if len(pks) == 1:
        return reverse("import_teams", args=pks)
    return reverse("admin:teams_gateway_changelist") if pks else ""


def status_badge(team: Team, probes: Iterable[Probe], *, is_watched: bool) -> Badge:
    """Return what the gateway calls the team; of one that nobody asks for, not as now.

    Where it is not known yet, say why its `probes` were not told it.
    """
    if not is_watched:
        told = f"when last asked: {team.status}" if team.status else ""
        return Badge(Tone.OFF, "not watched", told)
    if not team.status:
        asked = (each for each in probes if each.kind == ProbeKind.TEAM_STATUS)
        if error := next((probe.last_error for probe in asked), ""):
            return Badge(Tone.UNKNOWN, "unknown", meaning(error).title)
        return Badge(Tone.UNKNOWN, "waiting", "for the first answer")
    return Badge(_STATUS_TONES[TeamStatus(team.status)], team.status)


def team(user: access.Visitor, shown: Team, chosen: Range, now: datetime) -> TeamPage:
    probes = list(access.probes(user).filter(team=shown))
    seen = recent(probes, now)
    readings = latest_readings([shown.pk])
    reading = readings.get(shown.pk)
    every = with_latest(_hours(shown, chosen, now), reading)
    hours = [row for row in every if row.hour >= now - _REFILLS_SHOWN]
    spent = paces({shown.pk: hours}, readings, now)[shown.pk]
    at_work = prober(now)
    announced = of_team(under_way(user, now), shown)
    members, readers = _people(shown)
    return TeamPage(
        title=str(shown),
        team_id=shown.team_id,
        gateway=str(shown.gateway),
        gateway_settings_url=reverse(
            "admin:teams_gateway_change", args=[shown.gateway_id]
        ),
        settings_url=reverse("admin:teams_team_change", args=[shown.pk]),
        manage_url=reverse("team_settings", args=[shown.pk])
        if access.may_manage(user, shown)
        else "",
        uncharged=_uncharged(shown, probes, now),
        maintenances=told(announced, now),
        status=status_badge(shown, probes, is_watched=any(p.enabled for p in probes)),
        status_at=words.time(shown.status_at, now, "not yet"),
        credits=credits_of(reading, probes, spent, marks_of([shown])[shown.pk], now),
        runway=runway(spent, paced_from(hours, now)),
        runs_out=runs_out(spent, now),
        pace=pace(spent),
        refill=next_refill(shown, reading, hours, spent, now),
        refills=[
            RefillRow(words.time(each.at, now), words.number(each.amount))
            for each in reversed(refills(hours))
        ],
        terms=shown.budget_mode.replace("_", " "),
        rates=_rates(shown),
        organization=shown.organization_id,
        key=hint(shown),
        key_at=words.time(shown.key_set_at, now) if shown.key_set_at else None,
        chart=burn_down(every, spent, now, chosen),
        range=ranges.bar(chosen),
        used=_used_words(every, chosen),
        csv_url=chosen.url(format="csv"),
        json_url=chosen.url(format="json"),
        members=[Member(name, role.label) for role, name in members],
        recipients=[
            f"{ChannelKind(each.channel).label}: {each.recipient}" for each in readers
        ],
        rows=probe_rows(probes, at_work, seen, now, announced=announced),
        off=off_links(probes),
        incidents=[incident_row(each, now) for each in _incidents(user, shown)],
        statement=statement_part(shown, statement_of(shown), now),
        prober=at_work,
    )


def _people(shown: Team) -> tuple[list[tuple[Role, str]], list[Reader]]:
    """Return the members by name, and who is told of the team; one query for them all."""
    members = (
        Membership.objects.filter(team=shown)
        .order_by()
        .values_list("role", "user__username")
    )
    mailboxes, channels = reader_rows(shown.gateway_id, shown.pk)
    found = list(members.union(mailboxes, channels, all=True))
    roles = set(Role.values)
    on_it = [(Role(kind), name) for kind, name in found if kind in roles]
    told = readers_in(row for row in found if row[0] not in roles)
    return sorted(on_it, key=lambda member: member[1]), told


def _rates(shown: Team) -> str:
    """Return what a credit is worth, as the gateway told; "" where it did not."""
    rates = [
        f"{words.number(rate)} {unit}"
        for rate, unit in (
            (shown.tokens_per_credit, "tokens a credit"),
            (shown.credits_per_dollar, "credits a dollar"),
        )
        if rate
    ]
    return ", ".join(rates)


def _incidents(user: access.Visitor, shown: Team) -> Sequence[Incident]:
    found = access.incidents(user).filter(team=shown)
    return list(found.order_by("-opened_at")[:_MOST_INCIDENTS])


def _used_words(hours: Sequence[Hour], chosen: Range) -> str:
    own = spending(hours, chosen.start, chosen.end)
    before = spending(hours, *before_of(chosen)) if chosen.compares else None
    return used_words(own, before, chosen)


def _hours(shown: Team, chosen: Range, now: datetime) -> Sequence[Hour]:
    first = chosen.before().start if chosen.compares else chosen.start
    first -= timedelta(hours=1)
    start = buckets.floor(min(first, now - _REFILLS_SHOWN), HOUR_S)
    return hours_of([shown.pk], start, now).get(shown.pk, [])


def _uncharged(shown: Team, probes: Iterable[Probe], now: datetime) -> str:
    """Return the hint that the gateway did completed jobs for nothing, or ""."""
    # Charged probes are off in most teams, which then need no look at results.
    accepted = [p for p in probes if p.enabled or p.cost_accepted_at]
    if not any(KINDS[ProbeKind(p.kind)].credits_per_run for p in accepted):
        return ""
    runs = uncharged_runs([shown.pk], now - _UNCHARGED_SHOWN).get(shown.pk, 0)
    if not runs:
        return ""
    return (
        f"{words.count(runs, 'completed job')} of the last day took no credit: the "
        "gateway skips a charge that is larger than what is left."
    )
