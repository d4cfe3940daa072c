"""What a bucket counts, as a pure value: the same for any split of its outcomes."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Protocol

from dashboard.lib import buckets, histogram
from dashboard.probes.taxonomy import ErrorClass, counted

LEVELS = (buckets.MINUTE_S, buckets.HOUR_S, buckets.DAY_S)
# Shared, as those of equal rows are: a tally is merged, never changed.
_NONE: Counter[str] = Counter()


class Key(NamedTuple):
    """Which bucket: sorts in the order in which rows are written."""

    probe_id: int
    level: int
    start: datetime


class Sample(Protocol):
    """What is read of an outcome."""

    @property
    def probe_id(self) -> int: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def latency_us(self) -> int: ...
    @property
    def connect_us(self) -> int | None: ...
    @property
    def tls_us(self) -> int | None: ...
    @property
    def first_byte_us(self) -> int | None: ...
    @property
    def error_class(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def maintenance(self) -> bool: ...


class Tally(NamedTuple):
    """The counts of one bucket, or of several put together.

    `samples` are the outcomes in the error rate and `bad` the failed ones among them;
    `attempts` and the latencies are theirs alone. `classes` has everything that failed
    but in a maintenance: all of that is only in `excluded`. `phased` counts the successes
    whose phases are known; their sums are the latency of those (`phased_sum_us`) and its
    parts, of which the body is the rest. `up_s` and `down_s` are the seconds that the
    outcomes stand for: only whoever knows their period can say, see `standing_for`.
    """

    samples: int = 0
    bad: int = 0
    excluded: int = 0
    first_try_ok: int = 0
    attempts: int = 0
    classes: Counter[str] = _NONE
    ok_sum_us: int = 0
    ok_min_us: int | None = None
    ok_max_us: int | None = None
    ok_histogram: bytes = b""
    phased: int = 0
    phased_sum_us: int = 0
    connect_sum_us: int = 0
    tls_sum_us: int = 0
    first_byte_sum_us: int = 0
    bad_sum_us: int = 0
    bad_histogram: bytes = b""
    up_s: int = 0
    down_s: int = 0


def standing_for(part: Tally, period_s: int) -> Tally:
    """Return the counts with the time they stand for: one period for each outcome.

    A run that was held stands for the outage that held it.
    """
    held = part.classes[ErrorClass.BREAKER_HELD] if part.classes else 0
    return part._replace(
        up_s=(part.samples - part.bad) * period_s, down_s=(part.bad + held) * period_s
    )


def tally(samples: Iterable[Sample]) -> Tally:
    """Count some outcomes, whichever bucket they are in."""
    classes: Counter[str] = Counter()
    good: list[Sample] = []
    bad_us: list[int] = []
    attempts = excluded = 0
    for sample in samples:
        error_class = sample.error_class
        if error_class and not sample.maintenance:
            classes[error_class] += 1
        if sample.maintenance or not counted(error_class):
            excluded += 1
            continue
        attempts += sample.attempts
        if error_class:
            bad_us.append(sample.latency_us)
        else:
            good.append(sample)
    good_us = [sample.latency_us for sample in good]
    phased = [sample for sample in good if sample.first_byte_us is not None]
    return Tally(
        samples=len(good) + len(bad_us),
        bad=len(bad_us),
        excluded=excluded,
        first_try_ok=sum(sample.attempts == 1 for sample in good),
        attempts=attempts,
        classes=classes,
        ok_sum_us=sum(good_us),
        ok_min_us=min(good_us, default=None),
        ok_max_us=max(good_us, default=None),
        ok_histogram=histogram.of(good_us),
        phased=len(phased),
        phased_sum_us=sum(sample.latency_us for sample in phased),
        connect_sum_us=sum(sample.connect_us or 0 for sample in phased),
        tls_sum_us=sum(sample.tls_us or 0 for sample in phased),
        first_byte_sum_us=sum(sample.first_byte_us or 0 for sample in phased),
        bad_sum_us=sum(bad_us),
        bad_histogram=histogram.of(bad_us),
    )


def merged(parts: Iterable[Tally]) -> Tally:
    """Put tallies together; the order does not matter and nothing is lost."""
    parts = list(parts)
    if len(parts) < 2:
        return parts[0] if parts else Tally()
    # Column by column in C: a page merges thousands.
    columns = dict(zip(Tally._fields, zip(*parts, strict=True), strict=True))
    classes: Counter[str] = Counter()
    for some in filter(None, columns["classes"]):
        for error_class, number in some.items():
            classes[error_class] += number
    return Tally(
        **{name: sum(columns[name]) for name in _SUMMED},
        classes=classes,
        ok_min_us=min(_known(columns["ok_min_us"]), default=None),
        ok_max_us=max(_known(columns["ok_max_us"]), default=None),
        ok_histogram=histogram.merge(columns["ok_histogram"]),
        bad_histogram=histogram.merge(columns["bad_histogram"]),
    )


def _known(column: Iterable[int | None]) -> list[int]:
    return [value for value in column if value is not None]


_SUMMED = (
    "samples",
    "bad",
    "excluded",
    "first_try_ok",
    "attempts",
    "ok_sum_us",
    "phased",
    "phased_sum_us",
    "connect_sum_us",
    "tls_sum_us",
    "first_byte_sum_us",
    "bad_sum_us",
    "up_s",
    "down_s",
)


def by_bucket(samples: Iterable[Sample]) -> dict[Key, Tally]:
    """Count outcomes into the buckets of all levels, in key order.

    An hour is made of its minutes and a day of its hours, so that each latency is put
    into a histogram once.
    """
    groups: dict[Key, list[Sample]] = {}
    for sample in samples:
        start = buckets.floor(sample.started_at, buckets.MINUTE_S)
        groups.setdefault(Key(sample.probe_id, buckets.MINUTE_S, start), []).append(
            sample
        )
    level = {key: tally(group) for key, group in groups.items()}
    tallies = dict(level)
    for coarser in LEVELS[1:]:
        level = coarsened(level, coarser)
        tallies.update(level)
    return dict(sorted(tallies.items()))


def coarsened(tallies: dict[Key, Tally], level: int) -> dict[Key, Tally]:
    """Merge tallies of one level into the buckets of a coarser one."""
    groups: dict[Key, list[Tally]] = {}
    for key, part in tallies.items():
        start = buckets.floor(key.start, level)
        groups.setdefault(Key(key.probe_id, level, start), []).append(part)
    return {key: merged(parts) for key, parts in groups.items()}
