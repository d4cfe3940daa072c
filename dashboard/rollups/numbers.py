"""The numbers that pages, rules and mails read: frozen, and honest about their samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dashboard.lib import histogram
from dashboard.rollups.tally import Tally

# Below these a quantile is one of the last few values: shown as "too few to say".
LEAST_FOR_P95 = 20
LEAST_FOR_P99 = 200


@dataclass(frozen=True, slots=True)
class Summary:
    """What some probes saw in [start, end), a window widened to whole buckets.

    `samples` counts the outcomes in the error rate, `bad` the failed ones among them,
    `excluded` held runs and our own faults, `expected` what the probes' periods promise.
    Rates are 0..1. Latencies are milliseconds on the wire of successes, quantiles by
    nearest rank within one per cent. What nothing is known of is None, never 0.
    `classes` counts everything that failed, excluded ones too, the most frequent first.
    `latest_at` is when the last outcome in the window started (where that is not known
    to the second: the start of its bucket).
    """

    start: datetime
    end: datetime
    samples: int
    bad: int
    excluded: int
    expected: int
    first_try_ok: int
    attempts: int
    classes: Mapping[str, int]
    mean_ms: float | None
    min_ms: float | None
    max_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    latest_at: datetime | None

    @property
    def good(self) -> int:
        return self.samples - self.bad

    @property
    def error_rate(self) -> float | None:
        return _share(self.bad, self.samples)

    @property
    def first_try_rate(self) -> float | None:
        return _share(self.first_try_ok, self.samples)

    @property
    def coverage(self) -> float | None:
        """The share of the expected outcomes that is there; held runs are there too."""
        known = _share(self.samples + self.excluded, self.expected)
        return known if known is None else min(1.0, known)

    @property
    def p95_is_thin(self) -> bool:
        return self.good < LEAST_FOR_P95

    @property
    def p99_is_thin(self) -> bool:
        return self.good < LEAST_FOR_P99


def summary(
    part: Tally,
    *,
    start: datetime,
    end: datetime,
    expected: float,
    latest_at: datetime | None,
) -> Summary:
    """Return the numbers of a tally that covers [start, end)."""
    good = part.samples - part.bad
    return Summary(
        start=start,
        end=end,
        samples=part.samples,
        bad=part.bad,
        excluded=part.excluded,
        expected=int(expected),
        first_try_ok=part.first_try_ok,
        attempts=part.attempts,
        classes=_sorted_classes(part.classes),
        mean_ms=_ms(part.ok_sum_us / good if good else None),
        min_ms=_ms(part.ok_min_us),
        max_ms=_ms(part.ok_max_us),
        p50_ms=_quantile_ms(part, 0.50),
        p95_ms=_quantile_ms(part, 0.95),
        p99_ms=_quantile_ms(part, 0.99),
        latest_at=latest_at,
    )


def _sorted_classes(classes: Mapping[str, int]) -> dict[str, int]:
    """Return the counts with the most frequent first, equal ones by name."""
    return dict(sorted(classes.items(), key=lambda item: (-item[1], item[0])))


def _quantile_ms(part: Tally, q: float) -> float | None:
    value = histogram.quantile(part.ok_histogram, q)
    if value is None or part.ok_min_us is None or part.ok_max_us is None:
        return None
    # A bucket's value may lie just outside of what was seen; never show p95 > max.
    return _ms(min(max(value, part.ok_min_us), part.ok_max_us))


def _ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1000


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
