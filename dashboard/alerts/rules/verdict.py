"""What rules are given and what they answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from dashboard.probes.taxonomy import (
    Category,
    ErrorClass,
    Fault,
    counted,
    in_a_sentence,
    meaning,
)


class Step(StrEnum):
    """What a verdict does to an incident.

    HOLD decides nothing: an open incident stays, and none is opened. It is the answer to
    too few samples, unknown numbers and anything between the two limits.
    """

    FIRE = "fire"
    HOLD = "hold"
    CLEAR = "clear"


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class Level(StrEnum):
    """The steps within a kind, each worse than the one before it in its kind."""

    LOW = "low"
    CRITICAL = "critical"
    EXHAUSTED = "exhausted"

    UNKNOWN = "unknown"
    PAUSED = "paused"
    KEY_REFUSED = "key_refused"
    SUSPENDED = "suspended"

    RAISED = "raised"
    HIGH = "high"


_BADNESS = {level: position for position, level in enumerate(Level)}


def is_worse(level: str, than: str) -> bool:
    """Say whether `level` is a step up from `than`, both of one kind; "" is neither."""
    if not level or not than:
        return False
    return _BADNESS[Level(level)] > _BADNESS[Level(than)]


@dataclass(frozen=True, slots=True)
class Limits:
    """A rule's limits, as rules need them: rates and fractions are 0..1."""

    warn_at: float | None = None
    critical_at: float | None = None
    floor: float | None = None
    window_s: int = 300
    min_samples: int = 5
    min_bad: int = 3
    for_s: int = 0
    clear_after: int = 3
    of_last: int | None = None
    objective: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One outcome, as rules see it; `error_class` is empty for a success.

    `failing_since` is when the failures in a row began whose latest it is, where known.
    """

    at: datetime
    error_class: str = ""
    detail: str = ""
    failing_since: datetime | None = None

    @property
    def bad(self) -> bool:
        return bool(self.error_class)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on; it is stored with the incident and shown in its mail."""

    since: datetime | None = None
    # The latest failure; where it is not told, the earliest that it can have been.
    latest: datetime | None = None
    window_s: int | None = None
    bad: int | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    # Credits: what was allocated, and the fewest that were left, in this epoch.
    allocated: float | None = None
    lowest: float | None = None
    endpoint: str = ""
    # The breaker's, which names its host.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says; `text` is the number against its limit, without the subject."""

    step: Step
    severity: Severity = Severity.CRITICAL
    level: str = ""
    text: str = ""
    value: float | None = None
    limit: float | None = None
    samples: int | None = None
    error_class: str = ""
    evidence: Evidence = field(default_factory=Evidence)


HOLD = Verdict(Step.HOLD)
CLEAR = Verdict(Step.CLEAR)

_KEPT_DETAILS = 3
NEVER_BEGUN = (ErrorClass.BREAKER_HELD, ErrorClass.CANCELLED)


def in_rate(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples that are part of the error rate, oldest first."""
    return sorted(
        [each for each in samples if not each.error_class or counted(each.error_class)],
        key=attrgetter("at"),
    )


def good_in_a_row(samples: Sequence[Sample]) -> int:
    """Count the successes at the end of `samples` (oldest first)."""
    count = 0
    for sample in reversed(samples):
        if sample.bad:
            break
        count += 1
    return count


def bad_in_a_row(samples: Sequence[Sample]) -> int:
    """Count the failures at the end of `samples` (oldest first)."""
    count = 0
    for sample in reversed(samples):
        if not sample.bad:
            break
        count += 1
    return count


def own_faults_in_a_row(results: Sequence[Sample]) -> list[Sample]:
    """Return the results at the end of `results` in which Gatewatch itself failed.

    What a breaker held, and what was cancelled, neither is one nor ends them.
    """
    found: list[Sample] = []
    for each in reversed(results):
        if each.error_class in NEVER_BEGUN:
            continue
        if not is_own_fault(each.error_class):
            break
        found.append(each)
    return found[::-1]


def class_counts(samples: Sequence[Sample]) -> dict[str, int]:
    """Return how many failures each class has, the most frequent first."""
    return dict(Counter(s.error_class for s in samples if s.bad).most_common())


def latest_details(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the last few distinct details, newest first."""
    details = [sample.detail for sample in reversed(samples) if sample.detail]
    return tuple(dict.fromkeys(details))[:_KEPT_DETAILS]


def mix(classes: Mapping[str, int]) -> str:
    """Return the dominant class in words: "server error", or "mostly server error"."""
    if not classes:
        return ""
    dominant = max(classes, key=lambda name: classes[name])
    words = in_a_sentence(meaning(dominant).title)
    return words if len(classes) == 1 else f"mostly {words}"


def dominant(classes: Mapping[str, int]) -> str:
    return max(classes, key=lambda name: classes[name], default="")


def is_gateways_fault(error_class: str) -> bool:
    """Say whether a failure is the gateway's own: never left, timed out, 5xx."""
    return bool(error_class) and meaning(error_class).fault is Fault.GATEWAY


def is_own_fault(error_class: str) -> bool:
    """Say whether it was Gatewatch itself that failed."""
    return bool(error_class) and meaning(error_class).fault is Fault.US


def is_refusal(error_class: str) -> bool:
    """Say whether the gateway answered, and would not: 3xx and 4xx, but for 429."""
    if not error_class:
        return False
    return meaning(error_class).category in (Category.AUTH, Category.CLIENT)
