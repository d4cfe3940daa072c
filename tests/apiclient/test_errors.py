import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

import apiclient
from apiclient import (
    TABLE,
    APIError,
    CallReport,
    Category,
    ErrorClass,
    ServerError,
    errors,
)
from apiclient.errors import EXCEPTIONS, error_for
from apiclient.retry import Repeat


def report(error: ErrorClass, *, ambiguous: bool = False) -> CallReport[object]:
    return CallReport(
        operation="create_and_call",
        method="POST",
        endpoint="/api/jobs/create-and-call",
        request_id="r",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        elapsed_s=1.5,
        attempts=(),
        error=error,
        status_code=503,
        detail="down",
        retry_after_s=3.0,
        ambiguous=ambiguous,
    )


def pickled(error: APIError) -> APIError:
    again: APIError = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    return again


def test_every_class_has_an_exception() -> None:
    """S-05."""
    assert set(EXCEPTIONS) == set(ErrorClass)
    assert all(issubclass(each, APIError) for each in EXCEPTIONS.values())


def test_each_class_has_one_of_the_guides_categories_or_ours() -> None:
    """S-04: and what is our own doing is in no error rate."""
    by_category = {
        category: {
            error.value for error in ErrorClass if TABLE[error].category is category
        }
        for category in Category
    }

    assert by_category == {
        Category.AUTH: {
            "auth_failed", "team_suspended", "team_paused", "credits_exhausted",
            "model_denied", "wrong_team", "wrong_job", "forbidden",
        },
        Category.CLIENT: {
            "bad_request", "not_found", "conflict", "validation", "client_error",
            "redirect",
        },
        Category.RATE_LIMIT: {"rate_limited"},
        Category.SERVER: {
            "server_error", "unavailable", "bad_gateway", "not_supported",
            "provider_auth", "provider_config", "provider_rate_limited",
            "provider_timeout", "provider_unreachable", "provider_error", "decode",
            "too_large",
        },
        Category.NETWORK: {
            "connect_failed", "connect_timeout", "tls_failed", "timeout",
            "connection_lost", "protocol",
        },
        Category.STREAMING: {
            "stream_error", "stream_interrupted", "stream_stalled", "stream_timeout",
        },
        Category.OWN: {
            "breaker_held", "pool_exhausted", "cancelled", "config_error",
            "internal_error",
        },
    }  # fmt: skip
    assert all(
        TABLE[error].counts == (TABLE[error].category is not Category.OWN)
        for error in ErrorClass
    )


@pytest.mark.parametrize(
    "name",
    [
        "APIError",
        "AuthenticationError",
        "InsufficientCreditsError",
        "RateLimitError",
        "ServerError",
    ],
)
def test_the_guides_five_names_can_be_imported(name: str) -> None:
    """S-05."""
    assert issubclass(getattr(apiclient, name), apiclient.APIError)


def test_an_error_carries_what_its_report_knows() -> None:
    """S-05, X-25, X-36."""
    error = error_for(report(ErrorClass.UNAVAILABLE))

    assert isinstance(error, ServerError)
    assert str(error) == "POST /api/jobs/create-and-call: Unavailable (503): down"
    assert (error.status_code, error.detail, error.request_id) == (503, "down", "r")
    assert (error.method, error.endpoint) == ("POST", "/api/jobs/create-and-call")
    assert (error.retry_after, error.elapsed, error.attempts) == (3.0, 1.5, 0)
    assert error.retryable
    assert error.advice
    assert error.errors == ()


@pytest.mark.parametrize("renew", [pickled, copy.copy, copy.deepcopy])
def test_an_error_comes_whole_from_another_process(
    renew: Callable[[APIError], APIError],
) -> None:
    """S-05: a process pool passes errors on pickled, and breaks on one it cannot."""
    error = error_for(report(ErrorClass.RATE_LIMITED))
    error.add_note("in the second batch")

    again = renew(error)

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.report == error.report
    assert again.__notes__ == ["in the second batch"]


def test_a_charged_call_that_may_have_run_has_its_own_error() -> None:
    ambiguous = report(ErrorClass.TIMEOUT, ambiguous=True)
    assert type(error_for(ambiguous, Repeat.CHARGED)) is errors.AmbiguousOutcomeError
    assert type(error_for(ambiguous, Repeat.LLM_CALL)) is errors.APITimeoutError


def test_every_exception_is_public_and_in_the_drawn_tree() -> None:
    drawn = errors.__doc__ or ""
    for name, each in vars(errors).items():
        if isinstance(each, type) and issubclass(each, APIError):
            assert name in apiclient.__all__
            assert name in drawn
