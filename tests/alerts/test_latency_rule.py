"""Slow answers: judged by counting, with what timed out among the slow."""

from collections import Counter
from datetime import timedelta

import pytest

from dashboard.alerts.judges import slowness
from dashboard.alerts.rules import Act, Limits, Phase, Slowness, Step, act, latency
from dashboard.alerts.rules.latency import most_slow
from dashboard.lib import histogram
from dashboard.rollups.tally import Tally, merged
from tests.factories import NOW

LIMITS = Limits(min_samples=20)
LIMIT_MS = 1000.0


def judged(pace: Slowness | None, *, is_open: bool = False) -> Step:
    return latency(pace, LIMIT_MS, LIMITS, NOW, window_s=1800, is_open=is_open).step


@pytest.mark.parametrize(
    ("samples", "fires_at"), [(20, 2), (40, 3), (60, 4), (100, 6), (288, 15)]
)
def test_the_p95_is_judged_by_counting(samples: int, fires_at: int) -> None:
    """A-20: as many slow ones as put number ceil(0.95 n) beyond the limit."""
    values = sorted([100] * (samples - fires_at) + [2000] * fires_at)

    assert most_slow(samples) == fires_at - 1
    assert values[-(-95 * samples // 100) - 1] == 2000
    assert judged(Slowness(samples, fires_at, fires_at)) is Step.FIRE
    assert judged(Slowness(samples, fires_at - 1, fires_at)) is Step.CLEAR


@pytest.mark.parametrize("pace", [None, Slowness(0, 0, 0), Slowness(19, 19, 19)])
def test_few_samples_decide_nothing(pace: Slowness | None) -> None:
    """A-20: below 20 a percentile is one of the last few values."""
    assert judged(pace) is Step.HOLD
    assert judged(pace, is_open=True) is Step.HOLD


def test_a_rule_of_ones_own_waits_for_as_many() -> None:
    """A-20: with the five runs of other rules one slow run would be an alarm."""
    own = Limits(warn_at=LIMIT_MS, min_samples=5)
    few, enough = Slowness(19, 19, 19), Slowness(20, 2, 2)

    assert latency(few, 1, own, NOW, window_s=9, is_open=False).step is Step.HOLD
    assert latency(enough, 1, own, NOW, window_s=9, is_open=False).step is Step.FIRE


def test_it_clears_below_eight_tenths_of_its_limit() -> None:
    """A-22."""
    assert judged(Slowness(20, 1, 2), is_open=True) is Step.HOLD
    assert judged(Slowness(20, 1, 1), is_open=True) is Step.CLEAR


def seen(*values_ms: float, **classes: int) -> Tally:
    blob = histogram.of(int(value * 1000) for value in values_ms)
    samples = len(values_ms) + sum(classes.values())
    return Tally(samples=samples, classes=Counter(classes), ok_histogram=blob)


def test_what_timed_out_is_slow_and_a_fast_failure_is_nothing() -> None:
    """A-21: an outage of timeouts is not fast, a refused connection neither."""
    found = seen(*[100.0] * 18, timeout=2, connect_failed=7, auth_failed=3)

    pace = slowness(found, LIMIT_MS)

    assert (pace.samples, pace.slow, pace.nearly, pace.timed_out) == (20, 2, 2, 2)
    assert judged(pace) is Step.FIRE
    text = latency(pace, LIMIT_MS, LIMITS, NOW, window_s=1800, is_open=False).text
    assert text == (
        "2 of 20 runs took longer than 1 s in 30 min, 2 of them timed out "
        "(p95 of the others 99 ms)"
    )


def test_the_quantiles_are_those_of_the_successes() -> None:
    """A-21: with the number of those that were given up beside them."""
    pace = slowness(seen(*[100.0] * 50, *[400.0] * 50, timeout=1), LIMIT_MS)

    assert pace.p50_ms == pytest.approx(100, rel=0.01)
    assert pace.p95_ms == pytest.approx(400, rel=0.01)
    assert pace.p99_ms == pytest.approx(400, rel=0.01)
    assert (pace.samples, pace.timed_out) == (101, 1)


def test_minutes_are_judged_together_as_the_whole() -> None:
    """A-04: histograms merge; percentiles of percentiles would not."""
    parts = [seen(100, 100, 1500), seen(100, 1500), seen(*[100.0] * 40)]

    together = slowness(merged(parts), LIMIT_MS)

    assert (together.samples, together.slow) == (45, 2)


def test_twice_in_a_row_above_fires_and_three_times_below_clears() -> None:
    """A-22, with the default rule's times and a minute between two looks."""
    opens, since, now = [], None, NOW
    for step in (Step.FIRE, Step.CLEAR, Step.FIRE, Step.FIRE):
        now += timedelta(seconds=55)
        done = act(step, Phase(since=since), 45, now)
        since = {Act.WAIT: since or now, Act.FORGET: None}.get(done, since)
        opens.append(done)
    assert opens == [Act.WAIT, Act.FORGET, Act.WAIT, Act.OPEN]

    ends, since = [], None
    for step in (Step.CLEAR, Step.FIRE, Step.CLEAR, Step.CLEAR, Step.CLEAR):
        now += timedelta(seconds=55)
        done = act(step, Phase(is_open=True, since=since), 100, now)
        since = now if done is Act.EASE and since is None else since
        since = None if done is Act.KEEP else since
        ends.append(done)
    assert ends == [Act.EASE, Act.KEEP, Act.EASE, Act.EASE, Act.RESOLVE]
