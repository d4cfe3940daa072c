"""The four tiles of the overview: each number with its samples, window, age and change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import TypeAlias

from django.urls import reverse

from dashboard.alerts.models import Incident, RuleKind
from dashboard.rollups.numbers import Summary
from dashboard.rollups.recent import Recent
from dashboard.teams.credit_hours import (
    Hour,
    hours_of,
)
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import Burn
from dashboard.web import credit_levels, words
from dashboard.web.attention import Facts
from dashboard.web.drawing import results_url
from dashboard.web.pages.credits import hours_left, runs_out, runway
from dashboard.web.pages.probe_rows import is_quiet
from dashboard.web.sparks import Spark, spark
from dashboard.web.states import Tone

# A job's seconds would hide the milliseconds of everything else.
WITHOUT_PAID = ", without paid probes"
_POINTS = 100
_NOISE = 0.05
_HEADLINE = 11
_MANY_TIMES = 2
_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Tile:
    """`value` is None where nothing is known; then `fine` says why."""

    title: str
    value: str | None
    fine: str
    change: str
    tone: Tone
    url: str = ""
    spark: Spark | None = None

    @property
    def is_long(self) -> bool:
        """Say whether the value is a range of times, too long for a headline's letters."""
        return self.value is not None and len(self.value) > _HEADLINE


CreditHours: TypeAlias = Mapping[int, Sequence[Hour]]


def credit_hours(facts: Facts) -> CreditHours:
    """Return the last day of each team's credits, by the hour; one query."""
    teams = [team.pk for team in facts.teams]
    return hours_of(teams, facts.now - _DAY, facts.now)


def tiles(
    facts: Facts, seen: Recent, spent: CreditHours, burns: Mapping[int, Burn | None]
) -> list[Tile]:
    return [
        _error_rate(facts, seen),
        _p95(facts, seen),
        _breakers(facts, seen.hours),
        _credits(facts, seen.hours, spent, burns),
    ]


def _error_rate(facts: Facts, seen: Recent) -> Tile:
    current, previous = seen.every.current, seen.every.before
    rate = current.error_rate
    return Tile(
        title="Error rate, last hour",
        value=None if rate is None else words.percent(rate),
        fine=_basis(facts, current.samples),
        change=_rate_change(current, previous),
        tone=Tone.BAD if rate else Tone.OK,
        url=f"{results_url(current)}&state={'failed' if rate else 'counted'}"
        if current.samples
        else "",
        spark=spark(
            [hour.error_rate for hour in seen.every.day],
            _went("error rate", [hour.error_rate for hour in seen.every.day]),
        ),
    )


def _went(name: str, rates: Sequence[float | None]) -> str:
    known = [rate for rate in rates if rate is not None]
    least, most = min(known, default=None), max(known, default=None)
    return f"By the hour, 24 h: {name} {words.percent(least)} to {words.percent(most)}"


def _rate_change(now: Summary, before: Summary) -> str:
    if now.error_rate is None or before.error_rate is None:
        return "nothing to compare with"
    points = (now.error_rate - before.error_rate) * _POINTS
    if abs(points) < _NOISE:
        return "as in the day before"
    word = "up" if points > 0 else "down"
    return f"{word} {words.number(round(abs(points), 1))} points on the day before"


def _p95(facts: Facts, seen: Recent) -> Tile:
    current = seen.quick.current
    p95 = current.p95_ms
    hourly = [hour.p95_ms for hour in seen.quick.day]
    note = WITHOUT_PAID if seen.leaves_out_paid else ""
    if p95 is not None and current.p95_is_thin:
        note += ", too few to be sure"
    return Tile(
        title="p95 latency, last hour",
        value=None if p95 is None else words.milliseconds(p95),
        fine=_basis(facts, current.good, note),
        change=_latency_change(p95, seen.quick.before.p95_ms),
        tone=Tone.OK,
        url=f"{results_url(current)}&state=ok" if current.good else "",
        spark=spark(hourly, _took(hourly)),
    )


def _took(hourly: Sequence[float | None]) -> str:
    known = [value for value in hourly if value is not None]
    least, most = min(known, default=None), max(known, default=None)
    return (
        "By the hour, 24 h: p95 "
        f"{words.milliseconds(least)} to {words.milliseconds(most)}"
    )


def _latency_change(now: float | None, before: float | None) -> str:
    if now is None or not before:
        return "nothing to compare with"
    ratio = now / before
    if abs(ratio - 1) < _NOISE:
        return "as in the day before"
    if ratio >= _MANY_TIMES:
        return f"{ratio:.1f} times the day before"
    word = "slower" if ratio > 1 else "faster"
    return f"{words.percent(abs(ratio - 1))} {word} than in the day before"


