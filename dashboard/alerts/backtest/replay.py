"""Walk a rule through the past: the same verdicts and phases as live, without a row."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from dashboard.alerts.models import Rule
from dashboard.alerts.rulebook import SELF_TIMED
from dashboard.alerts.rules import (
    CALM,
    MOST_CHANGES,
    Act,
    Evidence,
    Phase,
    Verdict,
    act,
    is_worse,
)

# Judges one moment, given the evidence of the open alarm, None while there is none.
Judge = Callable[[datetime, Evidence | None], Verdict]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a rule would have told; `ended_at` is None where it still lasted."""

    target: str
    opened_at: datetime
    ended_at: datetime | None
    severity: str
    text: str
    probe_id: int | None = None
    team_id: int | None = None

    def lasted_s(self, until: datetime) -> float:
        return ((self.ended_at or until) - self.opened_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Track:
    """One target's past: the moments, in order, and how to judge each."""

    target: str
    moments: Iterable[datetime]
    judge: Judge
    probe_id: int | None = None
    team_id: int | None = None


def replay(track: Track, rule: Rule, since: datetime) -> list[Alarm]:
    """Return the alarms of one target that were open after `since`, oldest first."""
    found: list[Alarm] = []
    phase, evidence = Phase(), Evidence()
    level = ""
    changes: deque[datetime] = deque(maxlen=MOST_CHANGES)
    flaps = False
    for now in track.moments:
        verdict = track.judge(now, evidence if phase.is_open else None)
        match act(verdict.step, phase, _wait_s(rule, phase, flaps=flaps), now):
            case Act.WAIT | Act.EASE:
                phase = replace(phase, since=phase.since or now)
            case Act.FORGET:
                phase = replace(phase, since=None)
            case Act.OPEN:
                flaps = len(changes) == MOST_CHANGES and now - changes[0] < CALM
                changes.append(now)
                found.append(_alarm(track, verdict, now))
                phase, evidence = Phase(is_open=True), verdict.evidence
                level = verdict.level
            case Act.KEEP:
                phase, evidence = Phase(is_open=True), verdict.evidence
                if is_worse(verdict.level, than=level):
                    level = verdict.level
                    found[-1] = replace(
                        found[-1], severity=verdict.severity, text=verdict.text
                    )
            case Act.RESOLVE:
                changes.append(now)
                found[-1] = replace(found[-1], ended_at=now)
                phase = Phase()
            case _:
                pass
    return [
        alarm for alarm in found if alarm.ended_at is None or alarm.ended_at > since
    ]


def _wait_s(rule: Rule, phase: Phase, *, flaps: bool) -> float:
    if not phase.is_open:
        return 0 if rule.kind in SELF_TIMED else rule.for_s
    return max(rule.keep_s, CALM.total_seconds() if flaps else 0)


def _alarm(track: Track, verdict: Verdict, now: datetime) -> Alarm:
    return Alarm(
        target=track.target,
        opened_at=now,
        ended_at=None,
        severity=verdict.severity,
        text=verdict.text,
        probe_id=track.probe_id,
        team_id=track.team_id,
    )
