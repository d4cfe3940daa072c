"""Every example body of the guide and every sample of the real gateway is read."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from apiclient import payloads
from apiclient.payloads import JobStatus, UnreadableError
from tests.apiclient.fakes import JOB

CREATED_GUIDE = (
    b'{"job_id": "j", "status": "pending", "created_at": "2026-01-02T03:04:05Z"}'
)
CREATED_REAL = (
    b'{"job_id":"1f28","status":"PENDING","created_at":"2026-11-22T19:21:35.807958"}'
)
JOB_REAL = b"""{"job_id":"1f28","team_id":"team-active","user_id":null,
"job_type":"probe","status":"COMPLETED","created_at":"2026-11-22T19:24:09Z",
"started_at":"2026-11-22T19:24:10Z","completed_at":"2026-11-22T19:24:11+00:00",
"metadata":{"turn":1,"b":2},"error_message":null,"organization_id":null,
"external_task_id":null,"credit_applied":false,"model_groups_used":["chat-fast"]}"""
COMPLETED = b"""{"job_id":"j","status":"COMPLETED",
"completed_at":"2026-11-22T19:24:11.149576","costs":{"total_calls":4,
"successful_calls":4,"failed_calls":0,"total_tokens":54,"total_cost_usd":3.6e-05,
"avg_latency_ms":390,"credit_applied":true,"credits_remaining":999},"calls":[
{"call_id":"c","purpose":"p1","model_group":"chat-fast","tokens":14,
"latency_ms":1422,"error":null}]}"""
SINGLE = b"""{"job_id":"j","status":"COMPLETED","response":{"content":"hi",
"finish_reason":"stop"},"metadata":{"tokens_used":14,"latency_ms":49,
"model":"chat-fast"},"costs":{"total_cost_usd":0.0,"credit_applied":true,
"credits_remaining":996},"completed_at":"2026-11-22T19:24:21.400773"}"""
CALL = b"""{"call_id":"0726","response":{"content":"Hello","finish_reason":"stop"},
"metadata":{"tokens_used":14,"latency_ms":1422,"%s":"chat-fast"}}"""


@pytest.mark.parametrize("body", [CREATED_GUIDE, CREATED_REAL])
def test_a_new_job_is_pending_in_either_case(body: bytes) -> None:
    """S-105, 1.3 (d) and (e)."""
    job = payloads.read_job(body)

    assert job.status is JobStatus.PENDING
    assert job.created_at is not None
    assert job.created_at.tzinfo is UTC


def test_all_three_time_formats_become_aware_utc() -> None:
    job = payloads.read_job(JOB_REAL)
    naive = payloads.read_job(CREATED_REAL)

    assert job.created_at == datetime(2026, 11, 22, 19, 24, 9, tzinfo=UTC)
    assert job.completed_at == datetime(2026, 11, 22, 19, 24, 11, tzinfo=UTC)
    assert naive.created_at == datetime(2026, 11, 22, 19, 21, 35, 807958, tzinfo=UTC)
    assert job.status.is_final


def test_a_completed_job_has_its_costs_and_calls() -> None:
    """S-106."""
    done = payloads.read_completed_job(COMPLETED)

    assert done.status is JobStatus.COMPLETED
    assert done.costs is not None
    assert done.costs.credits_remaining == 999
    assert done.calls[0].latency_ms == 1422


@pytest.mark.parametrize("name", [b"model", b"model_group"])
def test_the_model_is_read_under_both_names(name: bytes) -> None:
    """S-108."""
    call = payloads.read_llm_call(CALL % name)

    assert call.metadata.model_name == "chat-fast"
    assert call.response.content == "Hello"


def test_tool_calls_have_no_content() -> None:
    call = payloads.read_llm_call(
        b'{"call_id":"c","response":{"content":null,"finish_reason":"tool_calls"}}'
    )
    assert call.response.content is None


def test_a_single_call_is_read() -> None:
    """S-107."""
    single = payloads.read_single_call(SINGLE)

    assert single.response.content == "hi"
    assert single.costs is not None
    assert single.costs.credit_applied is True


def test_not_having_credits_is_an_answer_not_an_error() -> None:
    check = payloads.read_credit_check(
        b'{"team_id":"z","has_credits":false,"error":"Insufficient credits.",'
        b'"credits_needed":1}'
    )
    assert not check.has_credits
    assert check.error == "Insufficient credits."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"status": "PENDING"}', "job_id"),
        (b'{"job_id": 7, "status": "PENDING"}', "$.job_id"),
        (b'{"job_id": "j", "status": null}', "$.status"),
        (b'{"job_id": "j", "status": "x", "created_at": "soon"}', "$.created_at"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"job_id": NaN}', "JSON"),
        (b"", "JSON"),
        (b"<html>", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 100_000, "object"),
        (b'{"x": ' + b"[" * 100_000, "JSON"),
    ],
)
def test_what_is_not_a_job_is_refused_by_the_fields_name(
    body: bytes, field: str
) -> None:
    """S-53, B-52, X-11."""
    with pytest.raises(UnreadableError, match=field.replace("$", r"\$")):
        payloads.read_job(body)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Completed", JobStatus.COMPLETED),
        ("IN_PROGRESS", JobStatus.IN_PROGRESS),
        ("exploded", JobStatus.UNKNOWN),
        ("", JobStatus.UNKNOWN),
    ],
)
def test_an_unknown_job_status_is_unknown(word: str, status: JobStatus) -> None:
    body = msgspec.json.encode({"job_id": "j", "status": word})
    assert payloads.read_job(body).status is status


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_a_time_that_no_zone_can_move_is_refused(moment: str) -> None:
    """S-52, S-53: nothing but our own exceptions."""
    job = msgspec.json.encode({"job_id": "j", "status": "x", "completed_at": moment})
    for read in (payloads.read_job, payloads.read_completed_job):
        with pytest.raises(UnreadableError, match="completed_at"):
            read(job)


@pytest.mark.parametrize("job_id", ["", "j", "../teams/x", JOB + "x"])
def test_a_new_job_has_an_id_that_can_be_used(job_id: str) -> None:
    """S-105: without, the job could neither be called nor completed."""
    with pytest.raises(UnreadableError, match="job_id"):
        payloads.read_created_job(
            msgspec.json.encode({"job_id": job_id, "status": "PENDING"})
        )


def test_a_new_job_is_not_called_by_the_key_in_hex() -> None:
    """C-05: its id stands in logs as it is; a key of 16 letters is as long as one."""
    key = "Ab3dEf6hIj9kLm2n"
    for job_id in (key.encode().hex(), str(UUID(bytes=key.encode()))):
        told = msgspec.json.encode({"job_id": job_id, "status": "PENDING"})
        assert payloads.read_created_job(told).job_id == job_id
        with pytest.raises(UnreadableError, match="job_id"):
            payloads.read_created_job(told, key)


@pytest.mark.parametrize(
    "odd",
    [{"created_at": 7}, {"status": None}, {"model_groups_used": {}}, {"job_type": []}],
)
def test_a_new_job_is_known_by_its_id_whatever_else_is_wrong(
    odd: dict[str, object],
) -> None:
    """S-105: what is open must be ended."""
    told = {"job_id": JOB, "status": "pending", "team_id": "acme", **odd}

    job = payloads.read_created_job(msgspec.json.encode(told))

    assert job == payloads.Job(JOB, payloads.JobStatus.UNKNOWN, team_id="acme")
