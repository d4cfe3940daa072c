"""The faults that can be switched on while the gateway runs, and the board of them."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random


class FaultKind(StrEnum):
    """What goes wrong; grouped by where in the life of a request it acts."""

    SLOW = "slow"

    RATE_LIMITED = "rate_limited"
    FORBIDDEN = "forbidden"
    ERROR_JSON = "error_json"
    ERROR_TEXT = "error_text"
    UNAVAILABLE_JSON = "unavailable_json"
    UNAVAILABLE_HTML = "unavailable_html"
    WRONG_SHAPE = "wrong_shape"

    ERROR_IN_200 = "error_in_200"
    PROVIDER_AUTH = "provider_auth"
    PROVIDER_RATE_LIMIT = "provider_rate_limit"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_CONFIG = "provider_config"
    PROVIDER_ERROR = "provider_error"

    MALFORMED_JSON = "malformed_json"
    RESET = "reset"
    RESET_IN_BODY = "reset_in_body"
    TRUNCATED = "truncated"
    DRIP_FEED = "drip_feed"
    HANG = "hang"
    STREAM_CUT = "stream_cut"

    REFUSE = "refuse"

    TEAM_SUSPENDED = "team_suspended"
    TEAM_PAUSED = "team_paused"
    DRAIN = "drain"
    REFILL = "refill"


# What each does, for who switches it on.
EFFECTS: Mapping[FaultKind, str] = {
    FaultKind.SLOW: "answers after delay_s more seconds",
    FaultKind.RATE_LIMITED: "429, with Retry-After where retry_after_s is set",
    FaultKind.FORBIDDEN: "403 that leaves open whether status or credits are the reason",
    FaultKind.ERROR_JSON: "500 as JSON",
    FaultKind.ERROR_TEXT: "500 as plain text",
    FaultKind.UNAVAILABLE_JSON: "503 as JSON",
    FaultKind.UNAVAILABLE_HTML: "503 as a proxy's HTML page",
    FaultKind.WRONG_SHAPE: "200 with JSON that the API does not promise",
    FaultKind.ERROR_IN_200: "200 that holds an error",
    FaultKind.PROVIDER_AUTH: "the LLM provider refuses the gateway's key",
    FaultKind.PROVIDER_RATE_LIMIT: "the LLM provider limits the gateway",
    FaultKind.PROVIDER_TIMEOUT: "the LLM provider does not answer in time",
    FaultKind.PROVIDER_UNREACHABLE: "the LLM provider cannot be reached",
    FaultKind.PROVIDER_CONFIG: "the LLM provider is not set up",
    FaultKind.PROVIDER_ERROR: "the LLM provider fails",
    FaultKind.MALFORMED_JSON: "the answer is no JSON",
    FaultKind.RESET: "the connection is reset before the answer",
    FaultKind.RESET_IN_BODY: "the connection is reset inside the answer",
    FaultKind.TRUNCATED: "the answer ends too soon",
    FaultKind.DRIP_FEED: "the answer comes a byte each delay_s seconds",
    FaultKind.HANG: "no answer ever comes",
    FaultKind.STREAM_CUT: "a stream ends without its end mark",
    FaultKind.REFUSE: "connections are refused",
    FaultKind.TEAM_SUSPENDED: "the team is suspended",
    FaultKind.TEAM_PAUSED: "the team is paused",
    FaultKind.DRAIN: "credits go: credits at each request, or credits_per_s",
    FaultKind.REFILL: "credits are added, or filled up where credits is 0",
}

# Refused by a proxy in front, so the work is not done.
ANSWERED_IN_FRONT = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.FORBIDDEN,
        FaultKind.ERROR_JSON,
        FaultKind.ERROR_TEXT,
        FaultKind.UNAVAILABLE_JSON,
        FaultKind.UNAVAILABLE_HTML,
        FaultKind.WRONG_SHAPE,
    }
)
# The work is done (and charged) and its answer is lost or spoilt on the way back.
SPOILT_ON_THE_WAY = frozenset(
    {
        FaultKind.MALFORMED_JSON,
        FaultKind.RESET,
        FaultKind.RESET_IN_BODY,
        FaultKind.TRUNCATED,
        FaultKind.DRIP_FEED,
        FaultKind.HANG,
    }
)
PROVIDER_FAULTS = frozenset(
    {
        FaultKind.PROVIDER_AUTH,
        FaultKind.PROVIDER_RATE_LIMIT,
        FaultKind.PROVIDER_TIMEOUT,
        FaultKind.PROVIDER_UNREACHABLE,
        FaultKind.PROVIDER_CONFIG,
        FaultKind.PROVIDER_ERROR,
    }
)
# These change a team, not an answer.
TEAM_FAULTS = frozenset(
    {
        FaultKind.TEAM_SUSPENDED,
        FaultKind.TEAM_PAUSED,
        FaultKind.DRAIN,
        FaultKind.REFILL,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, whom it hits and for how long.

    `name` identifies it on the board (the kind, unless said): setting a name again
    replaces it. `route` is a pattern over "METHOD /path", either as sent or with
    "{team_id}" in it. `team` limits it to the team in the path or behind the key.
    `probability` is 0..1 for each request, `times` the most requests it hits and
    `lasts_s` seconds until it ends by itself; None is without end.

    `delay_s` belongs to SLOW (before the answer) and DRIP_FEED (between two bytes).
    DRAIN takes `credits` at each request or `credits_per_s`; REFILL adds `credits`, or
    fills up to the allocation where it is 0.
    """

    kind: FaultKind
    name: str = ""
    route: str = "*"
    team: str | None = None
    probability: float = 1.0
    times: int | None = None
    lasts_s: float | None = None
    delay_s: float = 1.0
    retry_after_s: int | None = None
    credits: int = 0
    credits_per_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.kind.value)
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability={self.probability!r} is not within 0..1")
        for label, value in (
            ("times", self.times),
            ("lasts_s", self.lasts_s),
            ("delay_s", self.delay_s),
            ("retry_after_s", self.retry_after_s),
            ("credits_per_s", self.credits_per_s),
        ):
            if value is not None and value < 0:
                raise ValueError(f"{label}={value!r} is negative")

    def concerns(self, method: str, path: str, template: str, team: str | None) -> bool:
        """Tell whether a request is within this fault's scope."""
        if self.team is not None and self.team != team:
            return False
        return self.route == "*" or any(
            fnmatchcase(f"{method} {place}", self.route) for place in (path, template)
        )


