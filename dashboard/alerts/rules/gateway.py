"""Gateway down: its health fails, and so do the others that ask it."""

from collections.abc import Sequence
from datetime import datetime

from dashboard.alerts.rules.verdict import (
    CLEAR,
    HOLD,
    Evidence,
    Limits,
    Sample,
    Severity,
    Step,
    Verdict,
    bad_in_a_row,
    class_counts,
    dominant,
    good_in_a_row,
    in_rate,
    is_gateways_fault,
    latest_details,
    mix,
)

_SHARE = 0.5


def gateway_down(
    health: Sequence[Sample], latest: Sequence[Sample], limits: Limits, now: datetime
) -> Verdict:
    """Judge a gateway by its health probe and by the latest outcome of all its probes.

    Fires when health failed `min_bad` times in a row and at least half of the probes
    that ran since its first failure failed by the gateway's own fault (never left, timed
    out, 5xx). Clears after `clear_after` healthy answers in a row.
    """
    asked = in_rate(health)
    streak = bad_in_a_row(asked)
    if good_in_a_row(asked) >= max(1, limits.clear_after):
        return CLEAR
    if streak == 0 or streak < limits.min_bad:
        return HOLD
    since = asked[-streak].at
    ran = in_rate([sample for sample in latest if sample.at >= since])
    failed = [sample for sample in ran if is_gateways_fault(sample.error_class)]
    if len(failed) < _SHARE * len(ran) or not failed:
        return HOLD
    classes = class_counts(failed)
    return Verdict(
        Step.FIRE,
        Severity.CRITICAL,
        text=f"gateway down, {len(failed)} of {len(ran)} probes failing ({mix(classes)})",
        value=len(failed) / len(ran),
        limit=_SHARE,
        samples=len(ran),
        error_class=dominant(classes),
        evidence=Evidence(
            since=since,
            bad=len(failed),
            classes=classes,
            details=latest_details([*failed, *asked[-streak:]]),
        ),
    )
