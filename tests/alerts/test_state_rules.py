"""Team state, breaker and gateway rules, as tapes."""

from datetime import timedelta

import pytest

from dashboard.alerts.rules import (
    BreakerSight,
    Limits,
    Sample,
    Step,
    TeamSight,
    breaker_open,
    gateway_down,
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
        ("active", "aa", Step.FIRE, "key_refused"),
        ("active", "oa", Step.HOLD, ""),
        ("active", "aao", Step.CLEAR, ""),
        # The gateway's own failure says nothing about the team.
        ("active", "aax", Step.FIRE, "key_refused"),
        ("active", "axa", Step.FIRE, "key_refused"),
        ("paused", "aa", Step.FIRE, "key_refused"),
        ("suspended", "aa", Step.FIRE, "suspended"),
        # Nothing is known yet.
        ("", "", Step.HOLD, ""),
        ("", "o", Step.CLEAR, ""),
    ],
)
def test_a_teams_state(status: str, tape: str, step: Step, level: str) -> None:
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
    ("state", "step"),
    [("open", Step.FIRE), ("half_open", Step.HOLD), ("closed", Step.CLEAR)],
)
def test_a_breaker(state: str, step: Step) -> None:
    sight = BreakerSight(state, "GET /x", 5, NOW, reason="server_error")

    assert breaker_open(sight, Limits(), NOW).step is step


def test_a_breaker_that_is_not_stored_is_closed() -> None:
    assert breaker_open(None, Limits(), NOW).step is Step.CLEAR


def test_a_breaker_counts_from_its_first_opening() -> None:
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
        # What was held says nothing.
        ("xxx", "xhhh", Step.FIRE),
        ("xxxo", "xxx", Step.HOLD),
        ("xxxoo", "ooo", Step.CLEAR),
        ("", "", Step.HOLD),
    ],
)
def test_a_gateway(health: str, latest: str, step: Step) -> None:
    now_all = [Sample(NOW, sample.error_class) for sample in samples(latest)]

    assert gateway_down(samples(health), now_all, LIMITS, NOW).step is step


@pytest.mark.parametrize(("after", "step"), [(2, Step.CLEAR), (3, Step.HOLD)])
def test_a_gateway_is_up_after_as_many_answers_as_its_rule_says(
    after: int, step: Step
) -> None:
    limits = Limits(clear_after=after)

    assert gateway_down(samples("xxxoo"), [], limits, NOW).step is step


def test_probes_that_have_not_run_since_are_not_asked() -> None:
    before = [Sample(NOW - timedelta(minutes=10))] * 9
    latest = [*before, Sample(NOW, "timeout")]

    verdict = gateway_down(samples("xxx"), latest, Limits(), NOW)

    assert verdict.text == "1 of 1 probes failing (timed out)"
