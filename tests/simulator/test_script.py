"""The demo's script, as a tape."""

from datetime import UTC, datetime

from dashboard.simulator.faults import FaultKind
from dashboard.simulator.gateway import Gateway
from dashboard.simulator.player import play_until
from dashboard.simulator.script import DEMO, DRAINING, FLAKY, HEALTHY, demo_teams


class Play:
    """The demo played by hand: `to(s)` moves its clock and switches what is due."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.gateway = Gateway(
            demo_teams(),
            monotonic=lambda: self.now_s,
            now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
        )
        self._played_s = -1.0

    def to(self, now_s: int) -> set[FaultKind]:
        while self.now_s < now_s:
            self.now_s += 1
            play_until(DEMO, self.gateway, self._played_s, self.now_s)
            self._played_s = self.now_s
        return {one.fault.kind for one in self.gateway.faults()}

    def level(self) -> float:
        team = self.gateway.team(DRAINING)
        return team.credits_remaining / team.credits_allocated


def test_a_visitor_sees_each_trouble_within_minutes() -> None:
    play = Play()

    assert FaultKind.SLOW in play.to(40)
    assert FaultKind.RATE_LIMITED in play.to(120)
    assert play.level() <= 0.2
    assert FaultKind.ERROR_TEXT in play.to(200)
    assert play.level() <= 0.1
    play.to(240)
    assert play.gateway.team(HEALTHY).status == "suspended"
    play.to(340)
    assert play.gateway.team(HEALTHY).status == "active"
    play.to(430)
    assert play.level() == 1.0


def test_each_turn_looks_like_the_first() -> None:
    play = Play()

    play.to(901)
    first = play.level()
    play.to(1801)

    assert abs(play.level() - first) < 0.02
    assert 0.25 < first < 0.35


def test_every_step_ends_within_the_turn() -> None:
    assert all(0 <= one.on_s < one.off_s < DEMO.turn_s for one in DEMO.steps)
    names = [one.fault.name for one in DEMO.steps]
    assert len(names) == len(set(names))
    assert {one.fault.team for one in DEMO.steps} == {HEALTHY, DRAINING, FLAKY}
