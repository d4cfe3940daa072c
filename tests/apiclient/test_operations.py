from collections.abc import Callable
from types import FunctionType
from typing import get_origin

import msgspec
import pytest

from apiclient import operations
from apiclient.operations import Operation, timeout_for
from apiclient.payloads import UnreadableError
from apiclient.retry import Repeat
from tests.apiclient.fakes import JOB

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("method", "route", "seconds"),
    [
        ("POST", "/api/jobs/create", 10),
        ("GET", "/api/jobs/{job_id}", 10),
        ("POST", "/api/jobs/{job_id}/llm-call", 60),
        ("POST", "/api/jobs/{job_id}/complete", 30),
        ("POST", "/api/jobs/create-and-call", 60),
        ("POST", "/api/jobs/{job_id}/llm-call-stream", 120),
        ("POST", "/api/jobs/create-and-call-stream", 120),
        ("GET", "/api/teams/{team_id}", 30),
        ("GET", "/health", 30),
    ],
)
def test_the_guides_timeouts(method: str, route: str, seconds: float) -> None:
    """S-85, S-86, S-87, S-88, S-89, X-17."""
    assert timeout_for(method, route) == seconds


@pytest.mark.parametrize(
    ("operation", "sent", "timeout_s", "repeat"),
    [
        (operations.health(), "GET /health", 30, Repeat.SAFE),
        (operations.get_team("acme"), "GET /api/teams/acme", 30, Repeat.SAFE),
        (operations.list_teams(), "GET /api/teams", 30, Repeat.SAFE),
        (
            operations.balance("acme"),
            "GET /api/credits/teams/acme/balance",
            30,
            Repeat.SAFE,
        ),
        (
            operations.team_transactions("acme", 5),
            "GET /api/credits/teams/acme/transactions?limit=5",
            30,
            Repeat.SAFE,
        ),
        (
            operations.team_usage("acme", "2026-03"),
            "GET /api/teams/acme/usage?period=2026-03",
            30,
            Repeat.SAFE,
        ),
        (
            operations.credit_check("acme", 3),
            "POST /api/credits/teams/acme/check?credits_needed=3",
            30,
            Repeat.SAFE,
        ),
        (operations.create_job("acme", "t"), "POST /api/jobs/create", 10, Repeat.SAFE),
        (operations.get_job(JOB), f"GET /api/jobs/{JOB}", 10, Repeat.SAFE),
        (
            operations.complete_job(JOB, "failed", "why"),
            f"POST /api/jobs/{JOB}/complete",
            30,
            Repeat.COMPLETE,
        ),
        (
            operations.llm_call(JOB, model="m", messages=MESSAGES),
            f"POST /api/jobs/{JOB}/llm-call",
            60,
            Repeat.LLM_CALL,
        ),
        (
            operations.create_and_call("acme", "t", model="m", messages=MESSAGES),
            "POST /api/jobs/create-and-call",
            60,
            Repeat.CHARGED,
        ),
    ],
)
def test_each_operation_is_its_request(
    operation: Operation[object], sent: str, timeout_s: float, repeat: Repeat
) -> None:
    """S-03."""
    assert f"{operation.method} {operation.path}" == sent
    assert operation.timeout_s == timeout_s
    assert operation.repeat is repeat
    assert operation.name in operations.NAMES


def test_every_operation_has_its_functions_name() -> None:
    made = {
        name
        for name, each in vars(operations).items()
        if isinstance(each, FunctionType) and name[0] != "_"
        if get_origin(each.__annotations__.get("return")) is Operation
    }

    assert made == operations.NAMES


def test_the_bodies_hold_what_the_gateway_wants() -> None:
    """S-03, X-44: `model` is required; absent options are not sent as null."""
    call = operations.llm_call(JOB, model="m", messages=MESSAGES, temperature=0.2)
    create = operations.create_job("acme", "chat", metadata={"a": 1})
    assert call.body is not None
    assert create.body is not None

    assert msgspec.json.decode(call.body) == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.2,
    }
    assert msgspec.json.decode(create.body) == {
        "team_id": "acme",
        "job_type": "chat",
        "metadata": {"a": 1},
    }


