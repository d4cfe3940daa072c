"""What many probes did in the last hour, the day before it, and the last day.

The overview shows all of it at once, so it is read at once: two queries, whatever the
number of probes. Of the last hour the running clock hour is one row, and only what came
before it is read by minutes: some 30 rows a probe instead of 60.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S, MINUTE_S, Stretch
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe
from dashboard.rollups import store
from dashboard.rollups.numbers import Summary, summary
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
    seen = _Seen(
        now=now,
        begins=end - _HOUR,
        hours=hours,
        minutes=store.rows_in(probe_ids, [Stretch(MINUTE_S, end - _HOUR, hours[-1])]),
        hourly=store.rows_in(
            probe_ids, [Stretch(HOUR_S, first_hour, first_hour + HOURS * _HOUR)]
        ),
    )
    every = seen.totals()
    has_paid = any(key.probe_id in paid for key in (*seen.minutes, *seen.hourly))
    return Recent(
        by_probe=seen.by_probe(probe_ids),
        every=every,
        quick=seen.without(paid).totals() if has_paid else every,
        hours=hours,
        by_hour=_by_hour(probe_ids, seen.hourly),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The rows that were read; `begins` is where the last hour does."""

    now: datetime
    begins: datetime
    hours: tuple[datetime, ...]
    minutes: store.Rows
    hourly: store.Rows

    def without(self, probe_ids: Collection[int]) -> "_Seen":
        def others(rows: store.Rows) -> store.Rows:
            return {
                key: row for key, row in rows.items() if key.probe_id not in probe_ids
            }

        return replace(self, minutes=others(self.minutes), hourly=others(self.hourly))

    def totals(self) -> Totals:
        by_hour: dict[datetime, store.Rows] = {hour: {} for hour in self.hours}
        for key, row in self.hourly.items():
            by_hour[key.start][key] = row
        before = {
            key: row
            for key, row in self.hourly.items()
            if key.start + _HOUR <= self.begins
        }
        return Totals(
            current=self._summary(self._current(), self.begins, _HOUR),
            before=self._summary(
                before,
                self.hours[0],
                buckets.floor(self.begins, HOUR_S) - self.hours[0],
            ),
            day=tuple(
                self._summary(rows, hour, _HOUR) for hour, rows in by_hour.items()
            ),
        )

    def by_probe(self, probe_ids: Collection[int]) -> dict[int, Summary]:
        found: dict[int, store.Rows] = {probe_id: {} for probe_id in probe_ids}
        for key, row in self._current().items():
            found[key.probe_id][key] = row
        return {
            pk: self._summary(rows, self.begins, _HOUR) for pk, rows in found.items()
        }

    def _current(self) -> store.Rows:
        running = {
            key: row for key, row in self.hourly.items() if key.start == self.hours[-1]
        }
        return self.minutes | running

    def _summary(self, rows: store.Rows, start: datetime, length: timedelta) -> Summary:
        return summary(
            rows.items(),
            start=start,
            end=start + length,
            now=self.now,
            expected=0,
            latest_at=None,
        )


def _by_hour(
    probe_ids: Collection[int], hourly: store.Rows
) -> dict[int, dict[datetime, Tally]]:
    found: dict[int, dict[datetime, Tally]] = {probe_id: {} for probe_id in probe_ids}
    for key, (_, part) in hourly.items():
        found[key.probe_id][key.start] = part
    return found
