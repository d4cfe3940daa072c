"""Times are plausible, seeded, and off unless asked for."""

from random import Random
from statistics import median, quantiles

import pytest

from dashboard.simulator.latency import AT_ONCE, PLAUSIBLE


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a simulation, and to be repeatable


@pytest.mark.parametrize(
    ("template", "low_s", "high_s"),
    [
        ("/health", 0.002, 0.010),
        ("/api/teams/{team_id}", 0.025, 0.060),
        ("/api/credits/teams/{team_id}/balance", 0.015, 0.040),
    ],
)
def test_nine_in_ten_answers_take_a_plausible_time(
    template: str, low_s: float, high_s: float
) -> None:
    rng = seeded(1)
    times = [PLAUSIBLE.of_route(template, rng) for _ in range(2000)]

    cuts = quantiles(times, n=20)

    assert low_s <= cuts[0] <= median(times) <= cuts[-1] <= high_s
    assert max(times) > 2 * high_s or max(times) > 3 * median(times)


def test_the_same_seed_gives_the_same_times() -> None:
    def times() -> list[float]:
        rng = seeded(7)
        return [PLAUSIBLE.of_reply(rng) for _ in range(20)]

    assert times() == times()


def test_at_once_takes_no_time() -> None:
    assert AT_ONCE.of_route("/health", seeded(1)) == 0.0
    assert AT_ONCE.of_reply(seeded(1)) == 0.0
