import pytest

from apiclient.retry import Repeat, RetryPolicy, is_ambiguous
from apiclient.taxonomy import TABLE, ErrorClass

POLICY = RetryPolicy()
ALMOST_ONE = 1 - 1e-12


@pytest.mark.parametrize(("retry", "wait_s"), [(0, 1), (1, 2), (2, 4), (3, 8)])
def test_the_waits_of_the_guides_table(retry: int, wait_s: float) -> None:
    """S-71, X-02: 0, 1, 2, 4, 8 s before attempts 1 to 5."""
    assert POLICY.backoff(retry, 0.5) == wait_s


def test_jitter_is_a_quarter_either_way() -> None:
    """S-72, X-03."""
    assert POLICY.backoff(2, 0.0) == 3.0
    assert POLICY.backoff(2, 0.5) == 4.0
    assert 4.99 < POLICY.backoff(2, ALMOST_ONE) < 5.0


@pytest.mark.parametrize("retry", [5, 6, 63, 2000, 10**9])
def test_no_wait_exceeds_the_cap_and_no_number_overflows(retry: int) -> None:
    """S-73, X-04: the cap comes after the jitter."""
    assert POLICY.backoff(retry, ALMOST_ONE) <= 32.0
    assert POLICY.backoff(retry, ALMOST_ONE, unavailable=True) <= 32.0


def test_a_503_waits_twice_what_a_500_does() -> None:
    """S-37, X-05."""
    assert POLICY.backoff(1, 0.25, unavailable=True) == 2 * POLICY.backoff(1, 0.25)
    assert POLICY.backoff(5, 0.5, unavailable=True) == 32.0


@pytest.mark.parametrize("draw", [0.0, 0.5, ALMOST_ONE])
@pytest.mark.parametrize("told_s", [0.5, 3.0, 30.0, 100.0])
def test_never_earlier_than_told(draw: float, told_s: float) -> None:
    """B-01, X-19: at most a second, or a tenth, later."""
    wait_s = POLICY.wait(0, draw, retry_after_s=told_s)

    assert wait_s >= told_s
    assert wait_s <= max(told_s, 1.25) + min(1.0, 0.1 * told_s)


def test_more_patience_than_the_cap_is_not_had() -> None:
    """B-04: not clamped, for coming early is what the server forbade."""
    assert not POLICY.too_long(None)
    assert not POLICY.too_long(120.0)
    assert POLICY.too_long(120.1)


def test_timeouts_grow_by_half_up_to_twice() -> None:
    """S-64, X-06."""
    assert [POLICY.attempt_timeout(10, n) for n in (0, 1, 2, 9999)] == [10, 15, 20, 20]


# outcome -> which of GET and create, llm-call, complete, create-and-call are repeated
B10 = [
    (ErrorClass.CONNECT_FAILED, None, "yes yes yes yes"),
    (ErrorClass.CONNECT_TIMEOUT, None, "yes yes yes yes"),
    (ErrorClass.POOL_EXHAUSTED, None, "yes yes yes yes"),
    (ErrorClass.RATE_LIMITED, 429, "yes yes yes yes"),
    (ErrorClass.UNAVAILABLE, 503, "yes yes yes yes"),
    (ErrorClass.SERVER_ERROR, 500, "yes yes yes yes"),
    (ErrorClass.PROVIDER_ERROR, 500, "yes yes yes yes"),
    (ErrorClass.BAD_GATEWAY, 502, "yes yes yes no"),
    (ErrorClass.BAD_GATEWAY, 504, "yes yes yes no"),
    (ErrorClass.BAD_GATEWAY, 520, "yes yes yes no"),
    (ErrorClass.TIMEOUT, 408, "yes yes yes no"),
    (ErrorClass.TIMEOUT, None, "yes yes yes no"),
    (ErrorClass.CONNECTION_LOST, None, "yes yes yes no"),
    (ErrorClass.PROTOCOL, None, "yes yes yes no"),
    (ErrorClass.CONFLICT, 409, "no no no no"),
    (ErrorClass.NOT_SUPPORTED, 501, "no no no no"),
    (ErrorClass.REDIRECT, 307, "no no no no"),
    (ErrorClass.TLS_FAILED, None, "no no no no"),
    (ErrorClass.DECODE, 200, "no no no no"),
    (ErrorClass.TOO_LARGE, None, "no no no no"),
    (ErrorClass.AUTH_FAILED, 401, "no no no no"),
    (ErrorClass.FORBIDDEN, 403, "no no no no"),
    (ErrorClass.NOT_FOUND, 404, "no no no no"),
    (ErrorClass.VALIDATION, 422, "no no no no"),
    (ErrorClass.BAD_REQUEST, 400, "no no no no"),
]
KINDS = (Repeat.SAFE, Repeat.LLM_CALL, Repeat.COMPLETE, Repeat.CHARGED)


@pytest.mark.parametrize(("error", "status", "row"), B10)
def test_the_table_of_what_is_repeated(
    error: ErrorClass, status: int | None, row: str
) -> None:
    """B-10, S-60, S-80, X-07, X-14, X-15; complete looks the job up first (B-22)."""
    allowed = [POLICY.allows(kind, error, status) for kind in KINDS]
    assert allowed == [word == "yes" for word in row.split()]


def test_a_cost_sensitive_user_can_refuse_to_repeat_what_may_have_run() -> None:
    """B-10: retry_ambiguous=False."""
    policy = RetryPolicy(retry_ambiguous=False)

    assert not policy.allows(Repeat.LLM_CALL, ErrorClass.TIMEOUT, None)
    assert policy.allows(Repeat.LLM_CALL, ErrorClass.SERVER_ERROR, 500)
    assert policy.allows(Repeat.SAFE, ErrorClass.TIMEOUT, None)


def test_no_client_error_is_ever_retried() -> None:
    """S-80: the table itself says so."""
    for error in (
        ErrorClass.BAD_REQUEST,
        ErrorClass.AUTH_FAILED,
        ErrorClass.TEAM_SUSPENDED,
        ErrorClass.TEAM_PAUSED,
        ErrorClass.CREDITS_EXHAUSTED,
        ErrorClass.MODEL_DENIED,
        ErrorClass.NOT_FOUND,
        ErrorClass.CONFLICT,
        ErrorClass.VALIDATION,
    ):
        assert not TABLE[error].retried


def test_ambiguous_is_what_may_have_been_applied() -> None:
    assert is_ambiguous(ErrorClass.TIMEOUT, None)
    assert is_ambiguous(ErrorClass.BAD_GATEWAY, 504)
    assert not is_ambiguous(ErrorClass.CONNECT_FAILED, None)
    assert not is_ambiguous(ErrorClass.SERVER_ERROR, 500)


@pytest.mark.parametrize(
    "wrong", [{"max_retries": -1}, {"deadline_s": 0}, {"jitter": 1.0}, {"base_s": -1}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"retries|jitter|base_s"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]  # a table of numbers
