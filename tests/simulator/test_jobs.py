"""Jobs, their calls, and what they cost."""

import json

import httpx
import pytest

from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway
from dashboard.simulator.world import example_key
from tests.simulator.conftest import ASK, OWN

CALL = {"model": "chat-fast", "messages": ASK}
SINGLE = {"team_id": "acme", "job_type": "probe", **CALL}


def completed(http: httpx.Client, job_id: str, status: str = "completed") -> bool:
    """Complete a job and tell whether it was charged."""
    answer = http.post(
        f"/api/jobs/{job_id}/complete", json={"status": status}, headers=OWN
    )
    assert answer.status_code == 200
    return bool(answer.json()["costs"]["credit_applied"])


def test_a_job_goes_from_pending_to_completed(http: httpx.Client, job_id: str) -> None:
    def state() -> str:
        return str(http.get(f"/api/jobs/{job_id}", headers=OWN).json()["status"])

    assert state() == "PENDING"

    called = http.post(f"/api/jobs/{job_id}/llm-call", json=CALL, headers=OWN).json()
    assert called["metadata"]["model"] == "chat-fast"
    assert called["response"]["finish_reason"] == "stop"
    assert state() == "IN_PROGRESS"

    assert completed(http, job_id)
    assert state() == "COMPLETED"


def test_every_second_completion_is_charged(
    gateway: RunningGateway, http: httpx.Client, job_id: str
) -> None:
    charged = [completed(http, job_id) for _ in range(4)]

    assert charged == [True, False, True, False]
    assert gateway.team("acme").credits_remaining == 998


def test_a_failed_job_costs_nothing(
    gateway: RunningGateway, http: httpx.Client, job_id: str
) -> None:
    assert not completed(http, job_id, "failed")
    assert gateway.team("acme").credits_remaining == 1000


def test_no_credits_block_nothing(gateway: RunningGateway, http: httpx.Client) -> None:
    key = {"Authorization": f"Bearer {example_key('initech')}"}

    answer = http.post(
        "/api/jobs/create-and-call", json={**SINGLE, "team_id": "initech"}, headers=key
    )

    assert answer.status_code == 200
    assert answer.json()["costs"]["credit_applied"] is False
    assert answer.json()["costs"]["credits_remaining"] == 0


@pytest.mark.parametrize(
    ("tokens_per_credit", "remaining", "charged", "left"),
    [(1, 1000, True, None), (1, 3, False, 3), (10_000, 3, True, 2)],
)
def test_tokens_are_charged_whole_or_not_at_all(
    *,
    gateway: RunningGateway,
    http: httpx.Client,
    tokens_per_credit: int,
    remaining: int,
    charged: bool,
    left: int | None,
) -> None:
    team = gateway.team("acme")
    team.budget_mode = "consumption_tokens"
    team.tokens_per_credit = tokens_per_credit
    team.credits_remaining = remaining

    answer = http.post("/api/jobs/create-and-call", json=SINGLE, headers=OWN).json()

    assert answer["costs"]["credit_applied"] is charged
    expected = remaining - answer["metadata"]["tokens_used"] if left is None else left
    assert team.credits_remaining == expected


def test_transactions_and_usage_tell_of_a_job(http: httpx.Client, job_id: str) -> None:
    completed(http, job_id)

    rows = http.get("/api/credits/teams/acme/transactions", headers=OWN).json()
    jobs = http.get("/api/teams/acme/jobs?status=COMPLETED", headers=OWN).json()
    none = http.get("/api/teams/acme/usage?period=2026-11-22", headers=OWN).json()

    assert rows["transactions"][0]["job_id"] == job_id
    assert rows["transactions"][0]["transaction_type"] == "deduction"
    assert [job["job_id"] for job in jobs["jobs"]] == [job_id]
    assert none["summary"]["total_jobs"] == 0


def test_metadata_is_merged_and_costs_are_broken_down(
    http: httpx.Client, job_id: str
) -> None:
    path = f"/api/jobs/{job_id}"
    http.patch(f"{path}/metadata", json={"metadata": {"a": 1}}, headers=OWN)
    http.patch(f"{path}/metadata", json={"metadata": {"b": 2}}, headers=OWN)
    http.post(f"{path}/llm-call", json=CALL, headers=OWN)

    assert http.get(path, headers=OWN).json()["metadata"] == {"a": 1, "b": 2}
    costs = http.get(f"{path}/costs", headers=OWN).json()["costs"]
    assert len(costs["breakdown"]) == 1
    assert costs["total_cost_usd"] > 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "COMPLETED"}, 422),
        ({"status": "failed", "error_message": "x" * 1001}, 500),
        ({"status": "failed", "error_message": "x" * 1000}, 200),
    ],
)
def test_complete_checks_what_it_is_given(
    http: httpx.Client, job_id: str, body: dict[str, str], status: int
) -> None:
    answer = http.post(f"/api/jobs/{job_id}/complete", json=body, headers=OWN)

    assert answer.status_code == status
    if status == 422:
        msg = answer.json()["detail"][0]["msg"]
        assert msg == "Input should be 'completed' or 'failed'"


