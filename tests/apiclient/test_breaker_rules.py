"""The breaker's other rules: window, slow calls, forced states, and any schedule at all."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiclient.breaker import (
    Admit,
    BreakerPolicy,
    BreakerRow,
    BreakerState,
    Result,
    admit,
    forced,
    state,
)
from apiclient.gate import Admission, Gate, Transition
from apiclient.stores import MemoryBreakerStore
from apiclient.taxonomy import BreakerEffect
from tests.apiclient.test_breaker import NOW, POLICY, opened, settled

FAILURE = Result(BreakerEffect.FAILURE, "server_error")
SUCCESS = Result(BreakerEffect.SUCCESS)
KEY = "gw.example|acme|GET /x"


def after(calls: str, policy: BreakerPolicy = POLICY) -> BreakerRow:
    """Return the row after calls: F a failure, S a success, s a slow success."""
    row = BreakerRow()
    for call in calls:
        result = FAILURE if call == "F" else SUCCESS
        slow_s = 9.0 if call == "s" else 0.0
        row = settled(row, replace(result, latency_s=slow_s), policy=policy)
    return row


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ("FSFSFSFSF", ""),  # nine calls are too few
        ("FSFSFSFSFS", "failed calls"),  # 5 of 10: `>=` at the threshold
        ("FSSFSSFSSFSSFSS", ""),  # a third
        ("FFFFSFFFFS", "failed calls"),  # 8 of 10, never five in a row
        ("FFFFF", "server_error"),
    ],
)
def test_half_of_the_latest_calls_open_it(calls: str, why: str) -> None:
    """B-47, X-27: a success between two failures must not hide them.

    It may even open by the success that makes the calls enough.
    """
    row = after(calls)

    assert state(row, NOW) is (BreakerState.OPEN if why else BreakerState.CLOSED)
    assert row.reason == why
    assert row.failures == len(calls) - len(calls.rstrip("F"))


def test_the_window_forgets_what_is_long_ago() -> None:
    """B-47: twenty calls, and no more."""
    row = after("FSSFSSFSS" + "S" * 20)

    assert row == BreakerRow(version=row.version)


def test_a_healthy_breaker_is_not_written() -> None:
    assert after("S" * 100) == BreakerRow()


def test_the_window_can_be_switched_off() -> None:
    row = after("FS" * 30, BreakerPolicy(jitter=0.0, window=0))

    assert state(row, NOW) is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ("ssssssssSS", BreakerState.OPEN),  # 8 of 10
        ("sssssssSSS", BreakerState.CLOSED),
        ("sssssssss", BreakerState.CLOSED),  # nine calls are too few
    ],
)
def test_slow_calls_open_it_if_asked(calls: str, expected: BreakerState) -> None:
    """B-47: at least 80 % slower than the threshold."""
    policy = BreakerPolicy(jitter=0.0, slow_s=5.0)
    row = after(calls, policy)

    assert state(row, NOW) is expected
    assert (row.reason == "slow calls") is (expected is BreakerState.OPEN)


def test_slowness_means_nothing_unless_asked() -> None:
    assert after("s" * 30) == BreakerRow()


@pytest.mark.parametrize(
    "wrong",
    [{"window": 61}, {"window": -1}, {"failure_rate": 0.0}, {"slow_rate": 1.1}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).partition("_")[0]):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", list(Admit))
def test_forced_open_holds_everything(mode: Admit) -> None:
    """B-49: an administrator's word stands, for monitors, too."""
    row = forced(BreakerRow(), BreakerState.FORCED_OPEN)

    assert admit(row, NOW, POLICY, mode).held_s is not None
    assert admit(row, NOW + 1e9, POLICY, mode).held_s is not None
    assert state(row, NOW) is BreakerState.FORCED_OPEN


def test_forced_closed_lets_everything_pass_and_counts_nothing() -> None:
    """B-49."""
    row = forced(opened(), BreakerState.FORCED_CLOSED)

    for _ in range(20):
        assert admit(row, NOW, POLICY, Admit.NORMAL).held_s is None
        row = settled(row, FAILURE)
    assert state(row, NOW) is BreakerState.FORCED_CLOSED


def test_let_go_it_is_closed_and_counts_again() -> None:
    row = forced(forced(opened(), BreakerState.FORCED_OPEN), None)

    assert state(row, NOW) is BreakerState.CLOSED
    for _ in range(5):
        row = settled(row, FAILURE)
    assert state(row, NOW) is BreakerState.OPEN


def test_other_states_cannot_be_forced() -> None:
    with pytest.raises(ValueError, match="half_open"):
        forced(BreakerRow(), BreakerState.HALF_OPEN)


@dataclass
class Bench:
    """A gate on a memory store, with a clock that is moved by hand."""

    now: float = NOW
    events: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate = Gate(
            MemoryBreakerStore(),
            POLICY,
            lambda: self.now,
            lambda: 0.5,
            self.events.append,
        )

    def call(self, result: Result) -> Admission:
        admission = self.gate.admit((KEY,), Admit.NORMAL)
        if admission.held_s is None:
            self.gate.settle(admission.tickets, (result,))
        return admission

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(each.before.value, each.after.value) for each in self.events]


def test_every_transition_is_told_once() -> None:
    """B-49: from, to, the reason and the count."""
    bench = Bench()
    for _ in range(7):
        bench.call(FAILURE)
    bench.now += 61
    bench.call(FAILURE)
    bench.now += 121
    bench.call(SUCCESS)
    bench.gate.force(KEY, BreakerState.FORCED_OPEN)
    bench.gate.force(KEY, None)

    assert bench.changes == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
        ("closed", "forced_open"),
        ("forced_open", "closed"),
    ]
    first = bench.events[0]
    assert (first.key, first.reason, first.failures) == (KEY, "server_error", 5)


STEPS = st.lists(
    st.sampled_from(["ask", "fail", "work", "ignore", "lose"])
    | st.sampled_from([1.0, 61.0, 151.0, 700.0]),
    max_size=60,
)


EFFECTS = {
    "fail": FAILURE,
    "work": SUCCESS,
    "ignore": Result(BreakerEffect.IGNORED),
}


def _lease(admission: Admission) -> list[float]:
    ticket = admission.tickets[0]
    return [ticket.row.trial_until] if ticket.kind == "trial" else []


@given(STEPS)
def test_no_schedule_lets_two_trials_through_or_leaves_it_stuck(
    steps: list[str | float],
) -> None:
    """B-46, B-48: calls overlap, results come late, some never come."""
    bench = Bench()
    under_way: list[Admission] = []
    leases: list[float] = []  # the ends of those that trials under way hold
    for step in steps:
        leases = [until for until in leases if bench.now < until]
        if isinstance(step, float):
            bench.now += step
        elif step == "ask":
            admission = bench.gate.admit((KEY,), Admit.NORMAL)
            if admission.held_s is None:
                under_way.append(admission)
                leases += _lease(admission)
                assert len(leases) <= 1
        elif under_way:
            ended = under_way.pop(0)
            if step != "lose":
                bench.gate.settle(ended.tickets, (EFFECTS[step],))
                decides = step != "ignore" and _lease(ended)
                leases = [] if decides else [u for u in leases if [u] != _lease(ended)]

    # Whatever happened: after the longest wait and the longest lease a call passes, and
    # when it works the breaker is closed.
    bench.now += POLICY.longest_s + POLICY.lease_s + 1
    assert bench.call(SUCCESS).held_s is None
    assert bench.gate.admit((KEY,), Admit.NORMAL).state == "closed"
