"""A team that cannot work: suspended, paused, or in an unknown state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Level,
    Limits,
    Sample,
    Severity,
    Step,
    Verdict,
    in_rate,
    is_gateways_fault,
)

# Two answers with the explicit text: one may be a hiccup of the gateway.
_IN_A_ROW = 2
_BY_CLASS = {
    "team_suspended": Level.SUSPENDED,
    "team_paused": Level.PAUSED,
}
_BY_STATUS = {
    "suspended": Level.SUSPENDED,
    "paused": Level.PAUSED,
    "unknown": Level.UNKNOWN,
}
_CLASSES = {level: name for name, level in _BY_CLASS.items()}
_TEXTS = {
    Level.SUSPENDED: "the team is suspended",
    Level.PAUSED: "the team is paused",
    Level.UNKNOWN: "the gateway tells a team status that is not known",
}
_ORDER = [Level.SUSPENDED, Level.PAUSED, Level.UNKNOWN]


@dataclass(frozen=True, slots=True)
class TeamSight:
    """What is known of a team: its status as last told, and each probe's outcomes."""

    status: str
    status_at: datetime | None
    outcomes: Sequence[Sequence[Sample]] = ()


def team_state(team: TeamSight, limits: Limits, now: datetime) -> Verdict:
    """Judge whether a team may work; clears when it is told active, or is let in.

    The status is believed at once, and for as long as no other is told. A refusal with
    the explicit text counts after two in a row of one probe, unless the gateway has told
    the team's status since.
    """
    found = {**_told(team), **_refused(team)}
    for level in _ORDER:
        if level in found:
            return _fire(level, found[level])
    if _undecided(team):
        return HOLD
    return CLEAR


def _told(team: TeamSight) -> dict[Level, Evidence]:
    level = _BY_STATUS.get(team.status)
    return {} if level is None else {level: Evidence(since=team.status_at)}


def _refused(team: TeamSight) -> dict[Level, Evidence]:
    found = {}
    for samples in team.outcomes:
        last = _answers(samples)[-_IN_A_ROW:]
        levels = {_BY_CLASS.get(sample.error_class) for sample in last}
        level = levels.pop() if len(levels) == 1 else None
        if level is None or len(last) < _IN_A_ROW or _is_outdated(last, team):
            continue
        found[level] = Evidence(
            since=last[0].at,
            classes={_CLASSES[level]: len(last)},
            details=tuple(dict.fromkeys(s.detail for s in last if s.detail)),
        )
    return found


def _answers(samples: Sequence[Sample]) -> list[Sample]:
    """Return what says something of the team: not the gateway's own failures."""
    return [s for s in in_rate(samples) if not is_gateways_fault(s.error_class)]


def _is_outdated(refusals: Sequence[Sample], team: TeamSight) -> bool:
    """Say whether the gateway told the team active after these refusals."""
    if team.status != "active" or team.status_at is None:
        return False
    return team.status_at > refusals[-1].at


def _undecided(team: TeamSight) -> bool:
    """Say whether the latest answer of some probe is a refusal that is not yet proven."""
    if not team.status and not any(_answers(samples) for samples in team.outcomes):
        return True
    for samples in team.outcomes:
        last = _answers(samples)[-1:]
        level = _BY_CLASS.get(last[0].error_class) if last else None
        if level is not None and not _is_outdated(last, team):
            return True
    return False


def _fire(level: Level, evidence: Evidence) -> Verdict:
    return Verdict(
        Step.FIRE,
        Severity.CRITICAL if level is Level.SUSPENDED else Severity.WARNING,
        level,
        _TEXTS[level],
        error_class=_CLASSES.get(level, ""),
        evidence=evidence,
    )