def _basis(facts: Facts, samples: int, note: str = "") -> str:
    """Return what a number rests on; held runs and our own faults are results, too."""
    latest = max((p.last_at for p in facts.probes if p.last_at), default=None)
    if latest is None:
        return "no results yet"
    return f"n = {samples:,}{note}, newest result {words.ago(latest, facts.now)}"


def _breakers(facts: Facts, hours: Sequence[datetime]) -> Tile:
    opened = sum(1 for each in facts.breakers if not each.state.endswith("closed"))
    guarded = words.count(sum(not is_quiet(each) for each in facts.probes), "probe")
    alarms = [
        each
        for each in (*facts.incidents, *facts.ended)
        if each.kind == RuleKind.BREAKER_OPEN and _ended(each, facts) >= hours[0]
    ]
    return Tile(
        title="Breakers open, now",
        value=f"{opened}" if facts.probes else None,
        fine=f"guarding {guarded}" if facts.probes else "no probes",
        change=_alarms(alarms, facts.now),
        tone=Tone.WARN if opened else Tone.OK,
        url="#breakers" if opened else reverse("breakers"),
        spark=spark(
            [_open_in(alarms, hour, facts) for hour in hours],
            "By the hour, 24 h: how many were open for long enough to be an alarm",
        )
        if facts.probes
        else None,
    )


def _ended(incident: Incident, facts: Facts) -> datetime:
    return incident.resolved_at or facts.now


def _open_in(alarms: Sequence[Incident], hour: datetime, facts: Facts) -> float:
    end = hour + timedelta(hours=1)
    return sum(1 for a in alarms if a.opened_at < end and _ended(a, facts) >= hour)


def _alarms(alarms: Sequence[Incident], now: datetime) -> str:
    """Tell them as the list of incidents has them, and how many another speaks for."""
    if not alarms:
        return "no alarm of one in 24 h"
    own = [each for each in alarms if not each.inhibited_by_id]
    lesser = len(alarms) - len(own)
    if not own:
        told = words.count(lesser, "alarm")
        return f"{told} in 24 h, told as part of a greater one"
    latest = max(each.opened_at for each in own)
    number = words.count(len(own), "alarm")
    more = f", {lesser:,} more told as part of a greater one" if lesser else ""
    return f"{number} in 24 h, the last {words.ago(latest, now)}{more}"


def _credits(
    facts: Facts,
    hours: Sequence[datetime],
    spent: CreditHours,
    burns: Mapping[int, Burn | None],
) -> Tile:
    """Return the team that runs out first, as the table of teams sorts them."""
    known = [team for team in facts.teams if team.pk in facts.readings]
    if not known:
        return Tile("Credits", None, "no reading yet", "", Tone.UNKNOWN)

    def soonest(team: Team) -> tuple[float, float, str]:
        reading = facts.readings[team.pk]
        return (
            hours_left(reading, burns.get(team.pk)),
            _share_or_one(reading),
            str(team),
        )

    team = min(known, key=soonest)
    reading, burn = facts.readings[team.pk], burns.get(team.pk)
    left = credit_levels.left_words(reading)
    ends = soonest(team)[0] < inf
    probes = credit_levels.by_team(facts.probes).get(team.pk, ())
    said = credit_levels.standing(
        reading, probes, burn, facts.now, facts.marks_of(team)
    )
    old = "" if said.is_current else f"; {said.word}, {said.reason}"
    # Of an hour the least, lest a refill in it hide that there was none.
    by_hour = {row.hour: row.least for row in spent.get(team.pk, ())}
    return Tile(
        title="First to run out of credits" if ends else "Credits, lowest share",
        value=_lasts(reading, burn) if ends else left.partition(" (")[0],
        fine=f"{team}: {left}, read {words.ago(reading.read_at, facts.now)}{old}",
        change=_ends(burn, facts.now, of=len(known)),
        tone=said.tone,
        url=reverse("team", args=[team.pk]),
        spark=spark(
            [by_hour.get(hour) for hour in hours],
            f"By the hour, 24 h: credits of {team}",
        ),
    )


def _lasts(reading: CreditReading, burn: Burn | None) -> str:
    is_gone = reading.remaining is not None and reading.remaining <= 0
    return credit_levels.level(reading)[1] if is_gone else runway(burn)


def _ends(burn: Burn | None, now: datetime, *, of: int) -> str:
    """Return when and how fast credits go, and among how many teams that is worst."""
    told = [
        runs_out(burn, now) if burn else runway(burn),
        _pace(burn) if burn else "",
        f"of {words.count(of, 'team')}",
    ]
    return ", ".join(filter(None, told))


def _pace(burn: Burn) -> str:
    """Return what goes in a day, or the last hour's haste, of which a day knows little."""
    if burn.hurried_per_hour is not None:
        return f"{words.number(round(burn.hurried_per_hour))} in the last hour"
    return f"{words.number(round(burn.per_day))} a day"


def _share_or_one(reading: CreditReading) -> float:
    share = credit_levels.share_left(reading)
    return 1.0 if share is None else share
