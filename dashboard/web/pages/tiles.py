"""The four tiles of the overview: each number with its samples, window, age and change."""

from collections.abc import Collection
from dataclasses import dataclass

from django.urls import reverse

from dashboard.rollups.numbers import Summary
from dashboard.rollups.recent import Recent
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import burn
from dashboard.web import credit_levels, words
from dashboard.web.attention import Facts
from dashboard.web.pages.credits import runway
from dashboard.web.states import Tone

# A job's seconds would hide the milliseconds of everything else.
WITHOUT_PAID = ", without paid probes"
_POINTS = 100
_NOISE = 0.05
_MANY_TIMES = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """`value` is None where nothing is known; then `fine` says why."""

    title: str
    value: str | None
    fine: str
    change: str
    tone: Tone
    url: str = ""


def tiles(facts: Facts, seen: Recent) -> list[Tile]:
    return [
        _error_rate(facts, seen),
        _p95(facts, seen),
        _breakers(facts),
        _credits(facts),
    ]


def _error_rate(facts: Facts, seen: Recent) -> Tile:
    current, previous = seen.every.current, seen.every.previous
    rate = current.error_rate
    return Tile(
        title="Error rate, last hour",
        value=None if rate is None else words.percent(rate),
        fine=_basis(facts, current.samples),
        change=_rate_change(current, previous),
        tone=Tone.BAD if rate else Tone.OK,
    )


def _rate_change(now: Summary, before: Summary) -> str:
    if now.error_rate is None or before.error_rate is None:
        return "nothing to compare with"
    points = (now.error_rate - before.error_rate) * _POINTS
    if abs(points) < _NOISE:
        return "as in the hour before"
    word = "up" if points > 0 else "down"
    return f"{word} {words.number(round(abs(points), 1))} points on the hour before"


def _p95(facts: Facts, seen: Recent) -> Tile:
    current = seen.quick.current
    p95 = current.p95_ms
    note = WITHOUT_PAID if seen.leaves_out_paid else ""
    if p95 is not None and current.p95_is_thin:
        note += ", too few to be sure"
    return Tile(
        title="p95 latency, last hour",
        value=None if p95 is None else words.milliseconds(p95),
        fine=_basis(facts, current.good, note),
        change=_latency_change(p95, seen.quick.previous.p95_ms),
        tone=Tone.OK,
    )


def _latency_change(now: float | None, before: float | None) -> str:
    if now is None or not before:
        return "nothing to compare with"
    ratio = now / before
    if abs(ratio - 1) < _NOISE:
        return "as in the hour before"
    if ratio >= _MANY_TIMES:
        return f"{ratio:.1f} times the hour before"
    word = "slower" if ratio > 1 else "faster"
    return f"{words.percent(abs(ratio - 1))} {word} than the hour before"


def _basis(facts: Facts, samples: int, note: str = "") -> str:
    """Return what a number rests on; held runs and our own faults are results, too."""
    latest = max((p.last_at for p in facts.probes if p.last_at), default=None)
    if latest is None:
        return "no results yet"
    return f"n = {samples:,}{note}, newest result {words.ago(latest, facts.now)}"


def _breakers(facts: Facts) -> Tile:
    opened = sum(1 for each in facts.breakers if each.state != "closed")
    latest = max(
        (b.opened_at for b in facts.breakers if b.opened_at and b.state != "closed"),
        default=None,
    )
    endpoints = words.count(len(facts.probes), "probe")
    return Tile(
        title="Breakers open, now",
        value=f"{opened}" if facts.probes else None,
        fine=f"guarding {endpoints}" if facts.probes else "no probes",
        change=f"the last opened {words.ago(latest, facts.now)}"
        if latest
        else "all closed",
        tone=Tone.WARN if opened else Tone.OK,
        url="#breakers" if opened else "",
    )


def _credits(facts: Facts) -> Tile:
    lowest = _lowest(facts.teams, facts.readings.values())
    if lowest is None:
        return Tile("Credits, lowest team", None, "no reading yet", "", Tone.UNKNOWN)
    team, reading = lowest
    share = credit_levels.share_left(reading)
    tone, _ = credit_levels.level(reading)
    left = words.number(reading.remaining or 0)
    return Tile(
        title=f"Credits, lowest of {words.count(len(facts.readings), 'team')}",
        value=f"{left} left" if share is None else words.percent(max(0.0, share)),
        fine=f"{team}: {left} left, read {words.ago(reading.read_at, facts.now)}",
        change=f"lasts: {runway(burn(team, facts.now))}",
        tone=tone,
        url=reverse("team", args=[team.pk]),
    )


def _lowest(
    teams: Collection[Team], readings: Collection[CreditReading]
) -> tuple[Team, CreditReading] | None:
    """Return the team that has the smallest share left, unknown shares last."""
    by_id = {team.pk: team for team in teams}
    known = [reading for reading in readings if reading.team_id in by_id]
    if not known:
        return None
    reading = min(known, key=_share_or_one)
    return by_id[reading.team_id], reading


def _share_or_one(reading: CreditReading) -> float:
    share = credit_levels.share_left(reading)
    return 1.0 if share is None else share
