"""What an attempt says to the breakers: its route's, and its whole host's."""

from apiclient.breaker import Result
from apiclient.classify import Verdict
from apiclient.retry import never_left
from apiclient.taxonomy import TABLE, BreakerEffect, ErrorClass

_HOST_FAILURES = frozenset({502, 503, 504})


def results(verdict: Verdict | None, latency_s: float) -> tuple[Result, Result]:
    """Return what an attempt of `latency_s` says to its route's breaker, its host's."""
    if verdict is None:
        return Result(BreakerEffect.SUCCESS, latency_s=latency_s), _FINE
    route = Result(
        TABLE[verdict.error].breaker,
        verdict.error.value,
        verdict.retry_after_s,
        latency_s,
    )
    return route, Result(_host_effect(verdict), verdict.error.value)


_FINE = Result(BreakerEffect.SUCCESS)


def _host_effect(verdict: Verdict) -> BreakerEffect:
    """Return what the host's breaker learns: only whether anything is there at all."""
    if verdict.status_code in _HOST_FAILURES:
        return BreakerEffect.FAILURE
    if verdict.status_code is not None:
        return BreakerEffect.SUCCESS
    unreachable = never_left(verdict.error) and verdict.error in _UNREACHABLE
    return BreakerEffect.FAILURE if unreachable else BreakerEffect.IGNORED


_UNREACHABLE = frozenset(
    {ErrorClass.CONNECT_FAILED, ErrorClass.CONNECT_TIMEOUT, ErrorClass.TLS_FAILED}
)
