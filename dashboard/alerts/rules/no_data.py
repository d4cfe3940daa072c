"""No data: a probe brings no results, or none but our own faults: not the gateway's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    NEVER_BEGUN,
    Evidence,
    Sample,
    Severity,
    Step,
    Verdict,
    class_counts,
    dominant,
    latest_details,
    mix,
    own_faults_in_a_row,
)

# A result is late after this many periods and seconds, and missing after these.
_LATE_PERIODS, _LATE_S = 1.5, 30.0
_MISSING_PERIODS, _LEAST_MISSING_S = 3, 180.0
# What shows for 180 s that only we fail has begun within these at the latest.
LONGEST_ROW_S = 300
# Being late must last for a period and this long: then a probe that was just switched on
# has had its turn, and so has every probe after a pause of Gatewatch itself.
_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A probe's latest result, and since when an evaluation has found it late.

    `results` are the latest ones, oldest first.
    """

    last_at: datetime | None
    late_since: datetime | None
    period_s: int
    results: Sequence[Sample] = ()


def is_late(last_at: datetime | None, period_s: int, now: datetime) -> bool:
    """Say whether a probe's next result should have been here by now."""
    if last_at is None:
        return True
    return (now - last_at).total_seconds() > _LATE_PERIODS * period_s + _LATE_S


def no_data(silence: Silence, now: datetime) -> Verdict:
    """Judge a probe that is switched on; any result clears that is not our own fault.

    Fires after three periods without one, at least 180 s.
    """
    if not is_late(silence.last_at, silence.period_s, now):
        return unasked(silence.results)
    if silence.late_since is None:
        return HOLD
    late_s = (now - silence.late_since).total_seconds()
    missing_after_s = max(_MISSING_PERIODS * silence.period_s, _LEAST_MISSING_S)
    since = silence.last_at or silence.late_since
    silent_s = (now - since).total_seconds()
    if silent_s < missing_after_s or late_s < silence.period_s + _GRACE_S:
        return HOLD
    return Verdict(
        Step.FIRE,
        Severity.WARNING,
        text=f"no result for {_minutes(silent_s)} (one every "
        f"{_minutes(silence.period_s)} is due)",
        value=silent_s,
        limit=missing_after_s,
        evidence=Evidence(since=since),
    )


def told_within_s(period_s: int) -> int:
    """Return how far back the results are looked for that `unasked` needs."""
    return max(_MISSING_PERIODS * period_s, LONGEST_ROW_S)


def unasked(results: Sequence[Sample]) -> Verdict:
    """Judge a probe whose results come: whether they tell anything of the gateway.

    How long they told nothing is from the first to the latest: what comes in a
    maintenance is not among them.
    """
    if all(each.error_class in NEVER_BEGUN for each in results):
        return HOLD
    own = own_faults_in_a_row(results)
    if not own:
        return CLEAR
    lasts_s = (own[-1].at - own[0].at).total_seconds()
    if len(own) < _MISSING_PERIODS or lasts_s < _LEAST_MISSING_S:
        return HOLD
    classes = class_counts(own)
    return Verdict(
        Step.FIRE,
        Severity.WARNING,
        text=f"Gatewatch cannot probe ({mix(classes)})",
        value=lasts_s,
        limit=_LEAST_MISSING_S,
        samples=len(own),
        error_class=dominant(classes),
        evidence=Evidence(
            since=own[0].at,
            bad=len(own),
            classes=classes,
            details=latest_details(own),
        ),
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
