"""The table from status and body to ErrorClass. No body can make it raise."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from apiclient.details import PLAIN_LIMIT, Detail, read_detail
from apiclient.http_dates import retry_after
from apiclient.redact import redact
from apiclient.report import FieldError
from apiclient.taxonomy import ErrorClass


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sent. Header names are looked up in lower case.

    `body` is decoded; when `whole` is false it was cut at its cap.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer or a fault means.

    `repeatable` is false where a retry cannot help although its class may be retried,
    `asked` is what the server itself says in x-should-retry. `vague` says that a 403 does
    not tell its reason, so that only a look at the team can.
    """

    error: ErrorClass
    status_code: int | None = None
    detail: str = ""
    field_errors: tuple[FieldError, ...] = ()
    retry_after_s: float | None = None
    repeatable: bool = True
    asked: bool | None = None
    vague: bool = False


_BY_STATUS: Mapping[int, ErrorClass] = MappingProxyType(
    {
        400: ErrorClass.BAD_REQUEST,
        401: ErrorClass.AUTH_FAILED,
        402: ErrorClass.CREDITS_EXHAUSTED,
        403: ErrorClass.FORBIDDEN,
        404: ErrorClass.NOT_FOUND,
        408: ErrorClass.TIMEOUT,
        409: ErrorClass.CONFLICT,
        422: ErrorClass.VALIDATION,
        425: ErrorClass.UNAVAILABLE,
        429: ErrorClass.RATE_LIMITED,
        500: ErrorClass.SERVER_ERROR,
        501: ErrorClass.NOT_SUPPORTED,
        502: ErrorClass.BAD_GATEWAY,
        503: ErrorClass.UNAVAILABLE,
        504: ErrorClass.BAD_GATEWAY,
        505: ErrorClass.NOT_SUPPORTED,
        529: ErrorClass.UNAVAILABLE,
        **dict.fromkeys(range(520, 525), ErrorClass.BAD_GATEWAY),
    }
)
# Other 5xx exist (507, 511, 599…); the guide and the table name only these.
_REPEATED_STATUSES = frozenset(
    {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
)
_MAY_BE_ASKED_AGAIN = frozenset({408, 409, 429})

# Names stand in quotes in the gateway's texts; without them a team called
# 'insufficient credits' cannot mislead. The first match wins.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Gaps are bounded, so that no text makes the search slower than its length.
_VAGUE = re.compile(
    r"(?i)\b(suspend|paus).{0,60}\bor\b.{0,60}\bcredit"
    r"|\bcredit.{0,60}\bor\b.{0,60}\b(suspend|paus)"
)
_REFUSALS = (
    (
        re.compile(r"(?i)team( access)? (is|has been) suspended"),
        ErrorClass.TEAM_SUSPENDED,
    ),
    (re.compile(r"(?i)team( access)? (is|has been) paused"), ErrorClass.TEAM_PAUSED),
    (re.compile(r"(?i)^team suspended\b"), ErrorClass.TEAM_SUSPENDED),
    (re.compile(r"(?i)^team paused\b"), ErrorClass.TEAM_PAUSED),
    (
        re.compile(
            r"(?i)\b(insufficient|not enough) credits?\b|\b(out of|no) credits\b"
            r"|\bcredits? (are |is )?(exhausted|used up|depleted)\b"
            r"|\bcredit (limit|balance) (exceeded|exhausted)\b"
        ),
        ErrorClass.CREDITS_EXHAUSTED,
    ),
    (
        re.compile(
            r"(?i)does not have access to model|no active models configured"
            r"|model group \S* ?not found or inactive|\bmodel access denied\b"
        ),
        ErrorClass.MODEL_DENIED,
    ),
    (
        re.compile(r"(?i)api key does not belong to team|for a different team"),
        ErrorClass.WRONG_TEAM,
    ),
    (re.compile(r"(?i)job does not belong to"), ErrorClass.WRONG_JOB),
)
_PAUSED = re.compile(r"(?i)\bteam\b[^.]{0,300}\bpaused\b")

_PROVIDER_CALL = re.compile(
    r"(?s)(?:LLM call failed|Failed to call provider API)\b(?P<rest>.*)"
)
_PROVIDER_PREFIX = re.compile(
    r"^[:\s]*(?:\d{3}:\s*)?(?:Failed to call provider API:?\s*)?"
)
_NOT_SET_UP = re.compile(
    r"(?i)no provider credentials configured|\bconfiguration error\b|failed to encrypt"
)
# A fault in the gateway's own program, which today ends each stream inside a job.
_CANNOT_STREAM = re.compile(r"object does not support the asynchronous context manager")
# What the provider's own message says is matched behind the gateway's fixed words, or
# in the fixed words of its HTTP libraries, never anywhere in free text.
_PROVIDER_TEXTS = (
    (
        re.compile(
            r"(?i)^\w+ authentication failed|error code: 40[13]\b|error '40[13] "
        ),
        ErrorClass.PROVIDER_AUTH,
        False,
    ),
    (
        re.compile(r"(?i)^\w+ rate limit\b|error code: 429\b|error '429 |^rate limit"),
        ErrorClass.PROVIDER_RATE_LIMITED,
        True,
    ),
    (
        re.compile(
            r"(?i)connection error\.?\s*$|connection attempts failed"
            r"|connection refused|name or service not known"
        ),
        ErrorClass.PROVIDER_UNREACHABLE,
        True,
    ),
    (
        re.compile(r"(?i)\btimed out\b|\btimeout\b|error code: 504\b|error '504 "),
        ErrorClass.PROVIDER_TIMEOUT,
        True,
    ),
    (
        re.compile(r"(?i)error code: 4\d\d\b|error '4\d\d "),
        ErrorClass.PROVIDER_ERROR,
        False,
    ),
)


def classify(answer: Answer, now: datetime, *secrets: str) -> Verdict:
    """Return what an answer other than 2xx means. `now` is aware, in UTC.

    `secrets` are hidden wherever the server repeats them.
    """
    detail = read_detail(answer.headers, answer.body, *secrets, whole=answer.whole)
    error, repeatable, vague = _meaning(answer.status_code, detail)
    return Verdict(
        error=error,
        status_code=answer.status_code,
        detail=detail.text,
        field_errors=detail.field_errors,
        retry_after_s=retry_after(answer.headers, now),
        repeatable=repeatable,
        asked=_asked(answer),
        vague=vague,
    )


def stream_error(text: str, *secrets: str) -> Verdict:
    """Return what an error inside a 200 stream means; `text` is its own words."""
    text = text[:PLAIN_LIMIT]
    _, repeatable = _server_error(text)
    return Verdict(
        ErrorClass.STREAM_ERROR,
        status_code=200,
        detail=redact(text, *secrets),
        repeatable=repeatable and not _CANNOT_STREAM.search(text),
    )


def _meaning(status: int, detail: Detail) -> tuple[ErrorClass, bool, bool]:
    """Return the class, whether a retry can help, and whether a 403 is vague."""
    match status:
        case 403:
            error = _refusal(detail)
            return error, True, error is ErrorClass.FORBIDDEN
        case 429 if _PAUSED.search(detail.plain):
            return ErrorClass.TEAM_PAUSED, False, False
        case 500:
            return *_server_error(detail.plain), False
        case _:
            return _class_of(status), status in _REPEATED_STATUSES, False


def _class_of(status: int) -> ErrorClass:
    if found := _BY_STATUS.get(status):
        return found
    if 300 <= status < 400:
        return ErrorClass.REDIRECT
    if 400 <= status < 500:
        return ErrorClass.CLIENT_ERROR
    return ErrorClass.SERVER_ERROR if 500 <= status < 600 else ErrorClass.PROTOCOL


def _refusal(detail: Detail) -> ErrorClass:
    text = _QUOTED.sub("''", detail.plain)
    if _VAGUE.search(text):
        return ErrorClass.FORBIDDEN
    for pattern, error in _REFUSALS:
        if pattern.search(text):
            return error
    return ErrorClass.FORBIDDEN


def _server_error(text: str) -> tuple[ErrorClass, bool]:
    if _NOT_SET_UP.search(text):
        return ErrorClass.PROVIDER_CONFIG, False
    found = _PROVIDER_CALL.search(text)
    if found is None:
        return ErrorClass.SERVER_ERROR, True
    reason = _PROVIDER_PREFIX.sub("", found["rest"])
    if not reason.strip():
        # The gateway's HTTP library times out with an empty message.
        return ErrorClass.PROVIDER_TIMEOUT, True
    for pattern, error, repeatable in _PROVIDER_TEXTS:
        if pattern.search(reason):
            return error, repeatable
    return ErrorClass.PROVIDER_ERROR, True


def _asked(answer: Answer) -> bool | None:
    """Return the server's own word; it cannot make a refusal worth repeating."""
    match answer.headers.get("x-should-retry", "").strip().lower():
        case "false":
            return False
        case "true":
            status = answer.status_code
            return True if status in _MAY_BE_ASKED_AGAIN or status >= 500 else None
        case _:
            return None
