"""Every status and body of the guide, of the real gateway and of what stands before it."""

import inspect
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiclient.classify import Answer, Verdict, classify
from apiclient.details import said
from apiclient.taxonomy import ErrorClass

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
E = ErrorClass
JSON = {"content-type": "application/json"}
PROVIDER = "LLM call failed: 500: Failed to call provider API: "


def verdict_of(status: int, detail: object, **headers: str) -> Verdict:
    body = msgspec.json.encode({"detail": detail})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(Answer(status, named, body), NOW)


# The guide's own example bodies, S-10 to S-51.
GUIDE = [
    (400, "Invalid message format", E.BAD_REQUEST),
    (401, "Invalid or missing API key", E.AUTH_FAILED),
    (403, "Team suspended or insufficient credits", E.FORBIDDEN),
    (404, "Job not found", E.NOT_FOUND),
    (429, "Rate limit exceeded", E.RATE_LIMITED),
    (500, "Internal server error", E.SERVER_ERROR),
    (503, "Service temporarily unavailable", E.UNAVAILABLE),
]
# The gateway's texts, from its contract sections 2 to 4.
AUTH = [
    (
        401,
        "Missing Authorization header. Expected: 'Authorization: Bearer sk-xxx...'",
        E.AUTH_FAILED,
    ),
    (401, "Invalid Authorization header format. Expected: 'x'", E.AUTH_FAILED),
    (401, "Invalid API key", E.AUTH_FAILED),
    (403, "Team access is suspended. Please contact support.", E.TEAM_SUSPENDED),
    (403, "Team access is paused. Please contact support.", E.TEAM_PAUSED),
    (403, "API key does not belong to team 'X'", E.WRONG_TEAM),
    (403, "Cannot access credit balance for a different team", E.WRONG_TEAM),
    (403, "Cannot check credits for a different team", E.WRONG_TEAM),
    (403, "Job does not belong to your team", E.WRONG_JOB),
    (
        403,
        "Team 'T' does not have access to model group 'nope'",
        E.MODEL_DENIED,
    ),
    (403, "Team 'T' does not have access to model alias 'x'", E.MODEL_DENIED),
    (403, "No active models configured for group 'g'", E.MODEL_DENIED),
    (403, "Model group 'x' not found or inactive", E.MODEL_DENIED),
    (
        403,
        "Insufficient credits. Team has 0 credits remaining, but 1 required.",
        E.CREDITS_EXHAUSTED,
    ),
    (403, "Out of credits", E.CREDITS_EXHAUSTED),
    (402, "Payment required", E.CREDITS_EXHAUSTED),
]
# S-24, S-25, X-12: words inside names and both reasons at once decide nothing.
NAMES = [
    (
        403,
        "Team 'credit-union' does not have access to model alias 'x'",
        E.MODEL_DENIED,
    ),
    (
        403,
        "Team 'insufficient credits' does not have access to model group 'g'",
        E.MODEL_DENIED,
    ),
    (403, "credit-union may not do this", E.FORBIDDEN),
    (403, "Access denied", E.FORBIDDEN),
    (403, "Insufficient credits or team suspended", E.FORBIDDEN),
]
PROVIDERS = [
    (500, PROVIDER + "OpenAI error: Error code: 400 - {'e': 1}", E.PROVIDER_ERROR),
    (
        500,
        PROVIDER + "OpenAI authentication failed: Error code: 401 - x",
        E.PROVIDER_AUTH,
    ),
    (
        500,
        PROVIDER + "Gemini authentication failed: Client error '401 Unauthorized' for",
        E.PROVIDER_AUTH,
    ),
    (
        500,
        PROVIDER + "OpenAI rate limit: Error code: 429 - {}",
        E.PROVIDER_RATE_LIMITED,
    ),
    (
        500,
        PROVIDER + "Fireworks error: Client error '429 Too Many Requests' for url 'u'",
        E.PROVIDER_RATE_LIMITED,
    ),
    (500, PROVIDER + "OpenAI error: Error code: 503 - {}", E.PROVIDER_ERROR),
    (500, PROVIDER + "Server error '500 Internal' for url 'u'", E.PROVIDER_ERROR),
    (500, PROVIDER + "OpenAI error: <html>502</html>", E.PROVIDER_ERROR),
    (500, PROVIDER + "OpenAI error: Expecting property name", E.PROVIDER_ERROR),
    (500, PROVIDER + "OpenAI error: Connection error.", E.PROVIDER_UNREACHABLE),
    (500, PROVIDER + "All connection attempts failed", E.PROVIDER_UNREACHABLE),
    (500, PROVIDER, E.PROVIDER_TIMEOUT),
    (500, PROVIDER.rstrip(), E.PROVIDER_TIMEOUT),
    (500, PROVIDER + "Request timed out.", E.PROVIDER_TIMEOUT),
    (500, "LLM call failed: list index out of range", E.PROVIDER_ERROR),
    (
        500,
        "LLM call failed: 500: No provider credentials configured for openai.",
        E.PROVIDER_CONFIG,
    ),
    (500, "Failed to create team in LiteLLM: rate limit", E.SERVER_ERROR),
]
# B-10, X-07: what proxies and later versions add.
OTHERS = [
    (301, "moved", E.REDIRECT),
    (307, "moved", E.REDIRECT),
    (405, "Method Not Allowed", E.CLIENT_ERROR),
    (408, "Request Timeout", E.TIMEOUT),
    (409, "outstanding", E.CONFLICT),
    (413, "Too large", E.CLIENT_ERROR),
    (418, "teapot", E.CLIENT_ERROR),
    (425, "Too Early", E.UNAVAILABLE),
    (429, "Team paused", E.TEAM_PAUSED),
    (501, "no", E.NOT_SUPPORTED),
    (502, "no", E.BAD_GATEWAY),
    (504, "no", E.BAD_GATEWAY),
    (505, "no", E.NOT_SUPPORTED),
    (520, "no", E.BAD_GATEWAY),
    (524, "no", E.BAD_GATEWAY),
    (529, "overloaded", E.UNAVAILABLE),
    (599, "no", E.SERVER_ERROR),
    (999, "no", E.PROTOCOL),
]


