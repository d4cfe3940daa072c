"""The circuit breaker: its stored row, and every transition as a pure function.

A closed breaker counts failures in a row. At the threshold it opens: nothing is sent until
`open_until`. After that it is half open: one trial, guarded by a lease, decides. A success
closes it; a failure opens it again for twice as long. A monitor's cheap probe (a peek) is
never held and counts as a trial without a lease; its failure does not lengthen anything.

Times in a row are wall-clock seconds since the epoch, so that processes can share it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

from apiclient.taxonomy import BreakerEffect


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Admit(StrEnum):
    """How a call meets an open breaker."""

    NORMAL = "normal"  # held until the half-open trial
    ALWAYS_TRIAL = "always_trial"  # sent once, as a trial: a monitor is never blinded


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Five failures in a row open it for 60 s, doubling up to 10 minutes.

    `lease_s` is how long a half-open trial may take before another may be made; it must
    exceed the longest attempt. Source: the guide, "Use Circuit Breaker Pattern".
    """

    threshold: int = 5
    open_s: float = 60.0
    max_open_s: float = 600.0
    jitter: float = 0.1
    lease_s: float = 150.0

    def __post_init__(self) -> None:
        if self.threshold < 1:
            raise ValueError(f"threshold={self.threshold} is not a positive number")
        if not 0 < self.open_s <= self.max_open_s:
            raise ValueError("open_s must be positive and not above max_open_s")

    @property
    def longest_s(self) -> float:
        return self.max_open_s * (1 + self.jitter)

    def open_for(self, reopened: int, draw: float) -> float:
        """Return for how many seconds to open after `reopened` failed trials."""
        grown_s = min(self.open_s * 2.0 ** min(reopened, 32), self.max_open_s)
        return grown_s * (1 + self.jitter * (2 * draw - 1))


@dataclass(frozen=True, slots=True)
class BreakerRow:
    """What is stored of one breaker; the default is closed and untouched.

    `version` grows with every write and is what compare-and-swap compares. `generation`
    grows with every change of state, so that an answer from before it can be dropped.
    """

    failures: int = 0
    open_until: float = 0.0
    opened_at: float = 0.0
    reopened: int = 0
    trial_until: float = 0.0
    generation: int = 0
    version: int = 0
    reason: str = ""


CLOSED_ROW = BreakerRow()


class BreakerStore(Protocol):
    """Where breaker rows live; shared by all clients that should agree.

    `load` returns the row of `key`, or BreakerRow() when there is none. `swap` stores
    `new` if and only if the stored row still has the version of `seen` (a missing row has
    version 0), and says whether it did. Both are called from many threads.
    """

    def load(self, key: str) -> BreakerRow: ...

    def swap(self, key: str, seen: BreakerRow, new: BreakerRow) -> bool: ...


class Pass(StrEnum):
    """What an admitted call is to the breaker."""

    PLAIN = "plain"
    TRIAL = "trial"
    PEEK = "peek"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may go; `held_s` is None when it may. `new` must be stored first."""

    kind: Pass = Pass.PLAIN
    held_s: float | None = None
    new: BreakerRow | None = None


@lru_cache(maxsize=1024)
def breaker_key(host: str, team_id: str, method: str, route: str) -> str:
    """Return the stored key, `host|team|METHOD /route/{template}`; the team is quoted."""
    return f"{host}|{quote(team_id, safe='')}|{method} {route}"


def host_key(host: str) -> str:
    """Return the key of a whole host's breaker, `host|*|*`."""
    return f"{host}|*|*"


def open_until(row: BreakerRow, now: float, policy: BreakerPolicy) -> float:
    """Return when `row` may be tried; one further away than the maximum is clamped.

    Such a deadline comes from a clock that jumped, and must not hold calls for ever.
    """
    return min(row.open_until, now + policy.longest_s)


def state(row: BreakerRow, now: float) -> BreakerState:
    """Return the state of `row` at `now` (seconds since the epoch)."""
    if row.open_until <= 0:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now < row.open_until else BreakerState.HALF_OPEN


def admit(row: BreakerRow, now: float, policy: BreakerPolicy, mode: Admit) -> Decision:
    """Decide whether a call may be sent at `now`."""
    if row.open_until <= 0:
        return Decision()
    if mode is Admit.ALWAYS_TRIAL:
        return Decision(Pass.PEEK)
    opens_s = open_until(row, now, policy) - now
    # A clamped deadline would move on for ever: store it, so that it comes near.
    if opens_s < row.open_until - now:
        clamped = replace(row, open_until=now + opens_s, version=row.version + 1)
        return Decision(held_s=opens_s, new=clamped)
    if opens_s > 0:
        return Decision(held_s=opens_s)
    leased_s = min(row.trial_until - now, policy.lease_s)
    if leased_s > 0:
        return Decision(held_s=leased_s)
    leased = replace(row, trial_until=now + policy.lease_s, version=row.version + 1)
    return Decision(Pass.TRIAL, new=leased)


@dataclass(frozen=True, slots=True)
class Result:
    """How an admitted call ended, as far as the breaker cares."""

    effect: BreakerEffect
    reason: str = ""
    retry_after_s: float | None = None


def settle(
    row: BreakerRow,
    result: Result,
    *,
    now: float,
    policy: BreakerPolicy,
    kind: Pass,
    generation: int,
    draw: float,
) -> BreakerRow | None:
    """Return the row to store after an admitted call, or None when nothing changes.

    `kind` and `generation` are those of its admission: an answer from before a change of
    state is dropped.
    """
    if row.generation != generation:
        return None

    def opened(reopened: int) -> BreakerRow:
        return _opened(row, now, policy, result, draw=draw, reopened=reopened)

    if row.open_until <= 0:
        return _settle_closed(row, result, policy.threshold, opened)
    match result.effect:
        case BreakerEffect.SUCCESS:
            return _closed(row)
        case BreakerEffect.IGNORED:
            return _released(row) if kind is Pass.TRIAL else None
        case BreakerEffect.FAILURE if kind is Pass.TRIAL:
            return opened(row.reopened + 1)
        case BreakerEffect.FAILURE:
            is_open = state(row, now) is BreakerState.OPEN
            return None if is_open else opened(row.reopened)


def _settle_closed(
    row: BreakerRow,
    result: Result,
    threshold: int,
    opened: Callable[[int], BreakerRow],
) -> BreakerRow | None:
    if result.effect is BreakerEffect.IGNORED:
        return None
    if result.effect is BreakerEffect.SUCCESS:
        if not row.failures:
            return None
        return replace(row, failures=0, version=row.version + 1)
    if row.failures + 1 >= threshold:
        return opened(0)
    return replace(row, failures=row.failures + 1, version=row.version + 1)


def _opened(
    row: BreakerRow,
    now: float,
    policy: BreakerPolicy,
    result: Result,
    *,
    draw: float,
    reopened: int,
) -> BreakerRow:
    open_s = policy.open_for(reopened, draw)
    if result.retry_after_s is not None:
        open_s = max(open_s, min(result.retry_after_s, policy.max_open_s))
    return BreakerRow(
        failures=row.failures + 1,
        open_until=now + open_s,
        opened_at=row.opened_at or now,
        reopened=reopened,
        generation=row.generation + 1,
        version=row.version + 1,
        reason=result.reason,
    )


def _closed(row: BreakerRow) -> BreakerRow:
    return BreakerRow(generation=row.generation + 1, version=row.version + 1)


def _released(row: BreakerRow) -> BreakerRow:
    return replace(row, trial_until=0.0, version=row.version + 1)
