"""How long the stand-in takes: log-normal, seeded, and off unless asked for."""

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal time: half of the draws are below `median_s`.

    `sigma` 0.3 keeps the middle 90 % within a factor of 1.6 either way. One draw in
    `slow_one_in` is four times as slow, as a real server has its odd moments.
    """

    median_s: float
    sigma: float = 0.3
    slow_one_in: int = 100

    def draw(self, rng: Random) -> float:
        factor = 4.0 if rng.random() * self.slow_one_in < 1 else 1.0
        return factor * math.exp(rng.gauss(math.log(self.median_s), self.sigma))


@dataclass(frozen=True, slots=True)
class Latency:
    """The times of one gateway; `scale` 0 answers at once.

    Medians are those measured on the real server (contract 3, "Cheapest probes").
    """

    scale: float = 1.0
    health: Spread = Spread(0.004)
    team: Spread = Spread(0.038, 0.22)
    credits: Spread = Spread(0.024, 0.25)
    other: Spread = Spread(0.030, 0.25)
    llm: Spread = Spread(1.1, 0.45)

    def of_route(self, template: str, rng: Random) -> float:
        """Return the seconds that a request of this route takes, without LLM time."""
        if self.scale <= 0:
            return 0.0
        if template == "/health":
            spread = self.health
        elif template.startswith("/api/teams"):
            spread = self.team
        elif template.startswith("/api/credits"):
            spread = self.credits
        else:
            spread = self.other
        return self.scale * spread.draw(rng)

    def of_reply(self, rng: Random) -> float:
        """Return the seconds that the LLM provider takes for one reply."""
        return self.scale * self.llm.draw(rng) if self.scale > 0 else 0.0


AT_ONCE = Latency(scale=0.0)
PLAUSIBLE = Latency()
