"""The stored past of one probe or team, and counts over any window of it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from dashboard.alerts.rules import Sample
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.taxonomy import TIMED_OUT, counted
from dashboard.teams.models import CreditReading, Team


@dataclass(frozen=True, slots=True)
class Runs:
    """One probe's outcomes in the error rate, oldest first, with their latencies."""

    samples: Sequence[Sample]
    latencies_us: Sequence[int]
    times: Sequence[datetime]

    def until(self, moment: datetime) -> int:
        """Return how many began at `moment` or before."""
        return bisect_right(self.times, moment)

    def window(self, seconds: float, now: datetime) -> Sequence[Sample]:
        """Return those that began in (now - seconds, now]."""
        first = self.until(now - timedelta(seconds=seconds))
        return self.samples[first : self.until(now)]


class Sums:
    """How many of a probe's outcomes are of a kind: any window costs two look-ups."""

    def __init__(self, runs: Runs, chosen: Sequence[bool]) -> None:
        self._runs = runs
        self._sums = [0, *accumulate(map(int, chosen))]

    def between(self, start: datetime, end: datetime) -> int:
        """Count those that began in (start, end]."""
        if end <= start:
            return 0
        return self._sums[self._runs.until(end)] - self._sums[self._runs.until(start)]


def runs(probe: Probe, start: datetime, end: datetime) -> Runs:
    """Load what is stored of a probe in (start, end]; one query."""
    rows = Outcome.objects.filter(
        probe=probe,
        started_at__gt=start,
        started_at__lte=end,
        misdated=False,
        maintenance=False,
    ).order_by("started_at")
    told = [
        row
        for row in rows.values_list("started_at", "error_class", "latency_us")
        if counted(row[1])
    ]
    return Runs(
        [Sample(at, error_class) for at, error_class, _ in told],
        [latency_us for _, _, latency_us in told],
        [at for at, _, _ in told],
    )


def timed_out(found: Runs) -> list[bool]:
    return [sample.error_class in TIMED_OUT for sample in found.samples]


def readings(team: Team, start: datetime, end: datetime) -> list[CreditReading]:
    """Load what was told of a team's credits in (start, end]; one query."""
    rows = CreditReading.objects.filter(
        team=team, read_at__gt=start, read_at__lte=end, remaining__isnull=False
    )
    return list(rows.order_by("read_at"))
