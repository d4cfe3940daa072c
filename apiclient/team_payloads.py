"""A team, its credits and what moved them, in every shape that gateways have been seen to send.

The status may stand at the top, under `credits`, or nowhere; numbers may be strings or
nonsense. What cannot be read is unknown, never active, suspended or zero. The `secrets` that
each reader is given are hidden in all texts.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice

import msgspec

from apiclient.payloads import UnreadableError
from apiclient.redact import redact
from apiclient.texts import (
    MOST_TEXTS,
    STATUS_LIMIT,
    decoded,
    exact,
    sentence,
    text,
    texts,
)

_NUMBER = re.compile(
    r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII
)
# More of anything is nonsense, as is a finer part: what is reckoned from them might come
# to no number.
_MOST = 1e15
_PLACES = 9
# Within these no time zone moves a moment out of the years 1 to 9999.
_MOMENTS = (datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC))
# What a gateway tells of so many teams takes eight megabytes. In so many bytes there is room
# for millions of nothings, which take a minute and gigabytes to be told apart.
_MOST_ITEMS = 20_000
_BALANCE_MARKS = ("credits_remaining", "credits_allocated", "credits_used")
_TEAM_MARKS = ("team_id", "status", "credits", *_BALANCE_MARKS)
_TRANSACTION_MARKS = ("transaction_id", "transaction_type", "credits_amount")
_USAGE_MARKS = ("summary", "total_jobs")


class TeamStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    UNKNOWN = "unknown"


class Credits(msgspec.Struct, frozen=True):
    """A team's balance. A number is None where the gateway sent none or nonsense."""

    allocated: float | None = None
    used: float | None = None
    remaining: float | None = None
    credit_limit: float | None = None
    auto_refill: bool | None = None
    refill_amount: float | None = None
    refill_period: str = ""
    last_refill_at: datetime | None = None
    budget_mode: str = ""
    credits_per_dollar: float | None = None
    tokens_per_credit: float | None = None
    status: TeamStatus = TeamStatus.UNKNOWN
    status_text: str = ""
    team_id: str = ""


Balance = Credits


class Team(msgspec.Struct, frozen=True):
    """`status_text` is the gateway's own word; `credits` is None when it sent none."""

    team_id: str
    status: TeamStatus = TeamStatus.UNKNOWN
    status_text: str = ""
    credits: Credits | None = None
    organization_id: str = ""
    access_groups: tuple[str, ...] = ()
    allowed_model_aliases: tuple[str, ...] = ()
    created_at: datetime | None = None

    @property
    def credits_remaining(self) -> float | None:
        return self.credits.remaining if self.credits else None


class Transaction(msgspec.Struct, frozen=True):
    """One change of a team's credits; `amount` is negative where they were taken."""

    transaction_id: str = ""
    transaction_type: str = ""
    amount: float | None = None
    before: float | None = None
    after: float | None = None
    reason: str = ""
    job_id: str = ""
    created_at: datetime | None = None
    team_id: str = ""


class JobTypeUsage(msgspec.Struct, frozen=True):
    count: float | None = None
    cost_usd: float | None = None


class TeamUsage(msgspec.Struct, frozen=True):
    """What a team's jobs of one month were and cost, as the gateway sums them up."""

    team_id: str = ""
    period: str = ""
    total_jobs: float | None = None
    successful_jobs: float | None = None
    failed_jobs: float | None = None
    total_cost_usd: float | None = None
    total_tokens: float | None = None
    avg_cost_per_job: float | None = None
    job_types: dict[str, JobTypeUsage] = {}


def read_team(body: bytes, *secrets: str) -> Team:
    return _team(decoded(body, secrets), "$", text)


def read_teams(body: bytes, *secrets: str) -> tuple[Team, ...]:
    """Read a list of teams; an item that cannot be read is one without an id.

    The others are as good as without it. Where there is no other, the first is raised. An
    id that cannot be told as it is, is hidden.
    """
    document = decoded(body, secrets)
    if isinstance(document, dict):
        document = document.get("teams", document)
    teams: list[Team] = []
    fault: UnreadableError | None = None
    for path, item in _items(document, "$"):
        try:
            teams.append(_team(item, path, exact))
        except UnreadableError as error:
            fault = fault or error
            teams.append(_NO_TEAM)
    if fault is not None and all(team is _NO_TEAM for team in teams):
        raise fault
    return tuple(teams)


_NO_TEAM = Team(team_id="")


