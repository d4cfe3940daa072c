"""Answers that are slow: the 95th percentile, judged by counting."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.alerts.rules.error_rate import minutes
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

# It clears below its limit times this.
CLEARS_AT = 0.8
# Of fewer runs the p95 is hardly more than the slowest.
_LEAST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Slowness:
    """How long the runs of a window took.

    `slow` of the `samples` took longer than the rule's limit, and `nearly` longer than
    what it clears at. Runs that timed out are among all three, since nobody knows how
    long they would have taken; other failures are in none: a refused connection is not
    fast. The quantiles are those of the successes.
    """

    samples: int
    slow: int
    nearly: int
    timed_out: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


def least_samples(asked_for: int) -> int:
    """Return how many runs a verdict needs: never fewer than a percentile does."""
    return max(asked_for, _LEAST_SAMPLES)


def most_slow(samples: int) -> int:
    """Return how many of the samples may be slow while the p95 is within its limit.

    By nearest rank the p95 is number ceil(0.95 n) of n in order.
    """
    return samples - -(-95 * samples // 100)


def latency(
    pace: Slowness | None,
    limit_ms: float,
    limits: Limits,
    now: datetime,
    *,
    window_s: int,
    is_open: bool,
    anew: Slowness | None = None,
) -> Verdict:
    """Judge whether the p95 of one probe is beyond its limit.

    `anew` is what came since an outage that is over, where one speaks for the alarm: it
    is slow anew when the p95 of that is, too, by at least `min_bad` runs.
    An open alarm clears only with the p95 below 0.8 times the limit. Fewer samples than
    `min_samples`, and than 20 whatever a rule says, decide nothing.
    """
    if pace is None or pace.samples < least_samples(limits.min_samples):
        return HOLD
    most = most_slow(pace.samples)
    if pace.slow > most:
        is_anew = (
            anew is not None
            and anew.slow >= limits.min_bad
            and anew.slow > most_slow(anew.samples)
        )
        latest = now if is_anew else now - timedelta(seconds=window_s)
        return _fire(pace, limit_ms, window_s, now, latest)
    return HOLD if is_open and pace.nearly > most else CLEAR


def _fire(
    pace: Slowness, limit_ms: float, window_s: int, now: datetime, latest: datetime
) -> Verdict:
    timed_out = f", {pace.timed_out} of them timed out" if pace.timed_out else ""
    p95 = (
        f"p95 of the others {duration_ms(pace.p95_ms)}"
        if pace.timed_out and pace.p95_ms is not None
        else f"p95 {duration_ms(pace.p95_ms)}"
        if pace.p95_ms is not None
        else "no success"
    )
    return Verdict(
        Step.FIRE,
        Severity.WARNING,
        Level.RAISED,
        f"{pace.slow} of {pace.samples} runs took longer than {duration_ms(limit_ms)} "
        f"in {minutes(window_s)}{timed_out} ({p95})",
        value=pace.p95_ms,
        limit=limit_ms,
        samples=pace.samples,
        error_class="timeout" if pace.timed_out else "",
        evidence=Evidence(
            since=now,
            latest=latest,
            window_s=window_s,
            bad=pace.slow,
            classes={"timeout": pace.timed_out} if pace.timed_out else {},
        ),
    )


def duration_ms(value_ms: float | None) -> str:
    """Return "850 ms" or "2.4 s"."""
    if value_ms is None:
        return "unknown"
    return f"{value_ms:.0f} ms" if value_ms < 1000 else f"{value_ms / 1000:.3g} s"
