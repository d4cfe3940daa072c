"""A plausible past, made by seeded chance: what probes saw, and what teams spent.

Nothing here reads the database or the clock: the same seed makes the same past.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from dashboard.lib import buckets
from dashboard.probes.models import ProbeKind
from dashboard.probes.taxonomy import ErrorClass

_HOUR = timedelta(hours=1)
_DRIFT_A_DAY = 0.006
_RETRIED, _FAILED, _SLOW = 0.004, 0.0015, 0.01
_REFILL_AT, _SPENT_AN_HOUR = 0.12, 0.003


@dataclass(frozen=True, slots=True)
class Subject:
    """A probe of the past; `place` is its team's among the teams, None without one."""

    probe_id: int
    kind: ProbeKind
    place: int | None
    period_s: int


@dataclass(frozen=True, slots=True)
class Episode:
    """A bad time: `share` of the runs fail, or take `slower` times as long."""

    start: datetime
    end: datetime
    place: int | None
    error_class: str
    share: float
    status_code: int | None = None
    latency_us: int = 0
    detail: str = ""
    slower: float = 1.0

    def hits(self, subject: Subject, at: datetime) -> bool:
        whole_gateway = self.place is None
        return self.start <= at < self.end and (
            whole_gateway or subject.place == self.place
        )


class Run(NamedTuple):
    """One outcome of the past."""

    probe_id: int
    started_at: datetime
    latency_us: int
    error_class: str = ""
    attempts: int = 1
    status_code: int | None = 200
    detail: str = ""
    connect_us: int | None = None
    tls_us: int | None = None
    first_byte_us: int | None = None
    maintenance: bool = False


class Credits(NamedTuple):
    """What a team had left at one moment."""

    at: datetime
    remaining: float


class _Plan(NamedTuple):
    """An episode, told by how long ago it was."""

    days_ago: float
    minutes: int
    place: int | None
    error_class: str
    share: float
    status_code: int | None = None
    latency_us: int = 0
    detail: str = ""
    slower: float = 1.0


_PLANS = (
    _Plan(26.3, 25, 2, ErrorClass.SERVER_ERROR, 0.6, 500, 31_000, "Internal error"),
    _Plan(21.7, 14, None, ErrorClass.CONNECT_FAILED, 1.0, None, 2_000, "refused"),
    _Plan(17.1, 180, None, "", 1.0, slower=3.5),
    _Plan(12.4, 40, 1, ErrorClass.RATE_LIMITED, 0.8, 429, 9_000, "Too many requests"),
    _Plan(6.6, 22, None, ErrorClass.TIMEOUT, 0.95, None, 10_000_000, "no answer"),
    _Plan(3.2, 75, 2, "", 1.0, slower=5.0),
    _Plan(1.35, 18, 2, ErrorClass.UNAVAILABLE, 0.9, 503, 6_000, "Maintenance"),
)

# Median wire time in microseconds, with a fresh connection, and its spread.
_TIMES: Mapping[ProbeKind, tuple[int, float]] = {
    ProbeKind.HEALTH: (6_500, 0.30),
    ProbeKind.TEAM_STATUS: (41_000, 0.22),
    ProbeKind.BALANCE: (27_000, 0.25),
    ProbeKind.KEY_CHECK: (68_000, 0.25),
    ProbeKind.DEEP_JOB: (1_200_000, 0.45),
    ProbeKind.STREAM_JOB: (1_100_000, 0.45),
}


def episodes(end: datetime, days: int) -> list[Episode]:
    """Return the bad times of the last `days` days, each from a whole minute on."""
    found = []
    for plan in _PLANS:
        start = buckets.floor(end - timedelta(days=plan.days_ago), buckets.MINUTE_S)
        if plan.days_ago < days:
            until = start + timedelta(minutes=plan.minutes)
            found.append(Episode(start, until, *plan[2:]))
    return found


def runs(
    subject: Subject,
    start: datetime,
    end: datetime,
    bad_times: Sequence[Episode],
    draw: Random,
) -> Iterator[Run]:
    """Yield the runs of one probe in [start, end), in order."""
    period = timedelta(seconds=subject.period_s)
    offset = timedelta(seconds=subject.probe_id % subject.period_s)
    near = [bad for bad in bad_times if bad.start < end and start < bad.end]
    at = buckets.ceil(start - offset, subject.period_s) + offset
    while at < end:
        started_at = at + timedelta(microseconds=draw.randrange(200_000))
        if started_at < end:
            yield _run(subject, started_at, near, draw)
        at += period


def _run(subject: Subject, at: datetime, near: Sequence[Episode], draw: Random) -> Run:
    bad = next((bad for bad in near if bad.hits(subject, at)), None)
    latency_us = _latency_us(subject.kind, at, draw)
    if bad is not None and draw.random() < bad.share:
        if not bad.error_class:
            return _success(subject, at, int(latency_us * bad.slower))
        wire_us = int((bad.latency_us or latency_us) * draw.uniform(1.0, 1.1))
        return Run(
            *(subject.probe_id, at, wire_us, bad.error_class, 2),
            *(bad.status_code, bad.detail),
        )
    chance = draw.random()
    if chance < _FAILED:
        return Run(
            *(subject.probe_id, at, latency_us, ErrorClass.BAD_GATEWAY.value, 2),
            *(502, "Bad gateway"),
        )
    return _success(subject, at, latency_us, attempts=1 + (chance > 1 - _RETRIED))


def _success(subject: Subject, at: datetime, latency_us: int, attempts: int = 1) -> Run:
    """Return a success whose time mostly goes by until the first byte; plain http."""
    connect_us = min(900, latency_us // 10)
    return Run(
        *(subject.probe_id, at, latency_us, "", attempts),
        connect_us=connect_us,
        first_byte_us=(latency_us - connect_us) * 9 // 10,
    )


def _latency_us(kind: ProbeKind, at: datetime, draw: Random) -> int:
    """Draw a log-normal time: slower by day than by night, and a little each day."""
    median_us, sigma = _TIMES[kind]
    drift = 1 + _DRIFT_A_DAY * (at.toordinal() % 30)
    slow = 4.0 if draw.random() < _SLOW else 1.0
    spread = math.exp(draw.gauss(0.0, sigma))
    return int(median_us * drift * _rhythm(at) * slow * spread)


def _rhythm(at: datetime) -> float:
    """Return how busy the hour is: 0.8 at 2 UTC, 1.2 at 14 UTC, on average 1."""
    return 1 + 0.2 * math.cos((at.hour + at.minute / 60 - 14) * math.pi / 12)


def spending(
    allocated: float, remaining: float, start: datetime, end: datetime, draw: Random
) -> list[Credits]:
    """Return hourly readings that end with `remaining`, in order.

    A team is filled up when little is left, about every 12 days.
    """
    backwards, level, at = [], remaining, end
    while at >= start:
        backwards.append(Credits(at, round(level, 1)))
        level += allocated * _SPENT_AN_HOUR * _rhythm(at) * draw.uniform(0.6, 1.4)
        if level > allocated:
            level = allocated * _REFILL_AT
        at -= _HOUR
    return backwards[::-1]
