"""S-27: one reader for every shape of a team."""

from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiclient.payloads import UnreadableError
from apiclient.team_payloads import (
    Team,
    TeamStatus,
    read_balance,
    read_team,
    read_teams,
    read_transactions,
    read_usage,
)

SERVER = {
    "team_id": "team-suspended",
    "organization_id": "org_acme",
    "credits": {
        "team_id": "team-suspended",
        "credits_allocated": 500,
        "credits_used": 0,
        "credits_remaining": 500,
        "credit_limit": None,
        "auto_refill": False,
        "refill_amount": None,
        "refill_period": None,
        "last_refill_at": "2026-11-22T19:20:49Z",
        "budget_mode": "job_based",
        "credits_per_dollar": 10.0,
        "tokens_per_credit": 10000,
        "status": "suspended",
        "created_at": "2026-11-22T19:20:49Z",
    },
    "access_groups": ["basic-chat"],
    "allowed_model_aliases": ["chat-claude", "chat-fast"],
    "virtual_key": "sk-MARKER-of-the-team",
    "credits_allocated": 500,
    "credits_remaining": 500,
}
FLAT = {"status": "active", "credits_remaining": 12}
DOCS = {"team_id": "t", "credits": {"credits_remaining": 3}}
LIST_ITEM = {
    "team_id": "t",
    "credits_allocated": 10,
    "credits_remaining": 4,
    "credits_used": 6,
    "virtual_key": "sk-MARKER",
    "status": "paused",
    "created_at": "2026-11-22T19:21:35.807958",
}


def body(document: object) -> bytes:
    return msgspec.json.encode(document)


@pytest.mark.parametrize(
    ("document", "status", "remaining"),
    [
        (SERVER, TeamStatus.SUSPENDED, 500),
        (FLAT, TeamStatus.ACTIVE, 12),
        (DOCS, TeamStatus.UNKNOWN, 3),
        (LIST_ITEM, TeamStatus.PAUSED, 4),
        ({"status": None, "credits_remaining": None}, TeamStatus.UNKNOWN, None),
        ({"status": "ACTIVE", "credits_remaining": "7"}, TeamStatus.ACTIVE, 7),
        ({"status": "frozen", "credits_remaining": 0.5}, TeamStatus.UNKNOWN, 0.5),
        ({"status": 7, "credits_remaining": -4}, TeamStatus.UNKNOWN, -4),
        ({"status": "active", "credits_remaining": "0"}, TeamStatus.ACTIVE, 0),
        ({"status": "active", "credits_remaining": "NaN"}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits_remaining": "1e400"}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits_remaining": 1.7e308}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits_remaining": 1e15}, TeamStatus.ACTIVE, 1e15),
        ({"status": "active", "credits_remaining": 5e-324}, TeamStatus.ACTIVE, 0),
        ({"status": "active", "credits_remaining": "\uff11"}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits_remaining": True}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits_remaining": [1]}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits": "none"}, TeamStatus.ACTIVE, None),
        ({"status": "active", "credits": []}, TeamStatus.ACTIVE, None),
    ],
)
def test_every_shape_gives_a_status_and_a_balance(
    document: object, status: TeamStatus, remaining: float | None
) -> None:
    team = read_team(body(document))

    assert team.status is status
    assert team.credits_remaining == remaining


def test_the_words_of_the_gateway_are_kept_beside_the_status() -> None:
    assert read_team(body({"status": "Frozen\n"})).status_text == "Frozen"


def test_the_virtual_key_is_never_kept() -> None:
    """C-05."""
    assert "MARKER" not in repr(read_team(body(SERVER)))
    assert "MARKER" not in repr(read_teams(body([LIST_ITEM])))


def test_a_balance_is_read_whole() -> None:
    balance = read_balance(body(SERVER["credits"]))

    assert balance.allocated == 500
    assert balance.remaining == 500
    assert balance.auto_refill is False
    assert balance.budget_mode == "job_based"
    assert balance.status is TeamStatus.SUSPENDED
    assert balance.last_refill_at is not None
    assert balance.last_refill_at.tzinfo is not None


def test_a_number_too_large_for_a_float_is_unknown() -> None:
    huge = b'{"status": "active", "credits_remaining": 1' + b"0" * 400 + b"}"
    try:
        remaining = read_team(huge).credits_remaining
    except UnreadableError:
        remaining = None
    assert remaining is None


@pytest.mark.parametrize(
    "document", [None, 3, "x", [], {}, {"detail": "x"}, {"service": "saas-llm-api"}]
)
def test_what_is_not_a_team_is_refused(document: object) -> None:
    """S-53."""
    with pytest.raises(UnreadableError):
        read_team(body(document))


def test_a_health_answer_is_not_a_balance() -> None:
    with pytest.raises(UnreadableError):
        read_balance(b'{"status": "healthy"}')


def test_an_item_of_a_list_that_is_no_team_is_one_without_an_id() -> None:
    good, odd = read_teams(body([LIST_ITEM, 7]))

    assert good == read_team(body(LIST_ITEM))
    assert odd == Team(team_id="")


def test_a_list_of_nothing_but_such_items_names_the_first() -> None:
    with pytest.raises(UnreadableError, match=r"\$\[0\]"):
        read_teams(body([7, None]))


