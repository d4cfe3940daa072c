"""An error budget that burns too fast, seen over a long and a short window at once.

With an objective of 99 % the budget is 1 % of the runs; a burn rate of 1 spends just all
of it in the objective's own time. The long window says that it matters, the short one, a
twelfth of it, that it goes on; so the alarm ends soon after the trouble. The three steps
are the SRE workbook's for a month: 2 % of the budget in an hour, 5 % in six, 10 % in
three days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Level,
    Limits,
    Severity,
    Step,
    Verdict,
)
from dashboard.lib.spans import roughly

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Burning:
    """One step: how fast, over which two windows, and how bad that is."""

    long_s: int
    short_s: int
    rate: float
    severity: Severity
    level: Level


STEPS = (
    Burning(_HOUR_S, 5 * _MINUTE_S, 14.4, Severity.CRITICAL, Level.HIGH),
    Burning(6 * _HOUR_S, 30 * _MINUTE_S, 6.0, Severity.CRITICAL, Level.HIGH),
    Burning(3 * _DAY_S, 6 * _HOUR_S, 1.0, Severity.WARNING, Level.RAISED),
)
WINDOWS_S = tuple(sorted({s for each in STEPS for s in (each.long_s, each.short_s)}))


@dataclass(frozen=True, slots=True)
class Count:
    """The outcomes of one window: those in the error rate, and the failed ones of them."""

    samples: int = 0
    bad: int = 0


def burn_rate(
    counts: Mapping[int, Count],
    limits: Limits,
    now: datetime,
    over: datetime | None = None,
) -> Verdict:
    """Judge one probe's budget by its counts in each of WINDOWS_S.

    Guard against few samples: the long window needs `min_samples`, and `min_bad`
    failures. The first step that is reached, the fastest, is told. Where an outage
    that is `over` speaks for the alarm, it burns anew when a window that begins after
    that burns as fast alone, by at least `min_bad` failures.
    """
    if limits.objective is None:
        return HOLD
    budget = 1 - limits.objective
    anew = _since(counts, over, now)
    for step in STEPS:
        long, short = (
            counts.get(step.long_s, Count()),
            counts.get(step.short_s, Count()),
        )
        enough = long.samples >= limits.min_samples and long.bad >= limits.min_bad
        if enough and min(_burn(long, budget), _burn(short, budget)) >= step.rate:
            is_anew = anew.bad >= limits.min_bad and _burn(anew, budget) >= step.rate
            # Long windows begin with a whole hour.
            begins_s = step.short_s + (_HOUR_S if step.short_s > 2 * _HOUR_S else 0)
            latest = now if is_anew else now - timedelta(seconds=begins_s)
            return _fire(step, long, limits.objective, now, latest)
    return CLEAR if any(count.samples for count in counts.values()) else HOLD


def _since(counts: Mapping[int, Count], over: datetime | None, now: datetime) -> Count:
    """Return the longest window, up to an hour, that has nothing of an outage."""
    if over is None:
        return Count()
    # They begin with a whole minute, those that are longer with a whole hour.
    longest_s = min((now - over).total_seconds() - _MINUTE_S, _HOUR_S)
    within = [length for length in WINDOWS_S if length <= longest_s]
    return counts.get(max(within), Count()) if within else Count()


def _burn(count: Count, budget: float) -> float:
    # Rounded, so that 14.4 % of failures at 99 % burn at 14.4 and not a little less.
    return round(count.bad / count.samples / budget, 9) if count.samples else 0.0


def _fire(
    step: Burning, long: Count, objective: float, now: datetime, latest: datetime
) -> Verdict:
    rate = _burn(long, 1 - objective)
    return Verdict(
        Step.FIRE,
        step.severity,
        step.level,
        f"{long.bad} of {long.samples} runs failed in {roughly(step.long_s)}: the error "
        f"budget of {objective * 100:g} % burns {rate:.3g} times too fast "
        f"(limit {step.rate:g})",
        value=rate,
        limit=step.rate,
        samples=long.samples,
        evidence=Evidence(
            since=now,
            latest=latest,
            window_s=step.long_s,
            bad=long.bad,
        ),
    )
