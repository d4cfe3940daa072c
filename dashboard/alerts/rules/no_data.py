"""No data: a probe that should run brings no results. That is not the gateway's fault."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Severity,
    Step,
    Verdict,
)

# A result is late after this many periods and seconds, and missing after these.
_LATE_PERIODS, _LATE_S = 1.5, 30.0
_MISSING_PERIODS, _LEAST_MISSING_S = 3, 180.0
# Being late must last for a period and this long: then a probe that was just switched on
# has had its turn, and so has every probe after a pause of Gatewatch itself.
_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A probe's latest result, and since when an evaluation has found it late."""

    last_at: datetime | None
    late_since: datetime | None
    period_s: int


def is_late(last_at: datetime | None, period_s: int, now: datetime) -> bool:
    """Say whether a probe's next result should have been here by now."""
    if last_at is None:
        return True
    return (now - last_at).total_seconds() > _LATE_PERIODS * period_s + _LATE_S


def no_data(silence: Silence, now: datetime) -> Verdict:
    """Judge a probe that is switched on; any result clears.

    Fires after three periods without a result, at least 180 s.
    """
    if not is_late(silence.last_at, silence.period_s, now):
        return CLEAR
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


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