CHARGE = {
    "transaction_id": "6f0f3ab0-17d8-4f0e-9a3f-000000000001",
    "team_id": "t",
    "organization_id": None,
    "job_id": None,
    "transaction_type": "deduction",
    "credits_amount": -1,
    "credits_before": 10,
    "credits_after": 9,
    "reason": "Job completed",
    "created_at": "2026-11-22T19:20:49Z",
}


@pytest.mark.parametrize("read", [read_teams, read_transactions])
def test_a_list_without_end_is_not_read_to_its_end(
    read: Callable[[bytes], object],
) -> None:
    endless = body({"teams": [{}] * 20_001, "transactions": [{}] * 20_001})

    with pytest.raises(UnreadableError, match="at most 20000 items"):
        read(endless)


def test_a_transaction_is_read_whole() -> None:
    sent = {"team_id": "t", "total": 1, "transactions": [CHARGE]}
    (read,) = read_transactions(body(sent))

    assert (read.transaction_type, read.reason) == ("deduction", "Job completed")
    assert (read.amount, read.before, read.after) == (-1, 10, 9)
    assert read.created_at is not None
    assert read.created_at.tzinfo is not None
    assert read.job_id == ""


@pytest.mark.parametrize(
    ("field", "value", "read_as"),
    [
        ("credits_amount", "-3", -3),
        ("credits_amount", "NaN", None),
        ("credits_amount", True, None),
        ("credits_amount", [1], None),
        ("credits_before", None, None),
        ("credits_after", "1e400", None),
        ("reason", None, ""),
        ("reason", {"x": 1}, ""),
        ("reason", "a\x00b\u202e c", "ab c"),
        ("reason", "Bearer sk-abcdef123", "Bearer [hidden]"),
        ("job_id", 7, ""),
        ("created_at", "yesterday", None),
        ("created_at", 1e300, None),
        # Sums of such numbers come to none, and zones move such moments out of time.
        ("credits_amount", 1e308, None),
        ("credits_before", "-1e16", None),
        ("created_at", "0001-01-01T00:00:00Z", None),
        ("created_at", "9999-12-31T23:59:59Z", None),
    ],
)
def test_a_hostile_field_is_unknown_and_costs_no_other(
    field: str, value: object, read_as: object
) -> None:
    (read,) = read_transactions(body({"transactions": [{**CHARGE, field: value}]}))

    assert getattr(read, field.removeprefix("credits_")) == read_as
    assert read.transaction_type == "deduction"


@pytest.mark.parametrize("before", [0, 200, 240, 250, 300])
def test_a_long_reason_never_ends_in_the_half_of_a_key(before: int) -> None:
    """C-05: only who knows a key of an odd form can hide it, and only the whole one."""
    key = "vk+of=team/0123456789"
    sent = {**CHARGE, "reason": "x" * before + f" for {key} " + "x" * 300}
    (read,) = read_transactions(body({"transactions": [sent]}))

    assert len(read.reason) <= 255
    assert "vk+" not in read.reason.replace(key, "")


@pytest.mark.parametrize(
    "document",
    [None, 3, {}, {"transactions": None}, {"transactions": {}}, [7], [{}], [{"a": 1}]],
)
def test_what_is_no_list_of_transactions_is_refused(document: object) -> None:
    """S-53."""
    with pytest.raises(UnreadableError, match="transactions"):
        read_transactions(body(document))


@pytest.mark.parametrize(
    ("sent", "jobs", "cost_usd"),
    [
        ({"summary": {"total_jobs": 4, "total_cost_usd": 0.5}}, 4, 0.5),
        ({"summary": {"total_jobs": "4", "total_cost_usd": None}}, 4, None),
        ({"summary": {"total_jobs": True, "total_cost_usd": "x"}}, None, None),
        ({"total_jobs": 4}, 4, None),
        ({"summary": [], "job_types": [1]}, None, None),
        ({"summary": {}, "job_types": {"chat": 7}}, None, None),
    ],
)
def test_usage_is_read_in_every_shape(
    sent: object, jobs: float | None, cost_usd: float | None
) -> None:
    usage = read_usage(body(sent))

    assert (usage.total_jobs, usage.total_cost_usd) == (jobs, cost_usd)
    assert usage.job_types == {}


def test_usage_tells_each_type_of_job() -> None:
    types = {"chat": {"count": 3, "cost_usd": 0.25}, "odd": {"count": None}}
    usage = read_usage(body({"period": "2026-03", "summary": {}, "job_types": types}))

    assert usage.period == "2026-03"
    assert usage.job_types["chat"].count == 3
    assert usage.job_types["odd"].cost_usd is None


@pytest.mark.parametrize("document", [None, [], {}, {"detail": "x"}, {"period": "x"}])
def test_what_is_no_usage_is_refused(document: object) -> None:
    """S-53."""
    with pytest.raises(UnreadableError):
        read_usage(body(document))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("status", "credits", "credits_remaining", "team_id"),
                    *("transactions", "credits_amount", "reason", "created_at"),
                    *("summary", "total_jobs", "job_types"),
                ]
            ),
            inner,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(anything.map(body) | st.binary(max_size=60))
def test_nothing_but_unreadable_comes_out(sent: bytes) -> None:
    for read in (read_team, read_teams, read_balance, read_transactions, read_usage):
        with suppress(UnreadableError):
            read(sent)
