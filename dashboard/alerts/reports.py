"""The daily digest and the weekly report: what one reader's teams and gateways did."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from dashboard.alerts.models import Change, Incident, Subscription
from dashboard.alerts.rules.forecast import last
from dashboard.lib.spans import duration, roughly
from dashboard.probes.models import Probe
from dashboard.probes.taxonomy import meaning
from dashboard.rollups.numbers import Comparison
from dashboard.rollups.queries import grouped
from dashboard.teams.models import Team
from dashboard.teams.queries import Burn, burns, lasts, latest_readings
from dashboard.teams.reach import is_own, teams

_MOST_INCIDENTS = 10
_MOST_CLASSES = 5
_MOST_TEAMS = 30
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Period:
    """What a report tells of: [start, end), whole days in the reader's zone."""

    start: datetime
    end: datetime
    words: str

    @property
    def before(self) -> str:
        """What it is compared with."""
        return "day before" if self.end - self.start < 2 * _DAY else "week before"


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """How a gateway or a team did; a change is empty where there are too few samples."""

    name: str
    samples: int
    availability: str
    availability_change: str
    p95: str
    p95_change: str
    is_worse: bool


@dataclass(frozen=True, slots=True)
class ClassLine:
    title: str
    number: int
    advice: str


@dataclass(frozen=True, slots=True)
class IncidentLine:
    summary: str
    since: datetime
    lasted: str
    is_open: bool
    link: str


@dataclass(frozen=True, slots=True)
class CreditLine:
    name: str
    left: str
    runway: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report; `places` holds the gateways, then the teams, the worst first."""

    title: str
    subject: str
    period: Period
    zone: str
    places: tuple[PlaceLine, ...]
    more_places: int
    classes: tuple[ClassLine, ...]
    incidents: tuple[IncidentLine, ...]
    opened: int
    still_open: int
    credits: tuple[CreditLine, ...]


def period_of(change: str, subscription: Subscription, now: datetime) -> Period:
    """Return yesterday, or the last whole Monday to Sunday, in the reader's zone."""
    zone = ZoneInfo(subscription.time_zone)
    today = now.astimezone(zone).date()
    first, last = today - _DAY, today
    if change == Change.WEEKLY:
        last = today - timedelta(days=today.weekday())
        first = last - timedelta(days=7)
    words = f"{first:%A}, {first.day} {first:%B %Y}"
    if change == Change.WEEKLY:
        end = last - _DAY
        words = f"{first.day} {first:%B} to {end.day} {end:%B %Y}"
    midnight = time(tzinfo=zone)
    return Period(
        datetime.combine(first, midnight), datetime.combine(last, midnight), words
    )


def report(
    user: User, subscription: Subscription, change: str, home: str, now: datetime
) -> Report:
    """Return what a user's report says now; a dozen queries, whatever the number."""
    period = period_of(change, subscription, now)
    is_weekly = change == Change.WEEKLY
    probes = list(
        Probe.objects.filter(is_own(user)).select_related("gateway", "team__gateway")
    )
    compared = _compared(probes, period, now)
    whole, names = compared.pop(None), _place_names(probes)
    incidents = _incidents(user, period)
    opened = incidents.filter(opened_at__gte=period.start).count()
    still_open = incidents.filter(resolved_at=None).count()
    places = sorted(
        (_place(names[key], each) for key, each in compared.items() if key),
        key=lambda line: not line.is_worse,
    )
    return Report(
        title="Weekly report" if is_weekly else "Daily digest",
        subject=_subject(whole, opened, still_open, is_weekly=is_weekly),
        period=period,
        zone=subscription.time_zone,
        places=tuple(places[:_MOST_TEAMS]),
        more_places=max(0, len(places) - _MOST_TEAMS),
        classes=_classes(whole),
        incidents=tuple(_incident(i, home, now) for i in incidents[:_MOST_INCIDENTS]),
        opened=opened,
        still_open=still_open,
        credits=_credits(list(teams(user)), now),
    )


class _Place(NamedTuple):
    """A gateway or a team of it: two may have one name, but their numbers are apart."""

    gateway_id: int
    team_id: int | None


def _incidents(user: User, period: Period) -> QuerySet[Incident]:
    """Return the incidents of the period that another did not speak for, open first."""
    then = Q(resolved_at=None) | Q(resolved_at__gte=period.start)
    found = Incident.objects.filter(
        is_own(user), then, opened_at__lt=period.end, inhibited_by=None
    )
    return found.alias(is_now=Q(resolved_at=None)).order_by("-is_now", "-opened_at")