def test_an_error_message_fits_the_gateways_column_and_holds_no_key() -> None:
    """S-100, X-43: longer ones make the completion fail."""
    operation = operations.complete_job(JOB, "failed", "sk-abcdef123 " + "x" * 5000)
    assert operation.body is not None
    message = msgspec.json.decode(operation.body)["error_message"]

    assert len(message) == 1000
    assert message.startswith("sk-[hidden]")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: operations.get_job("create"),
        lambda: operations.get_job("../teams/x"),
        lambda: operations.get_job(JOB + "\n"),
        lambda: operations.complete_job("", "failed"),
        lambda: operations.complete_job(JOB, "COMPLETED"),  # type: ignore[arg-type]  # on purpose
        lambda: operations.get_team(""),
        lambda: operations.get_team(".."),
        lambda: operations.get_team("a\nb"),
        lambda: operations.get_team("x" * 256),
        lambda: operations.create_job("a\x00b", "t"),
        lambda: operations.team_transactions("acme", 0),
        lambda: operations.team_usage("acme", "2026-13"),
        lambda: operations.team_usage("acme", "2026-03-01"),
        lambda: operations.team_usage("acme", "2026-03&x=1"),
        lambda: operations.team_usage("..", "2026-03"),
        lambda: operations.health().with_timeout(0),
        lambda: operations.health().with_timeout(float("nan")),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_sent(
    wrong: Callable[[], object],
) -> None:
    """S-36, B-83: a malformed job id is a 500 in plain text at the gateway."""
    with pytest.raises(
        ValueError, match=r"job_id|team_id|status|timeout_s|limit|period"
    ):
        wrong()


def test_any_printable_team_id_is_quoted() -> None:
    """B-83."""
    assert operations.get_team("a/b c?ü").path == "/api/teams/a%2Fb%20c%3F%C3%BC"


OTHER_JOB = "00000000-0000-4000-8000-00000000beef"
TEAM = operations.get_team("acme")
BALANCE = operations.balance("acme")


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (TEAM, {"team_id": "other", "status": "active"}),
        (TEAM, {"team_id": "acme", "credits": {"team_id": "other"}}),
        (BALANCE, {"team_id": "other", "credits_remaining": 7}),
        (operations.credit_check("acme"), {"team_id": "other", "has_credits": True}),
        (
            operations.team_usage("acme", "2026-03"),
            {"team_id": "other", "summary": {"total_jobs": 1}},
        ),
        (
            operations.team_transactions("acme"),
            {"transactions": [{"transaction_id": "a", "team_id": "other"}]},
        ),
        (operations.get_job(JOB), {"job_id": OTHER_JOB, "status": "PENDING"}),
        (
            operations.complete_job(JOB, "completed"),
            {"job_id": OTHER_JOB, "status": "COMPLETED"},
        ),
        (
            operations.complete_job(JOB, "completed"),
            {"job_id": JOB, "status": "PENDING"},
        ),
        (operations.complete_job(JOB, "failed"), {"job_id": JOB, "status": "done"}),
    ],
)
def test_an_answer_to_another_question_is_no_answer(
    operation: Operation[object], answer: object
) -> None:
    with pytest.raises(UnreadableError, match=r"the answer (is about|says)"):
        operation.value_of(msgspec.json.encode(answer))


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (BALANCE, {"credits_remaining": 7}),
        (BALANCE, {"team_id": "ACME", "credits_remaining": 7}),
        # Kept in no answer as it is, so compared as it is kept.
        (
            operations.balance("sk-lookalike"),
            {"team_id": "sk-lookalike", "credits_remaining": 7},
        ),
        (
            operations.complete_job(JOB, "failed"),
            {"job_id": JOB.replace("-", "").upper(), "status": "Failed"},
        ),
    ],
)
def test_an_answer_need_not_repeat_its_question_to_the_letter(
    operation: Operation[object], answer: object
) -> None:
    operation.value_of(msgspec.json.encode(answer))
