"""The demo's series of faults: what goes wrong when, over and over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.world import Team


@dataclass(frozen=True, slots=True)
class Step:
    """A fault from `on_s` until `off_s`, in seconds of one turn of the script."""

    on_s: float
    off_s: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class Event:
    """A switch at `at_s` of a turn: `fault` goes on or off."""

    at_s: float
    fault: Fault
    on: bool


@dataclass(frozen=True, slots=True)
class Script:
    """Steps that repeat every `turn_s` seconds. All of them end within the turn."""

    turn_s: float
    steps: Sequence[Step]

    def events(self) -> list[Event]:
        """Return the switches of one turn in order; at the same second, off is first."""
        switches = [Event(one.on_s, one.fault, on=True) for one in self.steps]
        switches += [Event(one.off_s, one.fault, on=False) for one in self.steps]
        return sorted(switches, key=lambda one: (one.at_s, one.on))

    def between(self, after_s: float, until_s: float) -> Iterator[Event]:
        """Yield what is due in (after_s, until_s], seconds since the script began.

        A first call starts below zero, so that what is due at 0 is due then.
        """
        turn = max(0, int(after_s // self.turn_s))
        events = self.events()
        while turn * self.turn_s <= until_s:
            for one in events:
                at_s = turn * self.turn_s + one.at_s
                if after_s < at_s <= until_s:
                    yield Event(at_s, one.fault, on=one.on)
            turn += 1


HEALTHY, DRAINING, FLAKY = "acme-chat", "globex-search", "initech-batch"


def demo_teams() -> list[Team]:
    """Return the three teams that the demo watches, with their example keys."""
    return [
        Team(HEALTHY, credits_allocated=5000, credits_remaining=4210),
        Team(DRAINING, credits_allocated=1000, credits_remaining=300),
        Team(FLAKY, credits_allocated=2000, credits_remaining=1400),
    ]


# Within the first five minutes a visitor sees each kind of trouble once. Drained are
# 300 credits: at 1.2/s below 20 % (low) after 1.5 min and 10 % (critical) after 3 min.
DEMO = Script(
    turn_s=900.0,
    steps=(
        Step(
            0,
            880,
            Fault(
                FaultKind.SLOW,
                name="demo-now-and-then",
                team=FLAKY,
                probability=0.05,
                delay_s=0.6,
            ),
        ),
        Step(
            20,
            260,
            Fault(FaultKind.DRAIN, name="demo-drain", team=DRAINING, credits_per_s=1.2),
        ),
        Step(
            30,
            100,
            Fault(
                FaultKind.SLOW,
                name="demo-slow-tail",
                team=FLAKY,
                probability=0.4,
                delay_s=1.5,
            ),
        ),
        Step(
            110,
            160,
            Fault(
                FaultKind.RATE_LIMITED,
                name="demo-rate-limit",
                team=FLAKY,
                probability=0.7,
                retry_after_s=2,
            ),
        ),
        Step(
            180,
            255,
            Fault(
                FaultKind.ERROR_TEXT,
                name="demo-errors",
                team=FLAKY,
            ),
        ),
        Step(
            210,
            330,
            Fault(FaultKind.TEAM_SUSPENDED, name="demo-suspended", team=HEALTHY),
        ),
        Step(420, 421, Fault(FaultKind.REFILL, name="demo-refill", team=DRAINING)),
        Step(
            480,
            520,
            Fault(
                FaultKind.UNAVAILABLE_HTML,
                name="demo-maintenance",
                team=FLAKY,
                retry_after_s=10,
            ),
        ),
        Step(
            560,
            600,
            Fault(FaultKind.RESET, name="demo-resets", team=FLAKY, probability=0.5),
        ),
        Step(
            620,
            840,
            # Down to the level at which a turn begins, so that all turns look alike.
            Fault(
                FaultKind.DRAIN,
                name="demo-drain-back",
                team=DRAINING,
                credits_per_s=3.2,
            ),
        ),
    ),
)

SCRIPTS = {"demo": DEMO}
