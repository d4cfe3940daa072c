"""The numbers that pages, rules and mails read: frozen, and honest about their samples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dashboard.lib import buckets, histogram
from dashboard.rollups.tally import Tally, merged

# Below these a quantile is one of the last few values: shown as "too few to say".
LEAST_FOR_P90 = 10
LEAST_FOR_P95 = 20
LEAST_FOR_P99 = 200
# Below this one failure more or less is 20 points of the rate or more.
LEAST_FOR_RATE = 5
# A new probe's first results stand for more time than there has been.
LEAST_WATCHED_S = 600
QUANTILES = (0.50, 0.90, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class PhaseMeans:
    """What a success took on average in each phase, in milliseconds; they add up.

    `samples` counts the successes whose phases are known. Plain http has a `tls_ms`
    of 0.
    """

    samples: int
    connect_ms: float
    tls_ms: float
    first_byte_ms: float
    body_ms: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What some probes saw in [start, end), a window widened to whole buckets.

    `samples` counts the outcomes in the error rate, `bad` the failed ones among them,
    `excluded` held runs and our own faults, `expected` what the probes' periods promise
    while they are on, and what came beyond: a run that is asked for, or the first one.
    Rates are 0..1. Latencies are milliseconds on the wire of successes, quantiles by
    nearest rank within one per cent. What nothing is known of is None, never 0.
    `classes` counts everything that failed, excluded ones too, the most frequent first.
    `latest_at` is when the last outcome in the window started (where that is not known
    to the second: the start of its bucket), `asked_at` the moment of the question.
    `up_s` and `down_s` are the probes' time in either state, see `availability`, and
    `watched_s` how much of the window lies after the first of them was made.
    """

    start: datetime
    end: datetime
    asked_at: datetime
    samples: int
    bad: int
    excluded: int
    expected: int
    first_try_ok: int
    attempts: int
    classes: Mapping[str, int]
    up_s: float
    down_s: float
    mean_ms: float | None
    min_ms: float | None
    max_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    phases: PhaseMeans | None
    latest_at: datetime | None
    watched_s: float | None = None

    @property
    def good(self) -> int:
        return self.samples - self.bad

    @property
    def error_rate(self) -> float | None:
        return _share(self.bad, self.samples)

    @property
    def success_rate(self) -> float | None:
        """The share that succeeded in the end, retries included."""
        return _share(self.good, self.samples)

    @property
    def first_try_rate(self) -> float | None:
        return _share(self.first_try_ok, self.samples)

    @property
    def availability(self) -> float | None:
        """The share of the known time in which the probes' targets worked.

        A result stands for one period of its probe, whatever that was then. A run that
        was held stands for the outage that held it, so an outage counts for its whole
        length; time without results is unknown and on neither side.
        """
        return _share(self.up_s, self.up_s + self.down_s)

    @property
    def availability_is_thin(self) -> bool:
        """Say whether nobody has watched for long enough to make a share of it."""
        if self.watched_s is None:
            return False
        half_s = buckets.seconds(self.start, min(self.end, self.asked_at)) / 2
        return self.watched_s < min(LEAST_WATCHED_S, half_s)

    @property
    def per_minute(self) -> float | None:
        """Counted calls a minute, up to the moment of the question."""
        seconds = buckets.seconds(self.start, min(self.end, self.asked_at))
        return _share(self.samples * buckets.MINUTE_S, seconds)

    @property
    def coverage(self) -> float | None:
        """The share of the expected outcomes that is there; held runs are there too."""
        known = _share(self.samples + self.excluded, self.expected)
        return known if known is None else min(1.0, known)

    @property
    def age_s(self) -> float | None:
        """How old the last outcome in the window is; never negative."""
        if self.latest_at is None:
            return None
        return buckets.seconds(self.latest_at, self.asked_at)

    @property
    def rate_is_thin(self) -> bool:
        """Say whether there are too few samples to make a rate of them."""
        return self.samples < LEAST_FOR_RATE

    @property
    def p90_is_thin(self) -> bool:
        return self.good < LEAST_FOR_P90

    @property
    def p95_is_thin(self) -> bool:
        return self.good < LEAST_FOR_P95

    @property
    def p99_is_thin(self) -> bool:
        return self.good < LEAST_FOR_P99


