"""The circuit breaker: its stored row, and every transition as a pure function.

A closed breaker counts failures in a row, and from the first failure or slow call on also
the share of both among the latest calls: a window that holds nothing but good calls is
forgotten, so that a healthy breaker costs no write. At a threshold it opens: nothing is sent
until `open_until`. After that it is half open: one trial, guarded by a lease, decides. A
success closes it; a failure opens it again for twice as long. A monitor's cheap probe (a
peek) is never held and counts as a trial without a lease; its failure does not lengthen
anything. An administrator may force a breaker open or closed; then nothing changes it.

Times in a row are wall-clock seconds since the epoch, so that processes can share it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote

from apiclient.taxonomy import BreakerEffect

_LONGEST_TEAM = 300  # of a quoted id in a key
_LONGEST_WINDOW = 60  # one bit each in a stored 64-bit number


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


class Admit(StrEnum):
    """How a call meets an open breaker."""

    NORMAL = "normal"  # held until the half-open trial
    ALWAYS_TRIAL = "always_trial"  # sent once, as a trial: a monitor is never blinded


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Five failures in a row open it for 60 s, doubling up to 10 minutes.

    So does a share of `failure_rate` (0..1) among the last `window` calls, once there are
    `min_calls`; a window of 0 switches that off. With `slow_s`, calls that take as many
    seconds or more are slow, and a share of `slow_rate` opens it as well. `lease_s` is
    how long a half-open trial may take before another may be made; it must exceed the
    longest attempt. Source: the guide, "Use Circuit Breaker Pattern".
    """

    threshold: int = 5
    window: int = 20
    min_calls: int = 10
    failure_rate: float = 0.5
    slow_s: float | None = None
    slow_rate: float = 0.8
    open_s: float = 60.0
    max_open_s: float = 600.0
    jitter: float = 0.1
    lease_s: float = 150.0

    def __post_init__(self) -> None:
        if self.threshold < 1:
            raise ValueError(f"threshold={self.threshold} is not a positive number")
        if not 0 < self.open_s <= self.max_open_s:
            raise ValueError("open_s must be positive and not above max_open_s")
        if not 0 <= self.window <= _LONGEST_WINDOW:
            raise ValueError(f"window={self.window} is not 0 to {_LONGEST_WINDOW}")
        if not (0 < self.failure_rate <= 1 and 0 < self.slow_rate <= 1):
            raise ValueError("failure_rate and slow_rate must be above 0 and at most 1")

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
    `calls` counts those in the window; of each there is a bit in `failed_bits` and
    `slow_bits`, the latest lowest. `forced` is "", "forced_open" or "forced_closed".
    """

    failures: int = 0
    open_until: float = 0.0
    opened_at: float = 0.0
    reopened: int = 0
    trial_until: float = 0.0
    generation: int = 0
    version: int = 0
    reason: str = ""
    calls: int = 0
    failed_bits: int = 0
    slow_bits: int = 0
    forced: str = ""


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
    """Return the stored key, `host|team|METHOD /route/{template}`; the team is quoted.

    A long one ends in its hash instead: stores have columns, and quoted an id of 255
    characters may have 3,060. Only those are of the longest length, so that no other id
    spells the key of one.
    """
    team = quote(team_id, safe="")
    if len(team) >= _LONGEST_TEAM:
        digest = sha256(team.encode()).hexdigest()
        team = f"{team[: _LONGEST_TEAM - len(digest) - 1]}~{digest}"
    return f"{host}|{team}|{method} {route}"


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
    if row.forced:
        return BreakerState(row.forced)
    if row.open_until <= 0:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now < row.open_until else BreakerState.HALF_OPEN


def is_untouched(row: BreakerRow) -> bool:
    """Return whether `row` is closed with nothing counted: a success changes nothing."""
    return row.open_until <= 0 and not (row.failures or row.calls or row.forced)


def admit(row: BreakerRow, now: float, policy: BreakerPolicy, mode: Admit) -> Decision:
    """Decide whether a call may be sent at `now`."""
    if row.forced or row.open_until <= 0:
        is_held = row.forced == BreakerState.FORCED_OPEN
        return Decision(held_s=policy.open_s if is_held else None)
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
    latency_s: float = 0.0


def forced(row: BreakerRow, to: BreakerState | None) -> BreakerRow:
    """Return `row` forced to a state; None lets it go, closed and untouched."""
    if to not in (None, BreakerState.FORCED_OPEN, BreakerState.FORCED_CLOSED):
        raise ValueError(f"{to} is not a state that can be forced")
    return BreakerRow(
        generation=row.generation + 1, version=row.version + 1, forced=to or ""
    )


def settle(
    row: BreakerRow,
    result: Result,
    *,
    now: float,
    policy: BreakerPolicy,
    kind: Pass,
    generation: int,
    draw: float,
    trial_until: float | None = None,
) -> BreakerRow | None:
    """Return the row to store after an admitted call, or None when nothing changes.

    `kind`, `generation` and `trial_until` are those of its admission: an answer from
    before a change of state is dropped, and a trial gives back no lease but its own.
    """
    if row.generation != generation or row.forced:
        return None

    def opened(reopened: int, why: str = "") -> BreakerRow:
        return _opened(row, now, policy, result, draw=draw, reopened=reopened, why=why)

    if row.open_until <= 0:
        return _settle_closed(row, result, policy, opened)
    match result.effect:
        case BreakerEffect.SUCCESS:
            return _closed(row)
        case BreakerEffect.IGNORED:
            own = trial_until in (None, row.trial_until)
            return _released(row) if kind is Pass.TRIAL and own else None
        case BreakerEffect.FAILURE if kind is Pass.TRIAL:
            return opened(row.reopened + 1)
        case BreakerEffect.FAILURE:
            is_open = state(row, now) is BreakerState.OPEN
            return None if is_open else opened(row.reopened)


def _settle_closed(
    row: BreakerRow,
    result: Result,
    policy: BreakerPolicy,
    opened: Callable[[int, str], BreakerRow],
) -> BreakerRow | None:
    if result.effect is BreakerEffect.IGNORED:
        return None
    failed = result.effect is BreakerEffect.FAILURE
    slow = policy.slow_s is not None and result.latency_s >= policy.slow_s
    if not (failed or slow or row.failures or row.calls):
        return None
    mask = (1 << policy.window) - 1
    new = replace(
        row,
        failures=row.failures + 1 if failed else 0,
        calls=min(row.calls + 1, policy.window),
        failed_bits=(row.failed_bits << 1 | failed) & mask,
        slow_bits=(row.slow_bits << 1 | slow) & mask,
        version=row.version + 1,
    )
    if why := _why_open(new, policy):
        return opened(0, why)
    if new.failed_bits or new.slow_bits or new.failures:
        return new
    return replace(new, calls=0)


def _why_open(row: BreakerRow, policy: BreakerPolicy) -> str:
    """Return which threshold the counts have reached; "" for none."""
    if row.failures >= policy.threshold:
        return "failed calls"
    if row.calls < max(policy.min_calls, 1):
        return ""
    if row.failed_bits.bit_count() >= policy.failure_rate * row.calls:
        return "failed calls"
    if row.slow_bits.bit_count() >= policy.slow_rate * row.calls:
        return "slow calls"
    return ""


def _opened(
    row: BreakerRow,
    now: float,
    policy: BreakerPolicy,
    result: Result,
    *,
    draw: float,
    reopened: int,
    why: str,
) -> BreakerRow:
    """`why` is for a call that succeeded: it may make the calls before it enough."""
    open_s = policy.open_for(reopened, draw)
    if result.retry_after_s is not None:
        open_s = max(open_s, min(result.retry_after_s, policy.max_open_s))
    return BreakerRow(
        failures=row.failures + 1 if result.effect is BreakerEffect.FAILURE else 0,
        open_until=now + open_s,
        opened_at=row.opened_at or now,
        reopened=reopened,
        generation=row.generation + 1,
        version=row.version + 1,
        reason=result.reason or why,
    )


def _closed(row: BreakerRow) -> BreakerRow:
    return BreakerRow(generation=row.generation + 1, version=row.version + 1)


def _released(row: BreakerRow) -> BreakerRow:
    return replace(row, trial_until=0.0, version=row.version + 1)