def _compared(
    probes: Collection[Probe], period: Period, now: datetime
) -> dict[_Place | None, Comparison]:
    """Return each place's numbers beside those of the period before; None is all of them."""
    members: dict[_Place | None, list[int]] = {None: [probe.pk for probe in probes]}
    for probe in probes:
        members.setdefault(_place_of(probe), []).append(probe.pk)
    length = period.end - period.start
    current = grouped(members, period.start, period.end, now)
    previous = grouped(members, period.start - length, period.start, now)
    return {key: Comparison(current[key], previous[key]) for key in members}


def _place_of(probe: Probe) -> _Place:
    return _Place(probe.gateway_id, probe.team_id)


def _place_names(probes: Collection[Probe]) -> dict[_Place, str]:
    names = _names({probe.team for probe in probes if probe.team})
    return {
        _place_of(probe): f"Team {names[probe.team.pk]}"
        if probe.team
        else f"Gateway {probe.gateway}"
        for probe in probes
    }


def _names(teams: Collection[Team]) -> dict[int, str]:
    """Return what tells teams apart: two may have one name, also of one gateway."""
    names = {team.pk: str(team) for team in teams}
    for longer in ("{0} at {0.gateway}", "{0.full_name} at {0.gateway}"):
        times = Counter(names.values())
        names |= {
            team.pk: longer.format(team) for team in teams if times[names[team.pk]] > 1
        }
    return names


def _place(name: str, compared: Comparison) -> PlaceLine:
    seen = compared.current
    change = compared.availability_change
    slower = compared.p95_change
    return PlaceLine(
        name=name,
        samples=seen.samples,
        availability=_percent(seen.availability),
        availability_change=f"{change * 100:+.2f} points" if change else "",
        p95=_milliseconds(seen.p95_ms),
        p95_change=f"{slower * 100:+.0f} %" if slower is not None else "",
        is_worse=bool(change and change < 0),
    )


def _classes(whole: Comparison) -> tuple[ClassLine, ...]:
    counted = [
        (name, number)
        for name, number in whole.current.classes.items()
        if meaning(name).counts
    ]
    return tuple(
        ClassLine(meaning(name).title, number, meaning(name).advice)
        for name, number in counted[:_MOST_CLASSES]
    )


def _incident(incident: Incident, home: str, now: datetime) -> IncidentLine:
    return IncidentLine(
        summary=incident.summary,
        since=incident.began_at,
        lasted=duration(incident.lasted_s(now)),
        is_open=incident.is_open,
        link=f"{home}/incidents/{incident.pk}/",
    )


def _credits(seen: Collection[Team], now: datetime) -> tuple[CreditLine, ...]:
    """Return the teams' credits, those that run out first before the others."""
    names = _names(seen)
    readings, paces = latest_readings(names), burns(names, now)
    lines: list[tuple[float, CreditLine]] = []
    for pk, reading in readings.items():
        pace = paces.get(pk)
        hours, _ = (pace and pace.hours_range) or (None, None)
        allocated = f" of {reading.allocated:,.0f}" if reading.allocated else ""
        line = CreditLine(
            name=names[pk],
            left=f"{reading.remaining or 0:,.0f}{allocated}",
            runway=_runway(pace),
            read_at=reading.read_at,
        )
        lines.append((hours if hours is not None else float("inf"), line))
    lines.sort(key=lambda each: (each[0], each[1].name))
    return tuple(line for _, line in lines[:_MOST_TEAMS])


def _runway(pace: Burn | None) -> str:
    """Return how long the credits last at the fastest pace that counts, and the slowest."""
    if pace is not None and pace.remaining <= 0 < pace.fastest[0]:
        return "used up"
    told = [
        (roughly(hours * 3600), last(span / _HOUR))
        for per_hour, span in (pace.paces if pace else [])
        if pace and (hours := lasts(pace.remaining, per_hour)) is not None
    ]
    if not told:
        return "no use in the last 24 h, or too few readings"
    (soonest, since), (latest, of_all) = told[0], told[-1]
    first = f"about {soonest} at the pace of the {since}"
    return first if latest == soonest else f"{first}, {latest} at that of the {of_all}"


def _subject(
    whole: Comparison, opened: int, still_open: int, *, is_weekly: bool
) -> str:
    when = "Last week" if is_weekly else "Yesterday"
    available = _percent(whole.current.availability)
    told = [
        f"{available} available" if whole.current.samples else "no results",
        f"{opened} incident{'' if opened == 1 else 's'}",
        f"{still_open} still open" if still_open else "",
    ]
    return f"[Gatewatch] {when}: {', '.join(filter(None, told))}"


def _percent(rate: float | None) -> str:
    if rate is None:
        return "no data"
    # 99.996 % is not 100 %.
    text = f"{rate * 100:.2f}"
    return f"{'>99.99' if text == '100.00' and rate < 1 else text} %"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "no data"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"
