"""Gateway down: its health fails, and so do the others that ask it."""

from collections.abc import Iterator, Sequence
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
    is_refusal,
    latest_details,
    mix,
)
from dashboard.probes.taxonomy import ErrorClass

_SHARE = 0.5


def gateway_down(
    health: Sequence[Sample], latest: Sequence[Sample], limits: Limits, now: datetime
) -> Verdict:
    """Judge a gateway by its health probe and by the latest outcome of all its probes.

    Fires when health failed `min_bad` times in a row and at least half of the probes
    that ran since its first failure failed by the gateway's own fault (never left, timed
    out, 5xx). Where none of them does any better, those count as well that were refused
    just as health was, which asks with nobody's key and for no team. It began with the
    first of these failures after health was last well: others may run before health.
    Clears after `clear_after` healthy answers in a row.
    """
    asked = in_rate(health)
    streak = bad_in_a_row(asked)
    if good_in_a_row(asked) >= max(1, limits.clear_after):
        return CLEAR
    if streak == 0 or streak < limits.min_bad:
        return HOLD
    since = asked[-streak].at
    well_at = asked[-streak - 1].at if streak < len(asked) else since
    ran = in_rate([sample for sample in latest if sample.at >= since])
    refused = _refused_alike(asked[-streak:], ran)
    failed = [
        sample
        for sample in ran
        if is_gateways_fault(sample.error_class) or sample.error_class in refused
    ]
    if len(failed) < _SHARE * len(ran) or not failed:
        return HOLD
    # They failed before the breaker held them, and would shrink "7 of 7" to "1 of 1".
    held = sum(_is_held(sample) for sample in latest if sample.at >= since)
    out, number = len(failed) + held, len(ran) + held
    classes = class_counts(failed)
    cause = dominant(classes)
    # "Key refused" would be untrue of whom it refuses without a key as well.
    why = "its health is refused, too" if cause in refused else mix(classes)
    # So that what is told adds up.
    held_too = {str(ErrorClass.BREAKER_HELD): held} if held else {}
    return Verdict(
        Step.FIRE,
        Severity.CRITICAL,
        text=f"gateway down, {out} of {number} probes failing ({why})",
        value=out / number,
        limit=_SHARE,
        samples=number,
        error_class="" if cause in refused else cause,
        evidence=Evidence(
            since=min([since, *_began(failed, well_at)]),
            bad=out,
            classes={**classes, **held_too},
            details=latest_details([*failed, *asked[-streak:]]),
        ),
    )


def _is_held(sample: Sample) -> bool:
    """Say whether a breaker holds what failed when it was last asked."""
    held = sample.error_class == ErrorClass.BREAKER_HELD
    return held and sample.failing_since is not None


def _began(failed: Sequence[Sample], well_at: datetime) -> Iterator[datetime]:
    """Yield when probes began to fail for what is wrong now, and not for their own."""
    for sample in failed:
        if sample.failing_since is not None and sample.failing_since > well_at:
            yield sample.failing_since


def refuses_all(health: Sample, latest: Sequence[Sample]) -> bool:
    """Say whether a gateway refuses its health, and every probe since: no key is to blame.

    `health` is its latest outcome, at the moment of the first failure in a row.
    """
    ran = in_rate([sample for sample in latest if sample.at >= health.at])
    return bool(_refused_alike([health], ran))


def _refused_alike(health: Sequence[Sample], ran: Sequence[Sample]) -> set[str]:
    """Return the refusals of health, where others ran too and none was answered."""
    if len(ran) <= 1 or not all(sample.bad for sample in ran):
        return set()
    return {sample.error_class for sample in health if is_refusal(sample.error_class)}
