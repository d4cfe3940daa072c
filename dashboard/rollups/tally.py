"""What a bucket counts, as a pure value: the same for any split of its outcomes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple, Protocol

from dashboard.lib import buckets, histogram
from dashboard.probes.taxonomy import counted

LEVELS = (buckets.MINUTE_S, buckets.HOUR_S, buckets.DAY_S)


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


@dataclass(slots=True)
class Tally:
    """The counts of one bucket, or of several put together.

    `samples` are the outcomes in the error rate and `bad` the failed ones among them;
    `attempts` and the latencies are theirs alone. `classes` has everything that failed
    but in a maintenance: all of that is only in `excluded`. `phased` counts the successes
    whose phases are known; their sums are the latency of those (`phased_sum_us`) and its
    parts, of which the body is the rest.
    """

    samples: int = 0
    bad: int = 0
    excluded: int = 0
    first_try_ok: int = 0
    attempts: int = 0
    classes: Counter[str] = field(default_factory=Counter)
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


def tally(samples: Iterable[Sample]) -> Tally:
    """Count some outcomes, whichever bucket they are in."""
    result = Tally()
    good_us: list[int] = []
    bad_us: list[int] = []
    for sample in samples:
        error_class = sample.error_class
        if sample.maintenance:
            result.excluded += 1
            continue
        if error_class:
            result.classes[error_class] += 1
        if not counted(error_class):
            result.excluded += 1
            continue
        result.attempts += sample.attempts
        if error_class:
            bad_us.append(sample.latency_us)
        else:
            good_us.append(sample.latency_us)
            result.first_try_ok += sample.attempts == 1
            if sample.first_byte_us is not None:
                result.phased += 1
                result.phased_sum_us += sample.latency_us
                result.connect_sum_us += sample.connect_us or 0
                result.tls_sum_us += sample.tls_us or 0
                result.first_byte_sum_us += sample.first_byte_us
    result.samples, result.bad = len(good_us) + len(bad_us), len(bad_us)
    result.ok_sum_us, result.bad_sum_us = sum(good_us), sum(bad_us)
    result.ok_min_us = min(good_us, default=None)
    result.ok_max_us = max(good_us, default=None)
    result.ok_histogram = histogram.of(good_us)
    result.bad_histogram = histogram.of(bad_us)
    return result


def merged(parts: Iterable[Tally]) -> Tally:
    """Put tallies together; the order does not matter and nothing is lost."""
    parts = list(parts)
    if not parts:
        return Tally()
    classes: Counter[str] = Counter()
    for part in parts:
        for error_class, number in part.classes.items():
            classes[error_class] += number
    least = [part.ok_min_us for part in parts if part.ok_min_us is not None]
    most = [part.ok_max_us for part in parts if part.ok_max_us is not None]
    # Column by column in C: a page merges thousands.
    sums = map(sum, zip(*map(_summed_of, parts), strict=True))
    return Tally(
        **dict(zip(_SUMMED, sums, strict=True)),
        classes=classes,
        ok_min_us=min(least, default=None),
        ok_max_us=max(most, default=None),
        ok_histogram=histogram.merge(part.ok_histogram for part in parts),
        bad_histogram=histogram.merge(part.bad_histogram for part in parts),
    )


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
)
_summed_of = attrgetter(*_SUMMED)


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
    return {
        key: parts[0] if len(parts) == 1 else merged(parts)
        for key, parts in groups.items()
    }
