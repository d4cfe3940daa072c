"""Answers that never come from the gateway itself: a proxy's, or another gateway's."""

from collections.abc import Callable, Mapping

from dashboard.simulator.answers import Answer, detail, html, json_answer, text_500
from dashboard.simulator.faults import Fault, FaultKind

Headers = tuple[tuple[str, str], ...]

_ANSWERS: Mapping[FaultKind, Callable[[Headers], Answer]] = {
    FaultKind.RATE_LIMITED: lambda wait: detail(429, "Rate limit exceeded", *wait),
    FaultKind.FORBIDDEN: lambda _: detail(
        403, "Team suspended or insufficient credits"
    ),
    FaultKind.ERROR_JSON: lambda _: detail(500, "Internal server error"),
    FaultKind.ERROR_TEXT: lambda _: text_500(),
    FaultKind.UNAVAILABLE_JSON: lambda wait: detail(
        503, "Service temporarily unavailable", *wait
    ),
    FaultKind.UNAVAILABLE_HTML: lambda wait: html(
        503, "Service Temporarily Unavailable", *wait
    ),
    FaultKind.WRONG_SHAPE: lambda _: json_answer([{"unexpected": True}]),
}


def answer_in_front(fault: Fault) -> Answer:
    """Return what the guide promises for this fault; today's server never sends it."""
    wait: Headers = ()
    if fault.retry_after_s is not None:
        wait = (("retry-after", str(fault.retry_after_s)),)
    return _ANSWERS[fault.kind](wait)
