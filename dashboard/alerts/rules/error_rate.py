"""An error-rate spike: a fixed limit, and a bound that few samples cannot pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

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
    class_counts,
    dominant,
    good_in_a_row,
    in_rate,
    latest_details,
    mix,
)

_Z95 = 1.959963984540054
# Far above a baseline is three times it and ten points more than it.
_TIMES_BASELINE, _ABOVE_BASELINE = 3, 0.10
LEAST_BASELINE = 50


@dataclass(frozen=True, slots=True)
class Past:
    """Earlier outcomes that a rule may ask to agree: counts of samples and failures.

    `long_` are those of the long window, `usual_` those of the 24 hours before the
    window, without the times in which the alarm fired and without maintenance.
    """

    long_samples: int = 0
    long_bad: int = 0
    usual_samples: int = 0
    usual_bad: int = 0

    @property
    def baseline(self) -> float | None:
        """Return the usual error rate; None where too few samples tell it."""
        if self.usual_samples < LEAST_BASELINE:
            return None
        return self.usual_bad / self.usual_samples


def wilson_lower(bad: int, samples: int) -> float:
    """Return the lower end of the 95 % Wilson interval of bad/samples; 0.0 for none."""
    if samples == 0:
        return 0.0
    rate, z2 = bad / samples, _Z95 * _Z95
    middle = rate + z2 / (2 * samples)
    spread = _Z95 * sqrt((rate * (1 - rate) + z2 / (4 * samples)) / samples)
    return max(0.0, (middle - spread) / (1 + z2 / samples))


def error_rate(
    samples: Sequence[Sample],
    limits: Limits,
    window_s: int,
    now: datetime,
    past: Past | None = None,
) -> Verdict:
    """Judge one probe's outcomes of the last `window_s` seconds.

    Fires where there are enough samples and failures, the rate is beyond its limit with
    95 % confidence, and the latest sample failed. Where `past` is told, its long window
    must be beyond the limit too, and the rate far above its baseline. With `of_last` only
    so many latest runs are looked at, and `min_bad` failures among them are enough.

    Clears after `clear_after` successes in a row with the rate below half the limit, or
    with no failure left in the window. Too few samples never clear.
    """
    window = in_rate(
        [s for s in samples if now - timedelta(seconds=window_s) < s.at <= now]
    )[-(limits.of_last or 0) :]
    bad = [sample for sample in window if sample.bad]
    reached = _reached(len(bad), len(window), limits)
    if reached is not None and window[-1].bad:
        rate = len(bad) / len(window)
        if past is None or _agrees(past, rate, reached[1]):
            return _fire(window, bad, window_s, reached)
    return CLEAR if _is_over(window, len(bad), limits) else HOLD


def _reached(bad: int, samples: int, limits: Limits) -> tuple[Severity, float] | None:
    if bad < limits.min_bad:
        return None
    if limits.of_last is not None:
        severity = Severity.WARNING if limits.critical_at is None else Severity.CRITICAL
        return severity, limits.min_bad / limits.of_last
    if samples < limits.min_samples:
        return None
    bound = wilson_lower(bad, samples)
    if limits.critical_at is not None and bound >= limits.critical_at:
        return Severity.CRITICAL, limits.critical_at
    if limits.warn_at is not None and bound >= limits.warn_at:
        return Severity.WARNING, limits.warn_at
    return None


def _agrees(past: Past, rate: float, limit: float) -> bool:
    """Say whether the long window and the baseline agree; what is not known does."""
    if past.long_samples and past.long_bad / past.long_samples < limit:
        return False
    usual = past.baseline
    if usual is None:
        return True
    return rate >= max(_TIMES_BASELINE * usual, usual + _ABOVE_BASELINE)


def _is_over(window: Sequence[Sample], bad: int, limits: Limits) -> bool:
    if good_in_a_row(window) < max(1, limits.clear_after):
        return False
    if bad == 0:
        return True
    if limits.of_last is not None:
        return bad < limits.min_bad
    limit = limits.warn_at if limits.warn_at is not None else limits.critical_at
    enough = len(window) >= limits.min_samples
    return limit is not None and enough and bad / len(window) < limit / 2


def _fire(
    window: Sequence[Sample],
    bad: Sequence[Sample],
    window_s: int,
    reached: tuple[Severity, float],
) -> Verdict:
    severity, limit = reached
    classes = class_counts(window)
    rate = len(bad) / len(window)
    return Verdict(
        Step.FIRE,
        severity,
        Level.HIGH if severity is Severity.CRITICAL else Level.RAISED,
        f"{len(bad)} of {len(window)} runs failed in {minutes(window_s)} "
        f"({rate * 100:.0f} %, limit {limit * 100:.0f} %): {mix(classes)}",
        value=rate,
        limit=limit,
        samples=len(window),
        error_class=dominant(classes),
        evidence=Evidence(
            since=bad[0].at,
            latest=bad[-1].at,
            window_s=window_s,
            bad=len(bad),
            classes=classes,
            details=latest_details(window),
        ),
    )


def minutes(seconds: int) -> str:
    """Return "5 min", "90 s" or, of what is some hours long, "6 h"."""
    if seconds >= 2 * 3600 and seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    whole, rest = divmod(seconds, 60)
    return f"{whole} min" if whole and not rest else f"{seconds} s"
