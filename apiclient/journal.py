"""Log what happens to a call: an event name and fields, never prose, never a secret."""

import logging
from collections.abc import Callable
from typing import TypeVar

from apiclient.report import Attempt, CallReport
from apiclient.taxonomy import ErrorClass

logger = logging.getLogger("apiclient")
logger.addHandler(logging.NullHandler())  # silent until the program asks


E = TypeVar("E")


def tell(hook: Callable[[E], object] | None, event: E) -> None:
    """Call a hook, which is somebody else's: whatever it raises breaks no call."""
    if hook is None:
        return
    try:
        hook(event)
    except Exception:  # a hook may raise anything
        logger.exception("hook.failed")


def started(operation: str, method: str, endpoint: str, request_id: str) -> None:
    if not logger.isEnabledFor(logging.DEBUG):
        return
    logger.debug(
        "call.started",
        extra={
            "operation": operation,
            "method": method,
            "endpoint": endpoint,
            "request_id": request_id,
        },
    )


def key_refused(request_id: str, reason: str) -> None:
    logger.warning(
        "key_provider.refused", extra={"request_id": request_id, "reason": reason}
    )


def retrying(request_id: str, endpoint: str, attempt: Attempt, wait_s: float) -> None:
    logger.info(
        "call.retrying",
        extra={
            "request_id": request_id,
            "endpoint": endpoint,
            "attempt": attempt.number,
            "error": attempt.error and attempt.error.value,
            "status_code": attempt.status_code,
            "detail": attempt.detail,
            "wait_s": round(wait_s, 3),
        },
    )


def ended(
    report: CallReport[object], base_url: str, path: str, error_type: str
) -> None:
    """Log a finished call, its URL without the query; a held call is no news."""
    if report.error is None:
        level, event = logging.DEBUG, "call.succeeded"
    elif report.error is ErrorClass.BREAKER_HELD:
        level, event = logging.INFO, "call.held"
    else:
        level, event = logging.WARNING, "call.failed"
    if logger.isEnabledFor(level):
        url = base_url + path.partition("?")[0]
        logger.log(level, event, extra=fields(report, url, error_type))


def fields(report: CallReport[object], url: str, error_type: str) -> dict[str, object]:
    """Return the fields of a record; none is a name that `logging` itself uses."""
    return {
        "operation": report.operation,
        "method": report.method,
        "endpoint": report.endpoint,
        "url": url,
        "request_id": report.request_id,
        "server_request_id": report.server_request_id,
        "team_id": report.team_id,
        "job_id": report.job_id,
        "error": report.error and report.error.value,
        "error_type": error_type,
        "status_code": report.status_code,
        "detail": report.detail,
        "attempt": len(report.attempts),
        "elapsed_ms": round(report.elapsed_s * 1000, 1),
        "latency_ms": round(report.latency_s * 1000, 1),
        "retry_after_s": report.retry_after_s,
        "ambiguous": report.ambiguous,
        "breaker_state": report.breaker_state,
    }
