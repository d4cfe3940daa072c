"""What many probes did in the last hour, the day before it, and the last day.

The overview shows all of it at once, so it is read at once: two queries, whatever the
number of probes. Of the last hour the running clock hour is one row, and only what came
before it is read by minutes: some 30 rows a probe instead of 60.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S, MINUTE_S, Stretch
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe
from dashboard.rollups import store
from dashboard.rollups.numbers import Part, Summary, part_of, summary, together
from dashboard.rollups.tally import Tally

HOURS = 24
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Totals:
    """Some probes together: the last hour, the day's whole hours before, and each hour."""

    current: Summary
    before: Summary
    day: tuple[Summary, ...]


@dataclass(frozen=True, slots=True)
class Recent:
    """Each probe's last hour, and all of them together.

    `quick` leaves the paid probes out: a job with an LLM call takes seconds, and among
    the others' milliseconds its latency would say nothing of either. `hours` are the
    starts of the day's hours, the running one last; `by_hour` has what a probe counted in
    them, and nothing where it saw nothing: its strip needs no quantiles.
    """

    by_probe: Mapping[int, Summary]
    every: Totals
    quick: Totals
    hours: tuple[datetime, ...]
    by_hour: Mapping[int, Mapping[datetime, Tally]]

    @property
    def leaves_out_paid(self) -> bool:
        """Say whether paid probes ran, so that `quick` is without their results."""
        return self.quick is not self.every


def recent(probes: Collection[Probe], now: datetime) -> Recent:
    """Return the numbers of these probes; rates leave the running minute in."""
    probe_ids = [probe.pk for probe in probes]
    paid = {probe.pk for probe in probes if probe.kind in PAID}
    end = buckets.ceil(now, MINUTE_S)
    first_hour = buckets.floor(now, HOUR_S) - (HOURS - 1) * _HOUR
    hours = tuple(first_hour + place * _HOUR for place in range(HOURS))
    begins = end - _HOUR
    minutes = store.rows_in(probe_ids, [Stretch(MINUTE_S, begins, hours[-1])])
    hourly = store.rows_in(probe_ids, [Stretch(HOUR_S, hours[0], hours[-1] + _HOUR)])
    current = _current(probe_ids, minutes, hourly, hours[-1])

    def put_together(some: Collection[int]) -> _Seen:
        parts = [current[probe_id] for probe_id in some]
        return _Seen(now, begins, parts, _hours(hours, hourly, some))

    quick, slow = put_together(set(probe_ids) - paid), put_together(paid)
    told = quick.totals()
    has_paid = any(key.probe_id in paid for key in (*minutes, *hourly))
    return Recent(
        by_probe={
            pk: _summary(part, begins, begins + _HOUR, now)
            for pk, part in current.items()
        },
        every=quick.beside(slow).totals() if has_paid else told,
        quick=told,
        hours=hours,
        by_hour=_by_hour(probe_ids, hourly),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Some probes' rows, put together: by probe in the last hour, by hour in the day.

    A page merges each row twice at most, and then what was merged. `begins` is where the
    last hour does.
    """

    now: datetime
    begins: datetime
    current: Sequence[Part]
    hours: Mapping[datetime, Part]

    def beside(self, other: "_Seen") -> "_Seen":
        return replace(
            self,
            current=[*self.current, *other.current],
            hours={
                hour: together([part, other.hours[hour]])
                for hour, part in self.hours.items()
            },
        )

    def totals(self) -> Totals:
        first, before_end = min(self.hours), buckets.floor(self.begins, HOUR_S)
        before = [part for hour, part in self.hours.items() if hour < before_end]
        current = together(self.current)
        return Totals(
            current=_summary(current, self.begins, self.begins + _HOUR, self.now),
            before=_summary(together(before), first, before_end, self.now),
            day=tuple(
                _summary(part, hour, hour + _HOUR, self.now)
                for hour, part in self.hours.items()
            ),
        )


def _current(
    probe_ids: Iterable[int],
    minutes: store.Rows,
    hourly: store.Rows,
    running: datetime,
) -> dict[int, Part]:
    """Return each probe's last hour; the running clock hour is one row of it."""
    found: dict[int, list[Tally]] = {pk: [] for pk in probe_ids}
    for key, (_, tally) in minutes.items():
        found[key.probe_id].append(tally)
    for key, (_, tally) in hourly.items():
        if key.start == running:
            found[key.probe_id].append(tally)
    return {pk: part_of(tallies) for pk, tallies in found.items()}


def _hours(
    hours: Iterable[datetime], hourly: store.Rows, probe_ids: Collection[int]
) -> dict[datetime, Part]:
    found: dict[datetime, list[Tally]] = {hour: [] for hour in hours}
    for key, (_, tally) in hourly.items():
        if key.probe_id in probe_ids:
            found[key.start].append(tally)
    return {hour: part_of(inside) for hour, inside in found.items()}


def _by_hour(
    probe_ids: Collection[int], hourly: store.Rows
) -> dict[int, dict[datetime, Tally]]:
    found: dict[int, dict[datetime, Tally]] = {probe_id: {} for probe_id in probe_ids}
    for key, (_, part) in hourly.items():
        found[key.probe_id][key.start] = part
    return found


def _summary(part: Part, start: datetime, end: datetime, now: datetime) -> Summary:
    return summary(part, start=start, end=end, now=now, expected=0, latest_at=None)