@pytest.mark.parametrize(
    ("status", "detail", "error"), [*GUIDE, *AUTH, *NAMES, *PROVIDERS, *OTHERS]
)
def test_each_status_and_text_has_its_class(
    status: int, detail: str, error: ErrorClass
) -> None:
    """S-10, S-11, S-20, S-24, S-25, S-26, S-30, S-35, S-36, S-37, S-42."""
    assert verdict_of(status, detail).error is error


@pytest.mark.parametrize(
    ("detail", "repeatable"),
    [
        ("No provider credentials configured for openai", False),
        ("configuration error: no route", False),
        ("Failed to encrypt", False),
        (PROVIDER + "OpenAI authentication failed: Error code: 401 - x", False),
        (PROVIDER + "OpenAI error: Error code: 400 - bad prompt", False),
        (PROVIDER + "OpenAI error: Error code: 503 - x", True),
        (PROVIDER + "OpenAI rate limit: Error code: 429 - x", True),
        ("Internal server error", True),
    ],
)
def test_a_permanent_500_stops_the_retries_early(
    detail: str, *, repeatable: bool
) -> None:
    """S-36, B-10: the list of permanent texts."""
    assert verdict_of(500, detail).repeatable is repeatable


@pytest.mark.parametrize("status", [507, 508, 511, 530, 599])
def test_a_5xx_that_no_rule_names_is_not_repeated(status: int) -> None:
    """B-10."""
    assert not verdict_of(status, "x").repeatable


@pytest.mark.parametrize(
    ("status", "asked", "kept"),
    [
        (500, "false", False),
        (429, "false", False),
        (501, "true", True),
        (409, "true", True),
        (401, "true", None),
        (403, "true", None),
        (422, "true", None),
        (500, "maybe", None),
    ],
)
def test_the_server_may_say_whether_to_retry(
    status: int, asked: str, *, kept: bool | None
) -> None:
    """B-05: never for 401, 403 and 422."""
    assert verdict_of(status, "x", x_should_retry=asked).asked is kept


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({}, b'{"detail": "plain"}', "plain"),
        ({}, b'{"detail": {"message": "inner"}}', "inner"),
        ({}, b'{"detail": {"error": {"message": "deep"}}}', "deep"),
        ({}, b'{"message": "hello"}', "hello"),
        ({}, b'{"error": "words"}', "words"),
        ({}, b'{"error": {"message": "openai"}}', "openai"),
        ({}, b'{"title": "problem"}', "problem"),
        ({}, b'{"detail": null}', '{"detail":null}'),
        ({}, b'{"detail": 7}', '{"detail":7}'),
        ({}, b'"bare"', "bare"),
        ({}, b"null", "null"),
        ({}, b"[1,2]", "[1,2]"),
        ({}, b"{}", "{}"),
        (
            {"content-type": "text/plain"},
            b"Internal Server Error",
            "Internal Server Error",
        ),
        ({}, b"", ""),
        (
            {"content-type": "text/html"},
            b"<html><head><title>503 Service  Unavailable</title></head></html>",
            "HTML error page: 503 Service Unavailable",
        ),
        ({}, b"<!DOCTYPE html><p>down</p>", "HTML error page"),
        # Ends of tags are looked for nearby: each of 16,000 beginnings took its time.
        ({}, b"<html><h1" + b"<" * 400 + b">x</h1>", "HTML error page"),
        ({"content-type": "text/html; charset=x"}, b"<p>x", "HTML error page"),
        ({}, b'{"detail": "cut', '{"detail": "cut'),
        ({}, b"\xff\xfe\x00", "\ufffd\ufffd"),
        ({}, b"NaN", "NaN"),
    ],
)
def test_any_body_gives_one_short_sentence(
    headers: dict[str, str], body: bytes, shown: str
) -> None:
    """S-50, S-51, S-52, X-09, X-10."""
    verdict = classify(Answer(503, headers, body), NOW)

    assert verdict.detail == shown
    assert verdict.error is ErrorClass.UNAVAILABLE


