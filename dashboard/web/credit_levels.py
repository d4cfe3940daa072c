"""How much of a team's credits is left, in the steps that the pages colour."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.rulebook import (
    CREDITS_CRITICAL,
    CREDITS_LOW,
    ENDS_NOW_H,
    ENDS_SOON_H,
    RuleBook,
)
from dashboard.alerts.targets import of_team
from dashboard.probes.kinds import TELL_CREDITS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.taxonomy import meaning
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import Burn
from dashboard.web import words
from dashboard.web.states import Tone

# No reading is called old before this, whatever the period of its probe.
_LEAST_PATIENCE = timedelta(seconds=180)


@dataclass(frozen=True, slots=True)
class Marks:
    """From where on a team's credits are low or end soon: its rules' own limits.

    Shares of the allocated credits, credits for the floor, and hours; None is no limit.
    """

    low: float | None = CREDITS_LOW
    critical: float | None = CREDITS_CRITICAL
    floor: float | None = None
    soon_h: float | None = ENDS_SOON_H
    now_h: float | None = ENDS_NOW_H


USUAL = Marks()


def marks_of(teams: Iterable[Team]) -> Mapping[int, Marks]:
    """Return each team's marks, the usual ones where no rule judges it; one query."""
    kinds = (RuleKind.CREDITS, RuleKind.CREDITS_FORECAST)
    book = RuleBook(Rule.objects.filter(enabled=True, kind__in=kinds))
    return {team.pk: _marks(book, team) for team in teams}


def _marks(book: RuleBook, team: Team) -> Marks:
    left, ends = (
        book.rule_for(of_team(kind, team, team.gateway))
        for kind in (RuleKind.CREDITS, RuleKind.CREDITS_FORECAST)
    )
    marks = USUAL
    if left is not None:
        own = {"low": left.warn_at, "critical": left.critical_at, "floor": left.floor}
        marks = replace(marks, **own)
    if ends is not None:
        marks = replace(marks, soon_h=ends.warn_at, now_h=ends.critical_at)
    return marks


@dataclass(frozen=True, slots=True)
class Standing:
    """How a team's credits stand: a tone, one word, and the reason where one helps.

    What is gone ("exhausted", "overdrawn"), what the gateway does not tell ("unknown"),
    what is old ("stale") and what cannot be asked ("unreachable") are different words.
    """

    tone: Tone
    word: str
    reason: str = ""
    is_current: bool = True


def by_team(probes: Iterable[Probe]) -> Mapping[int | None, list[Probe]]:
    """Return each team's probes; None has those of no team."""
    found: defaultdict[int | None, list[Probe]] = defaultdict(list)
    for probe in probes:
        found[probe.team_id].append(probe)
    return found


def standing(
    reading: CreditReading | None,
    probes: Iterable[Probe],
    burn: Burn | None,
    now: datetime,
    marks: Marks = USUAL,
) -> Standing:
    """Say how credits stand by their latest reading and the team's own probes."""
    sources = [
        probe
        for probe in probes
        if probe.enabled
        and probe.kind in TELL_CREDITS
        and (probe.kind != ProbeKind.BALANCE or (probe.team and probe.team.has_key))
    ]
    if not sources:
        return _old(reading, "stale", "no probe asks for them")
    if reading is not None and not is_old(reading, sources, now):
        return Standing(*outlook(reading, burn, marks))
    if all(probe.last_error for probe in sources):
        why = meaning(sources[0].last_error).title
        return _old(reading, "unreachable", f"the last look failed: {why}")
    # A probe that answers, and no number in its answers.
    answered = [p for p in sources if p.last_at and not p.last_error]
    if any(not is_late(probe, now) for probe in answered):
        return _old(reading, "unknown", "the gateway tells no number")
    return _old(reading, "stale", "no answer lately")


def _old(reading: CreditReading | None, word: str, reason: str) -> Standing:
    if reading is None and word == "stale":
        word, reason = "unknown", "no reading yet"
    return Standing(Tone.UNKNOWN, word, reason, is_current=False)


def is_old(reading: CreditReading, sources: Iterable[Probe], now: datetime) -> bool:
    """Say whether a reading is older than three periods of the probe that tells soonest."""
    periods = [probe.period_s for probe in sources]
    patience = timedelta(seconds=3 * min(periods)) if periods else _LEAST_PATIENCE
    return now - reading.read_at > max(patience, _LEAST_PATIENCE)


def is_late(probe: Probe, now: datetime) -> bool:
    patience = max(3 * timedelta(seconds=probe.period_s), _LEAST_PATIENCE)
    return probe.last_at is None or now - probe.last_at > patience


def share_left(reading: CreditReading) -> float | None:
    """Return the fraction of the allocated credits that is left, if both are known."""
    if reading.remaining is None or not reading.allocated or reading.allocated < 0:
        return None
    return reading.remaining / reading.allocated


def level(reading: CreditReading, marks: Marks = USUAL) -> tuple[Tone, str]:
    """Return how urgent the reading is, and its word; unknown is never zero."""
    if reading.remaining is None:
        return Tone.UNKNOWN, "unknown"
    share = share_left(reading)
    if reading.remaining <= 0:
        return Tone.BAD, "overdrawn" if reading.remaining < 0 else "exhausted"
    if _within(share, marks.critical):
        return Tone.BAD, "critical"
    if _within(share, marks.low) or _within(reading.remaining, marks.floor):
        return Tone.WARN, "low"
    return Tone.OK, "enough"


def outlook(
    reading: CreditReading, burn: Burn | None, marks: Marks = USUAL
) -> tuple[Tone, str]:
    """Return the level, or "ends soon" where the time left is worse than what is left."""
    tone, word = level(reading, marks)
    lasts = burn.hours_range if burn else None
    if lasts is None or tone not in (Tone.OK, Tone.WARN):
        return tone, word
    if _within(lasts[0], marks.now_h):
        return Tone.BAD, "ends soon"
    if _within(lasts[0], marks.soon_h) and tone is Tone.OK:
        return Tone.WARN, "ends soon"
    return tone, word


def _within(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value <= limit


def left_words(reading: CreditReading) -> str:
    """Return "12 % left (1,200 of 10,000 credits)"."""
    if reading.remaining is None:
        return "credits unknown"
    share = share_left(reading)
    if share is None or reading.allocated is None:
        return f"{words.amount(reading.remaining, 'credit')} left"
    left = words.number(reading.remaining)
    allocated = words.amount(reading.allocated, "credit")
    return f"{words.percent(max(0.0, share))} left ({left} of {allocated})"