@dataclass(frozen=True, slots=True)
class Comparison:
    """A window beside the equally long one before it; a change is None when thin.

    Changes of rates are points (0.02 is two per cent more), of latencies ratios
    (0.25 is a quarter slower).
    """

    current: Summary
    previous: Summary

    @property
    def availability_change(self) -> float | None:
        if self.current.rate_is_thin or self.previous.rate_is_thin:
            return None
        return _difference(self.current.availability, self.previous.availability)

    @property
    def p95_change(self) -> float | None:
        if self.current.p95_is_thin or self.previous.p95_is_thin:
            return None
        return _ratio(self.current.p95_ms, self.previous.p95_ms)


class Part(NamedTuple):
    """Some rows together: their counts, and the seconds that were good and bad."""

    tally: Tally
    up_s: float
    down_s: float

    def within(self, most_s: float) -> "Part":
        """Return it with no more time in both states together than there was."""
        known_s = self.up_s + self.down_s
        if known_s <= most_s:
            return self
        share = most_s / known_s
        return self._replace(up_s=self.up_s * share, down_s=self.down_s * share)


def part_of(tallies: Iterable[Tally]) -> Part:
    """Put the counts of rollup rows together."""
    tally = merged(tallies)
    return Part(tally, tally.up_s, tally.down_s)


def together(parts: Iterable[Part]) -> Part:
    """Put together what was put together: the same as of all their rows at once."""
    parts = list(parts)
    return Part(
        tally=merged(part.tally for part in parts),
        up_s=sum(part.up_s for part in parts),
        down_s=sum(part.down_s for part in parts),
    )


def summary(
    part: Part,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    expected: float,
    latest_at: datetime | None,
    watched_s: float | None = None,
) -> Summary:
    """Return the numbers of a part."""
    seen = part.tally
    good = seen.samples - seen.bad
    p50_ms, p90_ms, p95_ms, p99_ms = _quantiles_ms(seen)
    return Summary(
        start=start,
        end=end,
        asked_at=now,
        samples=seen.samples,
        bad=seen.bad,
        excluded=seen.excluded,
        expected=int(expected),
        first_try_ok=seen.first_try_ok,
        attempts=seen.attempts,
        classes=_sorted_classes(seen.classes),
        up_s=part.up_s,
        down_s=part.down_s,
        mean_ms=_ms(seen.ok_sum_us / good if good else None),
        min_ms=_ms(seen.ok_min_us),
        max_ms=_ms(seen.ok_max_us),
        p50_ms=p50_ms,
        p90_ms=p90_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        phases=_phases(seen),
        latest_at=latest_at,
        watched_s=watched_s,
    )


def _sorted_classes(classes: Mapping[str, int]) -> dict[str, int]:
    """Return the counts with the most frequent first, equal ones by name."""
    return dict(sorted(classes.items(), key=lambda item: (-item[1], item[0])))


def _quantiles_ms(part: Tally) -> list[float | None]:
    values = histogram.quantiles(part.ok_histogram, QUANTILES)
    least, most = part.ok_min_us, part.ok_max_us
    if values is None or least is None or most is None:
        return [None] * len(QUANTILES)
    # A bucket's value may lie just outside of what was seen; never show p95 > max.
    return [_ms(min(max(value, least), most)) for value in values]


def _phases(part: Tally) -> PhaseMeans | None:
    if not part.phased:
        return None
    before_us = part.connect_sum_us + part.tls_sum_us + part.first_byte_sum_us
    to_mean_ms = 1 / part.phased / 1000
    return PhaseMeans(
        samples=part.phased,
        connect_ms=part.connect_sum_us * to_mean_ms,
        tls_ms=part.tls_sum_us * to_mean_ms,
        first_byte_ms=part.first_byte_sum_us * to_mean_ms,
        body_ms=max(0, part.phased_sum_us - before_us) * to_mean_ms,
    )


def _ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1000


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _difference(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


def _ratio(new: float | None, old: float | None) -> float | None:
    return None if new is None or not old else new / old - 1
