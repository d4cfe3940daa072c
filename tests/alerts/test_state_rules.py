"""Team state, breaker and gateway rules, as tapes."""

from datetime import timedelta

import pytest

from dashboard.alerts.rules import (
    BreakerSight,
    Limits,
    Sample,
    Step,
    TeamSight,
    auth_failed,
    breaker_open,
    gateway_down,
    stream_failures,
    team_state,
)
from tests.factories import NOW

_CLASSES = {
    "o": "",
    "x": "server_error",
    "t": "timeout",
    "a": "auth_failed",
    "s": "team_suspended",
    "p": "team_paused",
    "r": "rate_limited",
    "h": "breaker_held",
    "i": "stream_interrupted",
}


LIMITS = Limits(clear_after=2)


def samples(tape: str) -> list[Sample]:
    last = len(tape) - 1
    return [
        Sample(NOW - timedelta(seconds=60 * (last - i)), _CLASSES[letter])
        for i, letter in enumerate(tape)
    ]


@pytest.mark.parametrize(
    ("status", "tape", "step", "level"),
    [
        ("active", "ooo", Step.CLEAR, ""),
        ("suspended", "ooo", Step.FIRE, "suspended"),
        ("paused", "", Step.FIRE, "paused"),
        ("unknown", "ooo", Step.FIRE, "unknown"),
        # The explicit text, once and twice.
        ("", "os", Step.HOLD, ""),
        ("", "oss", Step.FIRE, "suspended"),
        ("", "pp", Step.FIRE, "paused"),
        # The gateway's own failure says nothing about the team, nor does its key.
        ("", "sxs", Step.FIRE, "suspended"),
        ("active", "aa", Step.CLEAR, ""),
        ("suspended", "aa", Step.FIRE, "suspended"),
        # Nothing is known yet.
        ("", "", Step.HOLD, ""),
        ("", "o", Step.CLEAR, ""),
    ],
)
def test_a_teams_state(status: str, tape: str, step: Step, level: str) -> None:
    """A-32: believed at once; A-33: a status that is not known is told, too."""
    told_at = NOW - timedelta(hours=1) if status else None

    verdict = team_state(TeamSight(status, told_at, [samples(tape)]), Limits(), NOW)

    assert (verdict.step, verdict.level) == (step, level)


def test_active_after_the_refusals_ends_them() -> None:
    refusals = samples("ss")
    later = TeamSight("active", NOW + timedelta(seconds=1), [refusals])
    before = TeamSight("active", NOW - timedelta(seconds=1), [refusals])

    assert team_state(later, Limits(), NOW).step is Step.CLEAR
    assert team_state(before, Limits(), NOW).step is Step.FIRE


@pytest.mark.parametrize(
    ("tape", "step"),
    [
        ("oooi", Step.HOLD),
        ("oioi", Step.FIRE),
        ("iiio", Step.HOLD),
        ("iooo", Step.CLEAR),
        # What else fails says nothing of streams.
        ("oxxxx", Step.CLEAR),
        ("ixtri", Step.FIRE),
        ("", Step.HOLD),
    ],
)
def test_streams(tape: str, step: Step) -> None:
    limits = Limits(min_bad=2, of_last=4, clear_after=1)

    verdict = stream_failures(samples(tape), limits, 3600, NOW)

    assert verdict.step is step
    if step is Step.FIRE:
        assert verdict.severity == "warning"
        assert "%, limit 50 %): stream" in verdict.text
        assert verdict.error_class == "stream_interrupted"


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("tapes", "key_age", "step"),
    [
        (["ooa"], None, Step.HOLD),
        (["oaa"], None, Step.FIRE),
        (["aao"], None, Step.CLEAR),
        # The gateway's own failure says nothing about the key.
        (["aax"], None, Step.FIRE),
        (["axa"], None, Step.FIRE),
        (["xx"], None, Step.HOLD),
        # Any other answer proves that the key was accepted.
        (["aar"], None, Step.CLEAR),
        # Of two probes one is refused: a key of no use to it.
        (["oo", "aa"], None, Step.FIRE),
        (["oo", "ao"], None, Step.CLEAR),
        (["oo", "oa"], None, Step.HOLD),
        # The first answers to a new key: one refusal proves it.
        (["aaaa"], 0.5 * MINUTE, Step.FIRE),
        (["aaao"], 0.5 * MINUTE, Step.CLEAR),
        (["aaoa"], 1.5 * MINUTE, Step.HOLD),
        (["aaax"], 0.5 * MINUTE, Step.HOLD),
        # Refusals of the old key say nothing of the new one.
        (["aaaa"], -0.5 * MINUTE, Step.HOLD),
        ([""], None, Step.HOLD),
        ([], None, Step.HOLD),
    ],
)
def test_a_key(tapes: list[str], key_age: timedelta | None, step: Step) -> None:
    """A-31."""
    set_at = None if key_age is None else NOW - key_age
    outcomes = [samples(tape) for tape in tapes]

    verdict = auth_failed(outcomes, set_at, Limits(), NOW)

    assert verdict.step is step
    if step is Step.FIRE:
        assert (verdict.severity, verdict.error_class) == ("critical", "auth_failed")


@pytest.mark.parametrize(
    ("state", "step"),
    [("open", Step.FIRE), ("half_open", Step.HOLD), ("closed", Step.CLEAR)],
)
def test_a_breaker(state: str, step: Step) -> None:
    """A-30."""
    sight = BreakerSight(state, "GET /x", 5, NOW, reason="server_error")

    assert breaker_open(sight, Limits(), NOW).step is step


def test_a_breaker_that_is_not_stored_is_closed() -> None:
    assert breaker_open(None, Limits(), NOW).step is Step.CLEAR


