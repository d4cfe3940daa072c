"""What many probes did in the last hour, the hour before, and the last day.

The overview shows all of it at once, so it is read at once: two queries, whatever the
number of probes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S, MINUTE_S, Stretch
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe
from dashboard.rollups import store
from dashboard.rollups.numbers import Summary, summary
from dashboard.rollups.tally import Key, Tally, merged

HOURS = 24
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Totals:
    """Some probes together: the last hour, the hour before, and the day's hours."""

    current: Summary
    previous: Summary
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
    middle, start = end - _HOUR, end - 2 * _HOUR
    first_hour = buckets.floor(now, HOUR_S) - (HOURS - 1) * _HOUR
    rows = store.rows_in(
        probe_ids,
        [
            Stretch(MINUTE_S, start, end),
            Stretch(HOUR_S, first_hour, first_hour + HOURS * _HOUR),
        ],
    )
    parts = {key: part for key, (_, part) in rows.items()}
    minutes = {key: part for key, part in parts.items() if key.level == MINUTE_S}
    hourly = {key: part for key, part in parts.items() if key.level == HOUR_S}
    hours = tuple(first_hour + place * _HOUR for place in range(HOURS))
    every = _totals(minutes, hourly, middle, hours)
    has_paid = any(key.probe_id in paid for key in parts)
    return Recent(
        by_probe=_by_probe(probe_ids, minutes, middle, end),
        every=every,
        quick=_totals(_without(minutes, paid), _without(hourly, paid), middle, hours)
        if has_paid
        else every,
        hours=hours,
        by_hour=_by_hour(probe_ids, hourly),
    )


def _totals(
    minutes: Mapping[Key, Tally],
    hourly: Mapping[Key, Tally],
    middle: datetime,
    hours: Collection[datetime],
) -> Totals:
    return Totals(
        current=_summary(_since(minutes, middle), middle, middle + _HOUR),
        previous=_summary(_before(minutes, middle), middle - _HOUR, middle),
        day=tuple(
            _summary(
                (part for key, part in hourly.items() if key.start == hour),
                hour,
                hour + _HOUR,
            )
            for hour in hours
        ),
    )


def _without(
    parts: Mapping[Key, Tally], probe_ids: Collection[int]
) -> dict[Key, Tally]:
    return {key: part for key, part in parts.items() if key.probe_id not in probe_ids}


def _by_probe(
    probe_ids: Collection[int],
    minutes: Mapping[Key, Tally],
    start: datetime,
    end: datetime,
) -> dict[int, Summary]:
    found: dict[int, list[Tally]] = {probe_id: [] for probe_id in probe_ids}
    for key, part in minutes.items():
        if key.start >= start:
            found[key.probe_id].append(part)
    return {probe_id: _summary(parts, start, end) for probe_id, parts in found.items()}


def _by_hour(
    probe_ids: Collection[int], hourly: Mapping[Key, Tally]
) -> dict[int, dict[datetime, Tally]]:
    found: dict[int, dict[datetime, Tally]] = {probe_id: {} for probe_id in probe_ids}
    for key, part in hourly.items():
        found[key.probe_id][key.start] = part
    return found


def _since(parts: Mapping[Key, Tally], edge: datetime) -> list[Tally]:
    return [part for key, part in parts.items() if key.start >= edge]


def _before(parts: Mapping[Key, Tally], edge: datetime) -> list[Tally]:
    return [part for key, part in parts.items() if key.start < edge]


def _summary(parts: Iterable[Tally], start: datetime, end: datetime) -> Summary:
    return summary(merged(parts), start=start, end=end, expected=0, latest_at=None)