@pytest.mark.parametrize(
    ("kind", "model", "text"),
    [
        (FaultKind.PROVIDER_AUTH, "chat-fast", "OpenAI authentication failed: Error"),
        (FaultKind.PROVIDER_AUTH, "chat-llama", "Fireworks authentication failed: Cl"),
        (FaultKind.PROVIDER_RATE_LIMIT, "chat-fast", "OpenAI rate limit: Error code:"),
        (FaultKind.PROVIDER_RATE_LIMIT, "chat-gemini", "'429 Too Many Requests'"),
        (
            FaultKind.PROVIDER_UNREACHABLE,
            "chat-fast",
            "OpenAI error: Connection error.",
        ),
        (
            FaultKind.PROVIDER_UNREACHABLE,
            "chat-llama",
            "All connection attempts failed",
        ),
        (FaultKind.PROVIDER_ERROR, "chat-claude", "Anthropic error: Error code: 503"),
        (FaultKind.PROVIDER_CONFIG, "chat-fast", "No provider credentials configured"),
    ],
)
def test_a_provider_fails_with_the_measured_text(
    *,
    gateway: RunningGateway,
    http: httpx.Client,
    job_id: str,
    kind: FaultKind,
    model: str,
    text: str,
) -> None:
    gateway.set_fault(Fault(kind, route="POST /api/jobs/*"))
    body = {**CALL, "model": model}

    answer = http.post(f"/api/jobs/{job_id}/llm-call", json=body, headers=OWN)

    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("LLM call failed: 500: ")
    assert text in answer.json()["detail"]
    job = http.get(f"/api/jobs/{job_id}", headers=OWN).json()
    assert job["status"] == "IN_PROGRESS"


def test_a_provider_timeout_has_an_empty_reason(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.PROVIDER_TIMEOUT))

    answer = http.post("/api/jobs/create-and-call", json=SINGLE, headers=OWN)

    text = "LLM call failed: 500: Failed to call provider API: "
    assert answer.json() == {"detail": text}
    failed = http.get("/api/teams/acme/jobs?status=FAILED", headers=OWN).json()
    assert failed["total"] == 1


def events(answer: httpx.Response) -> list[str]:
    return [
        line.removeprefix("data: ")
        for line in answer.text.splitlines()
        if line.startswith("data: ")
    ]


def test_llm_call_stream_never_works(http: httpx.Client, job_id: str) -> None:
    answer = http.post(f"/api/jobs/{job_id}/llm-call-stream", json=CALL, headers=OWN)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "asynchronous context manager" in json.loads(events(answer)[0])["error"]
    assert len(events(answer)) == 1


@pytest.mark.parametrize(
    ("model", "last"),
    [
        ("chat-fast", "[DONE]"),
        ("chat-claude", '{"type": "message_stop"}'),
        ("chat-gemini", '"finishReason": "STOP"'),
    ],
)
def test_a_stream_speaks_its_providers_dialect(
    gateway: RunningGateway, http: httpx.Client, model: str, last: str
) -> None:
    body = {**SINGLE, "model": model}

    answer = http.post("/api/jobs/create-and-call-stream", json=body, headers=OWN)

    assert answer.text.startswith(": keepalive\n\n")
    assert last in events(answer)[-1]
    assert gateway.team("acme").credits_remaining == 999


def test_a_stream_fails_inside_its_200(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.PROVIDER_RATE_LIMIT))

    answer = http.post("/api/jobs/create-and-call-stream", json=SINGLE, headers=OWN)

    assert answer.status_code == 200
    error = json.loads(events(answer)[-1])["error"]
    start = "500: Failed to call provider API: Client error '429 Too Many Requests'"
    assert error.startswith(start)


def test_a_cut_stream_ends_without_its_last_chunk(
    gateway: RunningGateway, http: httpx.Client
) -> None:
    gateway.set_fault(Fault(FaultKind.STREAM_CUT))

    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        http.post("/api/jobs/create-and-call-stream", json=SINGLE, headers=OWN)

    assert gateway.team("acme").credits_remaining == 1000