def test_the_fields_of_a_422_are_named_and_its_input_is_dropped() -> None:
    """S-40, S-41: the guide's example, then the real gateway's with its echo."""
    guide = verdict_of(
        422,
        [
            {
                "loc": ["body", "messages"],
                "msg": "field required",
                "type": "value_error.missing",
            }
        ],
    )
    assert guide.detail == "body.messages: field required"
    assert guide.field_errors[0].type == "value_error.missing"

    real = verdict_of(
        422,
        [
            {
                "type": "missing",
                "loc": ["body", "messages", 0, "role"],
                "msg": "Field required",
                "input": {"content": "a private prompt"},
                "ctx": {"x": "another private prompt"},
            }
        ],
    )
    assert real.detail == "body.messages.0.role: Field required"
    assert "private" not in repr(real)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [None],
        ["x"],
        [{}],
        [{"msg": 3}],
        [{"msg": "m"}],
        [{"msg": "m", "loc": "body"}],
        [{"msg": "m", "loc": {"a": 1}}],
        [{"msg": "m", "loc": [None, {}, "x"], "type": []}],
        [[[]]],
    ],
)
def test_a_malformed_422_is_still_a_422(items: list[object]) -> None:
    """S-41."""
    assert verdict_of(422, items).error is ErrorClass.VALIDATION


def test_deep_and_huge_json_is_only_a_detail() -> None:
    """S-52: RecursionError, and integers of more than 4300 digits."""
    for body in (b"[" * 100_000, b"1" * 5000, b'{"detail": ' + b"9" * 5000 + b"}"):
        assert classify(Answer(500, {}, body), NOW).error is ErrorClass.SERVER_ERROR


def test_the_longest_detail_is_500_characters() -> None:
    """C-05."""
    assert len(verdict_of(400, "x" * 100_000).detail) == 500


def test_a_cut_body_is_not_read_as_json() -> None:
    answer = Answer(500, {}, b'{"detail": "half', whole=False)
    assert classify(answer, NOW).detail == '{"detail": "half'


bodies = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["detail", "msg", "loc", "error", "message", "x"]),
                inner,
            )
        ),
        max_leaves=8,
    ).map(lambda each: msgspec.json.encode({"detail": each})),
)
header_texts = st.text(max_size=30) | st.sampled_from(["1", "-1", "inf", "text/html"])
header_names = st.sampled_from(
    ["retry-after", "retry-after-ms", "date", "content-type", "x-should-retry"]
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    status=st.integers(300, 999),
    headers=st.dictionaries(header_names, header_texts),
    body=bodies,
    whole=st.booleans(),
)
def test_nothing_that_a_server_sends_makes_it_raise(
    status: int, headers: dict[str, str], body: bytes, *, whole: bool
) -> None:
    """S-52: only the status and its texts decide, and only our classes come out."""
    verdict = classify(Answer(status, headers, body, whole), NOW)

    assert isinstance(verdict.error, ErrorClass)
    assert len(verdict.detail) <= 500
    assert verdict.retry_after_s is None or 0 < verdict.retry_after_s < float("inf")


@pytest.mark.parametrize(
    "words", ["suspend or ", "credit or ", "team paused ", "team "]
)
@pytest.mark.parametrize("status", [403, 429, 500])
def test_no_text_makes_the_search_for_a_reason_slow(status: int, words: str) -> None:
    """S-52: a page of a refusal's own words took seconds, with the event loop held."""
    body = msgspec.json.encode({"detail": words * 500})
    began = time.perf_counter()
    classify(Answer(status, JSON, body), NOW)

    assert time.perf_counter() - began < 0.2


@pytest.fixture
def shallow() -> Iterator[None]:
    """Let Python's own limit be near: what is deep costs as much as it is deep."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    yield
    sys.setrecursionlimit(usual)


@pytest.mark.parametrize(
    "nest",
    [
        lambda depth: b"[" * depth + b"]" * depth,
        lambda depth: b'{"detail":' * depth + b"{}" + b"}" * depth,
        lambda depth: b'{"error":' * depth + b'"x"' + b"}" * depth,
        lambda depth: b'{"detail":[{"msg":"x","type":%s}]}' % (b"[" * depth + b"]" * depth),
        lambda depth: b'{"error":{"message":"x","detail":%s}}'
        % (b'{"detail":' * depth + b"{}" + b"}" * depth),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("shallow")
def test_no_depth_is_just_too_deep(nest: Callable[[int], bytes]) -> None:
    """S-52: what can still be decoded may be too deep to be written or walked again."""
    for depth in range(20, 160):
        body = nest(depth)

        assert classify(Answer(500, JSON, body), NOW).error is E.SERVER_ERROR
        assert len(said(JSON, body)) <= 200
