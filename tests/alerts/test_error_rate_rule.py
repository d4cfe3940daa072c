"""The error-rate rule, as tapes: each letter is one run a minute, oldest first."""

from datetime import timedelta

import pytest

from dashboard.alerts.rules import Limits, Past, Sample, Step, error_rate, wilson_lower
from tests.factories import NOW

LIMITS = Limits(critical_at=0.2)
_CLASSES = {"o": "", "x": "server_error", "t": "timeout", "h": "breaker_held"}


def samples(tape: str, step_s: int = 60) -> list[Sample]:
    last = len(tape) - 1
    return [
        Sample(NOW - timedelta(seconds=step_s * (last - i)), _CLASSES[letter])
        for i, letter in enumerate(tape)
    ]


@pytest.mark.parametrize(
    ("bad", "count", "bound"),
    [
        (1, 1, 0.207),
        (2, 2, 0.342),
        (3, 3, 0.438),
        (2, 5, 0.118),
        (3, 5, 0.231),
        (5, 10, 0.237),
        (4, 10, 0.168),
        (8, 20, 0.219),
        (6, 20, 0.145),
        (20, 60, 0.227),
        (15, 60, 0.158),
        (0, 0, 0.0),
    ],
)
def test_the_bound_is_the_known_one(bad: int, count: int, bound: float) -> None:
    """A-11."""
    assert wilson_lower(bad, count) == pytest.approx(bound, abs=0.0006)


@pytest.mark.parametrize(
    ("tape", "step"),
    [
        ("ooooo", Step.CLEAR),
        ("oooox", Step.HOLD),
        ("oooxx", Step.HOLD),
        ("ooxxx", Step.FIRE),
        ("xxxxx", Step.FIRE),
        # The latest is good: nothing new is said.
        ("xxxxo", Step.HOLD),
        ("xxxoo", Step.HOLD),
        # Three good ones in a row, and the rate not yet below half the limit.
        ("xxooo", Step.HOLD),
        ("xoooo", Step.HOLD),
        # Too few to fire, too few to clear.
        ("xxx", Step.HOLD),
        ("x", Step.HOLD),
        ("oo", Step.HOLD),
        ("", Step.HOLD),
        # Few, but all of them good and enough in a row.
        ("ooo", Step.CLEAR),
        # What never tested the gateway is not counted.
        ("hhhhh", Step.HOLD),
        ("oxxxhhh", Step.HOLD),
    ],
)
def test_a_window_of_five_minutes(tape: str, step: Step) -> None:
    """A-10: never on few samples; A-52: to clear takes more than to fire no more."""
    assert error_rate(samples(tape), LIMITS, 300, NOW).step is step


def test_an_old_failure_leaves_the_window() -> None:
    assert error_rate(samples("xxxooooo"), LIMITS, 300, NOW).step is Step.CLEAR


def test_a_sample_at_the_edge_is_in_one_window_only() -> None:
    """A-02: windows are half-open."""
    edge = [Sample(NOW - timedelta(seconds=300), "timeout")]

    assert error_rate(edge, LIMITS, 300, NOW).step is Step.HOLD
    later = error_rate([*edge, *samples("ooo")], LIMITS, 300, NOW)
    assert later.step is Step.CLEAR


def test_late_rows_are_judged_by_when_they_started() -> None:
    tape = samples("ooxxx")

    assert error_rate(tape[::-1], LIMITS, 300, NOW).step is Step.FIRE


def test_the_verdict_carries_its_numbers() -> None:
    """A-14: the mix, the dominant class, the first and the latest failure."""
    tape = samples("otxxx")

    verdict = error_rate(tape, LIMITS, 300, NOW)

    assert (verdict.value, verdict.limit, verdict.samples) == (0.8, 0.2, 5)
    assert verdict.error_class == "server_error"
    assert verdict.evidence.classes == {"server_error": 3, "timeout": 1}
    assert verdict.evidence.since == tape[1].at
    assert verdict.evidence.latest == NOW
    assert verdict.text == (
        "4 of 5 runs failed in 5 min (80 %, limit 20 %): mostly server error"
    )


@pytest.mark.parametrize(
    ("tape", "step"),
    [
        ("oooxx", Step.HOLD),
        ("xxoox", Step.FIRE),  # three of the last five, whatever their rate's bound
        ("xxxxo", Step.HOLD),  # the latest is good: nothing new is said
        ("xxxoooxx", Step.HOLD),  # older ones do not count
        ("xxxooooo", Step.CLEAR),
        ("xxxooo", Step.CLEAR),  # two of five are below three
        ("xxx", Step.FIRE),
    ],
)
def test_three_of_the_last_five(tape: str, step: Step) -> None:
    """A-52: x of y."""
    limits = Limits(critical_at=0.2, of_last=5)

    assert error_rate(samples(tape), limits, 3600, NOW).step is step


@pytest.mark.parametrize(
    ("long_samples", "long_bad", "step"),
    [
        (60, 3, Step.HOLD),
        (60, 11, Step.HOLD),
        (60, 12, Step.FIRE),
        (0, 0, Step.FIRE),  # nothing is known of it
    ],
)
def test_the_long_window_must_agree(
    long_samples: int, long_bad: int, step: Step
) -> None:
    """A-12: the long window says that it matters, the short one that it goes on."""
    past = Past(long_samples=long_samples, long_bad=long_bad)

    assert error_rate(samples("ooxxx"), LIMITS, 300, NOW, past).step is step


@pytest.mark.parametrize(
    ("usual_samples", "usual_bad", "tape", "step"),
    [
        (1440, 0, "ooxxx", Step.FIRE),
        (1440, 287, "ooxxx", Step.FIRE),  # 60 % is three times 19.9 %
        (1440, 302, "ooxxx", Step.HOLD),  # and less than three times 21 %
        (1440, 302, "oxxxx", Step.FIRE),
        (49, 49, "ooxxx", Step.FIRE),  # too few to be a baseline
        (50, 50, "ooxxx", Step.HOLD),
    ],
)
def test_it_may_have_to_be_far_above_the_usual(
    usual_samples: int, usual_bad: int, tape: str, step: Step
) -> None:
    """A-13."""
    past = Past(usual_samples=usual_samples, usual_bad=usual_bad)

    assert error_rate(samples(tape), LIMITS, 300, NOW, past).step is step


def test_ten_points_above_a_low_baseline_at_least() -> None:
    """A-13: three times almost nothing is not far above it."""
    limits = Limits(critical_at=0.01)
    tape = samples("o" * 30 + "xxx", step_s=5)  # 9 %
    low, none = Past(usual_samples=1000, usual_bad=1), None

    assert error_rate(tape, limits, 300, NOW, none).step is Step.FIRE
    assert error_rate(tape, limits, 300, NOW, low).step is Step.HOLD


@pytest.mark.parametrize("count", [*range(1, 30), 50, 100])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_it_fires_just_where_bound_and_minimum_say(count: int, rate: float) -> None:
    """A-15: after low traffic as well as in much."""
    bad = round(count * rate)
    tape = samples("o" * (count - bad) + "x" * bad, step_s=1)

    fires = error_rate(tape, LIMITS, 300, NOW).step is Step.FIRE

    assert fires == (count >= 5 and bad >= 3 and wilson_lower(bad, count) >= 0.2)


def test_a_warning_below_a_critical_rate() -> None:
    """A-52."""
    limits = Limits(warn_at=0.2, critical_at=0.5)

    assert error_rate(samples("ooxxx"), limits, 300, NOW).severity == "warning"
    assert error_rate(samples("xxxxx"), limits, 300, NOW).severity == "critical"