@dataclass(slots=True)
class Standing:
    """A fault on the board: since when, and how many requests it hit.

    `settled_at_s` is for what accrues by the second: up to when it was accounted for.
    """

    fault: Fault
    since_s: float
    hits: int = 0
    settled_at_s: float = 0.0

    @property
    def ends_at_s(self) -> float | None:
        lasts_s = self.fault.lasts_s
        return None if lasts_s is None else self.since_s + lasts_s

    def is_over(self, now_s: float) -> bool:
        ends_at_s = self.ends_at_s
        return ends_at_s is not None and now_s >= ends_at_s


class FaultBoard:
    """The faults that stand now. Safe to use from several threads.

    Times are seconds of one monotonic clock, given by the caller.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()
        self._standing: dict[str, Standing] = {}

    def put(self, fault: Fault, now_s: float) -> Standing | None:
        """Let `fault` stand from now on and return the one of its name that stood."""
        with self._lock:
            replaced = self._standing.pop(fault.name, None)
            self._standing[fault.name] = Standing(fault, now_s, settled_at_s=now_s)
        return replaced

    def remove(self, name: str) -> Standing | None:
        """End the fault of this name and return it, or None if there is none."""
        with self._lock:
            return self._standing.pop(name, None)

    def sweep(self, now_s: float) -> list[Standing]:
        """Remove and return what ended by itself."""
        if not self._standing:
            return []
        with self._lock:
            over = [one for one in self._standing.values() if one.is_over(now_s)]
            for one in over:
                del self._standing[one.fault.name]
        return over

    def standing(self) -> list[Standing]:
        """Return copies of what stands, oldest first."""
        with self._lock:
            return [replace(one) for one in self._standing.values()]

    def each(self, visit: Callable[[Standing], None]) -> None:
        """Call `visit` with each standing fault itself, under the lock."""
        if not self._standing:
            return
        with self._lock:
            for one in self._standing.values():
                visit(one)

    def draw(
        self, method: str, path: str, template: str, team: str | None
    ) -> tuple[Fault, ...]:
        """Return the faults that hit this request, and count the hits."""
        if not self._standing:
            return ()
        with self._lock:
            return tuple(
                one.fault
                for one in self._standing.values()
                if one.fault.concerns(method, path, template, team) and self._hits(one)
            )

    def _hits(self, one: Standing) -> bool:
        fault = one.fault
        if fault.times is not None and one.hits >= fault.times:
            return False
        if fault.probability < 1 and self._rng.random() >= fault.probability:
            return False
        one.hits += 1
        return True