@pytest.mark.parametrize(("openings", "step"), [(2, Step.HOLD), (3, Step.FIRE)])
def test_a_breaker_that_opens_again_and_again_is_told(
    openings: int, step: Step
) -> None:
    """A-30: three openings in half an hour, however short."""
    opened_at = NOW - timedelta(seconds=5)
    sight = BreakerSight("open", "GET /x", 5, opened_at, openings=openings)

    verdict = breaker_open(sight, Limits(for_s=60), NOW)

    assert verdict.step is step
    if step is Step.FIRE:
        assert verdict.text.endswith("in a row, opened 3 times in 30 min")


def test_a_breaker_counts_from_its_first_opening() -> None:
    """A-30: for more than a minute."""
    limits = Limits(for_s=60)
    young = BreakerSight("open", "GET /x", 5, NOW - timedelta(seconds=59))
    old = BreakerSight("open", "GET /x", 5, NOW - timedelta(seconds=60))

    assert breaker_open(young, limits, NOW).step is Step.HOLD
    assert breaker_open(old, limits, NOW).step is Step.FIRE


def test_a_breaker_tells_its_reason_where_it_is_an_error_class() -> None:
    known = BreakerSight("open", "GET /x", 5, NOW, reason="timeout")
    other = BreakerSight("open", "GET /x", 5, NOW, reason="by hand")

    text = "breaker of GET /x is open after 5 failures in a row"
    assert breaker_open(known, Limits(), NOW).text == f"{text}: timed out"
    assert breaker_open(other, Limits(), NOW).text == text


def test_a_breaker_that_half_of_its_calls_opened_says_so() -> None:
    few = BreakerSight("open", "GET /x", 2, NOW, reason="rate_limited", in_a_row=False)

    text = "breaker of GET /x is open after half of the latest calls failed"
    assert breaker_open(few, Limits(), NOW).text == f"{text}: rate limited"


@pytest.mark.parametrize(
    ("health", "latest", "step"),
    [
        ("oxx", "xxx", Step.HOLD),
        ("xxx", "xxxx", Step.FIRE),
        ("xtx", "xtoo", Step.FIRE),
        ("xxx", "xooo", Step.HOLD),
        # Refusals prove that the gateway answers.
        ("xxx", "xass", Step.HOLD),
        ("rrr", "rrr", Step.HOLD),
        # Unless nobody is let in, not even who asks for its health.
        ("aaa", "aasa", Step.FIRE),
        ("aaa", "aaao", Step.HOLD),
        ("aaa", "a", Step.HOLD),
        ("aaa", "asss", Step.HOLD),
        # What was held says nothing.
        ("xxx", "xhhh", Step.FIRE),
        ("xxxo", "xxx", Step.HOLD),
        ("xxxoo", "ooo", Step.CLEAR),
        ("", "", Step.HOLD),
    ],
)
def test_a_gateway(health: str, latest: str, step: Step) -> None:
    """A-34; A-01: a team's own trouble is no fault of the gateway."""
    now_all = [Sample(NOW, sample.error_class) for sample in samples(latest)]

    assert gateway_down(samples(health), now_all, LIMITS, NOW).step is step


@pytest.mark.parametrize(("after", "step"), [(2, Step.CLEAR), (3, Step.HOLD)])
def test_a_gateway_is_up_after_as_many_answers_as_its_rule_says(
    after: int, step: Step
) -> None:
    limits = Limits(clear_after=after)

    assert gateway_down(samples("xxxoo"), [], limits, NOW).step is step


@pytest.mark.parametrize(
    ("began_s", "since_s"),
    [
        (-168, -168),  # before health, which was well three minutes ago
        (-90, -120),  # after health
        (-181, -120),  # when health was well: a trouble of its own
        (None, -120),
    ],
)
def test_an_outage_begins_with_the_first_failure_that_belongs_to_it(
    began_s: float | None, since_s: float
) -> None:
    """A-34: the probe that runs before health saw it first."""
    began = None if began_s is None else NOW + timedelta(seconds=began_s)
    health = [
        Sample(NOW + timedelta(seconds=second), "" if second < -120 else "server_error")
        for second in (-240, -180, -120, -60, 0)
    ]
    latest = [Sample(NOW, "server_error"), Sample(NOW, "server_error", "", began)]

    verdict = gateway_down(health, latest, LIMITS, NOW)

    assert verdict.evidence.since == NOW + timedelta(seconds=since_s)


def test_probes_that_have_not_run_since_are_not_asked() -> None:
    before = [Sample(NOW - timedelta(minutes=10))] * 9
    latest = [*before, Sample(NOW, "timeout")]

    verdict = gateway_down(samples("xxx"), latest, Limits(), NOW)

    assert verdict.text == "gateway down, 1 of 1 probes failing (timed out)"


def test_what_the_breaker_holds_is_still_out() -> None:
    """A-34: told by its number, and never a reason."""
    failing = NOW - timedelta(minutes=3)
    held = [Sample(NOW, "breaker_held", "", failing)] * 6
    well = Sample(NOW, "breaker_held")

    verdict = gateway_down(
        samples("xxx"), [Sample(NOW, "timeout"), *held, well], LIMITS, NOW
    )

    assert verdict.text == "gateway down, 7 of 7 probes failing (timed out)"
    assert (verdict.value, verdict.samples, verdict.evidence.bad) == (1.0, 7, 7)
    assert verdict.evidence.classes == {"timeout": 1, "breaker_held": 6}
    assert verdict.error_class == "timeout"
    answers = [Sample(NOW)] * 2
    latest = [Sample(NOW, "timeout"), *held, *answers]
    assert gateway_down(samples("xxx"), latest, LIMITS, NOW).step is Step.HOLD