def _items(document: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield each item of a list and where it stands; raise where it is none, or too long."""
    if not isinstance(document, list):
        raise UnreadableError(f"Expected `array`, got something else - at `{path}`")
    if len(document) > _MOST_ITEMS:
        raise UnreadableError(f"Expected at most {_MOST_ITEMS} items - at `{path}`")
    for index, item in enumerate(document):
        yield f"{path}[{index}]", item


def read_balance(body: bytes, *secrets: str) -> Credits:
    return _credits(_object(decoded(body, secrets), "$", _BALANCE_MARKS), {})


def read_transactions(body: bytes, *secrets: str) -> tuple[Transaction, ...]:
    """Read a team's transactions, in the gateway's order: the newest first."""
    document = decoded(body, secrets)
    if isinstance(document, dict):
        document = document.get("transactions")
    return tuple(
        _transaction(item, path) for path, item in _items(document, "$.transactions")
    )


def read_usage(body: bytes, *secrets: str) -> TeamUsage:
    top = _object(decoded(body, secrets), "$", _USAGE_MARKS)
    nested = top.get("summary")
    summary: dict[object, object] = nested if isinstance(nested, dict) else top
    types = top.get("job_types")
    return TeamUsage(
        team_id=text(top.get("team_id")),
        period=text(top.get("period")),
        total_jobs=_number(summary.get("total_jobs")),
        successful_jobs=_number(summary.get("successful_jobs")),
        failed_jobs=_number(summary.get("failed_jobs")),
        total_cost_usd=_number(summary.get("total_cost_usd")),
        total_tokens=_number(summary.get("total_tokens")),
        avg_cost_per_job=_number(summary.get("avg_cost_per_job")),
        job_types={
            text(name): JobTypeUsage(
                _number(each.get("count")), _number(each.get("cost_usd"))
            )
            for name, each in islice(
                types.items() if isinstance(types, dict) else (), MOST_TEXTS
            )
            if isinstance(each, dict)
        },
    )


def _transaction(document: object, path: str) -> Transaction:
    told = _object(document, path, _TRANSACTION_MARKS)
    return Transaction(
        transaction_id=text(told.get("transaction_id")),
        transaction_type=sentence(told.get("transaction_type")),
        amount=_number(told.get("credits_amount")),
        before=_number(told.get("credits_before")),
        after=_number(told.get("credits_after")),
        reason=sentence(told.get("reason")),
        job_id=text(told.get("job_id")),
        created_at=_moment(told.get("created_at")),
        team_id=text(told.get("team_id")),
    )


def _object(
    document: object, path: str, marks: tuple[str, ...]
) -> dict[object, object]:
    if not isinstance(document, dict):
        raise UnreadableError(
            f"Expected `object`, got {type(document).__name__} - at `{path}`"
        )
    if not any(mark in document for mark in marks):
        raise UnreadableError(
            f"Expected {' or '.join(marks)}, got an object without them - at `{path}`"
        )
    return document


def _team(document: object, path: str, read_id: Callable[[object], str]) -> Team:
    top = _object(document, path, _TEAM_MARKS)
    nested = top.get("credits")
    inner: dict[object, object] = nested if isinstance(nested, dict) else {}
    status, status_text = _status(top, inner)
    has_credits = (
        bool(inner) or "credits_remaining" in top or "credits_allocated" in top
    )
    return Team(
        team_id=read_id(top.get("team_id")) or read_id(inner.get("team_id")),
        status=status,
        status_text=status_text,
        credits=_credits(top, inner) if has_credits else None,
        organization_id=text(top.get("organization_id")),
        access_groups=texts(top.get("access_groups")),
        allowed_model_aliases=texts(top.get("allowed_model_aliases")),
        created_at=_moment(top.get("created_at") or inner.get("created_at")),
    )


def _credits(top: dict[object, object], inner: dict[object, object]) -> Credits:
    def number(name: str) -> float | None:
        value = _number(top.get(name))
        return _number(inner.get(name)) if value is None else value

    def either(name: str) -> object:
        value = inner.get(name)
        return top.get(name) if value is None else value

    status, status_text = _status(top, inner)
    auto_refill = either("auto_refill")
    return Credits(
        allocated=number("credits_allocated"),
        used=number("credits_used"),
        remaining=number("credits_remaining"),
        credit_limit=number("credit_limit"),
        auto_refill=auto_refill if isinstance(auto_refill, bool) else None,
        refill_amount=number("refill_amount"),
        refill_period=text(either("refill_period")),
        last_refill_at=_moment(either("last_refill_at")),
        budget_mode=text(either("budget_mode")),
        credits_per_dollar=number("credits_per_dollar"),
        tokens_per_credit=number("tokens_per_credit"),
        status=status,
        status_text=status_text,
        team_id=text(either("team_id")),
    )


def _status(
    top: dict[object, object], inner: dict[object, object]
) -> tuple[TeamStatus, str]:
    value = top.get("status")
    if not isinstance(value, str):
        value = inner.get("status")
    if not isinstance(value, str):
        return TeamStatus.UNKNOWN, ""
    word = value.strip().lower()
    known = word in TeamStatus._value2member_map_
    status = TeamStatus(word) if known else TeamStatus.UNKNOWN
    return status, redact(value, limit=STATUS_LIMIT)


def _number(value: object) -> float | None:
    """Return a number up to 1e15, from a number or an ASCII numeric string; else None.

    It is rounded to nine places, and never a negative zero.
    """
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            return None
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # NaN is no number either.
    return round(number, _PLACES) + 0.0 if abs(number) <= _MOST else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        told = msgspec.convert(value, datetime)
        moment = told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    except (msgspec.ValidationError, OverflowError):
        return None
    earliest, latest = _MOMENTS
    return moment if earliest <= moment <= latest else None
