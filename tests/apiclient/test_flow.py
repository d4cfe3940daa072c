"""The policy driven by hand: no client, no transport, no sleep."""

from collections.abc import Generator
from datetime import UTC, datetime

from apiclient import CallReport, ErrorClass, RetryPolicy, operations
from apiclient.classify import Answer, Verdict
from apiclient.flow import course
from apiclient.gate import Admission, Aftermath
from apiclient.payloads import Health
from apiclient.steps import Ask, Call, Reply, Send, Sent, Settle, Sources, Step, Wait
from apiclient.taxonomy import BreakerEffect

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GOOD = Sent(AT, 0.1, Answer(200, {}, b'{"status": "healthy"}'))
LOST = Sent(AT, 0.1, fault=Verdict(ErrorClass.CONNECTION_LOST, detail="reset"))


def begun(max_retries: int = 3) -> Generator[Step, Reply, CallReport[Health]]:
    call = Call(operations.health(), "id", RetryPolicy(), max_retries, deadline_s=60.0)
    return course(call, Sources(clock=lambda: 0.0, now=lambda: AT, draw=lambda: 0.5))


def ended(
    steps: Generator[Step, Reply, CallReport[Health]], reply: Reply
) -> CallReport[Health]:
    try:
        step = steps.send(reply)
    except StopIteration as done:
        report: CallReport[Health] = done.value
        return report
    raise AssertionError(f"it went on with {step}")


def test_a_good_call_asks_sends_and_settles() -> None:
    steps = begun()
    assert isinstance(next(steps), Ask)
    send = steps.send(Admission())
    assert isinstance(send, Send)
    assert send.timeout_s == 30
    settle = steps.send(GOOD)
    assert isinstance(settle, Settle)
    assert [each.effect for each in settle.results] == [BreakerEffect.SUCCESS] * 2

    report = ended(steps, Aftermath("closed"))
    assert report.value == Health("healthy")
    assert report.breaker_state == "closed"


def test_a_lost_call_waits_and_is_sent_again_with_more_time() -> None:
    steps = begun()
    next(steps)
    steps.send(Admission())
    settle = steps.send(LOST)
    assert isinstance(settle, Settle)
    route, host = settle.results
    assert route.effect is BreakerEffect.FAILURE
    assert host.effect is BreakerEffect.IGNORED

    wait = steps.send(Aftermath())
    assert isinstance(wait, Wait)
    assert wait.seconds == 1.0
    assert isinstance(steps.send(None), Ask)
    again = steps.send(Admission())
    assert isinstance(again, Send)
    assert again.timeout_s == 45


def test_a_retry_that_the_breaker_would_refuse_is_not_waited_for() -> None:
    """S-81."""
    steps = begun()
    next(steps)
    steps.send(Admission())
    steps.send(LOST)
    report = ended(steps, Aftermath("open", held_s=60.0))

    assert report.error is ErrorClass.CONNECTION_LOST
    assert report.retries_suppressed


def test_a_breaker_that_opened_during_the_wait_leaves_the_first_error() -> None:
    steps = begun()
    next(steps)
    steps.send(Admission())
    steps.send(LOST)
    steps.send(Aftermath())
    steps.send(None)
    report = ended(steps, Admission(held_s=30.0))

    assert report.error is ErrorClass.CONNECTION_LOST
    assert report.retries_suppressed
    assert len(report.attempts) == 1


def test_a_held_call_names_its_breaker() -> None:
    steps = begun()
    next(steps)
    report = ended(steps, Admission(held_s=30.0, held_by="the breaker of x is open"))

    assert report.error is ErrorClass.BREAKER_HELD
    assert report.retry_after_s == 30.0
    assert report.detail == "the breaker of x is open"
