"""A virtual key that the gateway refuses."""

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
    in_rate,
    is_gateways_fault,
    latest_details,
)

_REFUSED = "auth_failed"
# One refusal may be a hiccup of the gateway, but not of a key that never worked.
_IN_A_ROW = 2


def auth_failed(
    outcomes: Sequence[Sequence[Sample]],
    key_set_at: datetime | None,
    limits: Limits,
    now: datetime,
) -> Verdict:
    """Judge a team's key by each probe's outcomes since it was set.

    Fires after two refusals in a row of one probe, after one where the key has no other
    answer yet. Clears with the first other answer of each probe that was refused. What
    is the gateway's own fault says nothing of the key.
    """
    answers = [_answers(samples, key_set_at) for samples in outcomes]
    refusals = [_last_refusals(each) for each in answers]
    proven = [
        last
        for last, each in zip(refusals, answers, strict=True)
        if len(last) >= _IN_A_ROW or (key_set_at and last and len(last) == len(each))
    ]
    if proven:
        return _fire(max(proven, key=lambda last: last[-1].at))
    if any(refusals) or not any(answers):
        return HOLD
    return CLEAR


def _answers(samples: Sequence[Sample], since: datetime | None) -> list[Sample]:
    return [
        sample
        for sample in in_rate(samples)
        if not is_gateways_fault(sample.error_class)
        and (since is None or sample.at >= since)
    ]


def _last_refusals(answers: Sequence[Sample]) -> list[Sample]:
    last: list[Sample] = []
    for sample in reversed(answers):
        if sample.error_class != _REFUSED:
            break
        last.insert(0, sample)
    return last


def _fire(refusals: Sequence[Sample]) -> Verdict:
    return Verdict(
        Step.FIRE,
        Severity.CRITICAL,
        text="the team's key is refused",
        error_class=_REFUSED,
        evidence=Evidence(
            since=refusals[0].at,
            latest=refusals[-1].at,
            classes={_REFUSED: len(refusals)},
            details=latest_details(refusals),
        ),
    )
