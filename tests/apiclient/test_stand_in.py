"""Both clients against the stand-in gateway, which was built without knowing them."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from apiclient import APIError, Client, ErrorClass, Operation, TeamStatus, operations
from apiclient.payloads import CompletedJob, Job, SingleCall
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, example_key
from tests.apiclient.asking import Ask

pytestmark = pytest.mark.hostile

E = ErrorClass
MESSAGES = [{"role": "user", "content": "Say hello"}]
BALANCE: Operation[object] = operations.balance("acme")
SINGLE: Operation[object] = operations.create_and_call(
    "acme", "probe", model="chat-fast", messages=MESSAGES
)


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    teams = [
        Team("acme"),
        Team("globex", status="suspended"),
        Team("hooli", status="paused"),
        Team("initech", credits_allocated=0, credits_remaining=0),
    ]
    with running_gateway(teams) as running:
        yield running


FAULTS = [
    (FaultKind.RATE_LIMITED, BALANCE, E.RATE_LIMITED),
    (FaultKind.FORBIDDEN, BALANCE, E.FORBIDDEN),
    (FaultKind.ERROR_JSON, BALANCE, E.SERVER_ERROR),
    (FaultKind.ERROR_TEXT, BALANCE, E.SERVER_ERROR),
    (FaultKind.UNAVAILABLE_JSON, BALANCE, E.UNAVAILABLE),
    (FaultKind.UNAVAILABLE_HTML, BALANCE, E.UNAVAILABLE),
    (FaultKind.WRONG_SHAPE, BALANCE, E.DECODE),
    (FaultKind.MALFORMED_JSON, BALANCE, E.DECODE),
    (FaultKind.RESET, BALANCE, E.CONNECTION_LOST),
    (FaultKind.RESET_IN_BODY, BALANCE, E.CONNECTION_LOST),
    (FaultKind.TRUNCATED, BALANCE, E.CONNECTION_LOST),
    (FaultKind.DRIP_FEED, BALANCE, E.TIMEOUT),
    (FaultKind.HANG, BALANCE, E.TIMEOUT),
    (FaultKind.REFUSE, BALANCE, E.CONNECT_FAILED),
    (FaultKind.TEAM_SUSPENDED, BALANCE, E.TEAM_SUSPENDED),
    (FaultKind.TEAM_PAUSED, BALANCE, E.TEAM_PAUSED),
    (FaultKind.PROVIDER_AUTH, SINGLE, E.PROVIDER_AUTH),
    (FaultKind.PROVIDER_RATE_LIMIT, SINGLE, E.PROVIDER_RATE_LIMITED),
    (FaultKind.PROVIDER_TIMEOUT, SINGLE, E.PROVIDER_TIMEOUT),
    (FaultKind.PROVIDER_UNREACHABLE, SINGLE, E.PROVIDER_UNREACHABLE),
    (FaultKind.PROVIDER_CONFIG, SINGLE, E.PROVIDER_CONFIG),
    (FaultKind.PROVIDER_ERROR, SINGLE, E.PROVIDER_ERROR),
]


@pytest.mark.parametrize(("kind", "operation", "error"), FAULTS)
def test_each_fault_has_its_class(
    ask_kept: Ask,
    gateway: RunningGateway,
    kind: FaultKind,
    operation: Operation[object],
    error: ErrorClass,
) -> None:
    gateway.set_fault(Fault(kind))
    try:
        report = ask_kept(gateway.base_url, operation, virtual_key=example_key("acme"))
    finally:
        gateway.clear_fault(kind)

    assert report.error is error, report.detail


@pytest.mark.parametrize(
    ("team_id", "status", "balance_error"),
    [
        ("acme", TeamStatus.ACTIVE, None),
        ("globex", TeamStatus.SUSPENDED, E.TEAM_SUSPENDED),
        ("hooli", TeamStatus.PAUSED, E.TEAM_PAUSED),
        ("initech", TeamStatus.ACTIVE, None),
    ],
)
def test_a_teams_state_is_seen_though_its_key_may_be_refused(
    ask_kept: Ask,
    gateway: RunningGateway,
    team_id: str,
    status: TeamStatus,
    balance_error: ErrorClass | None,
) -> None:
    key = example_key(team_id)
    get_team = operations.get_team(team_id)
    team = ask_kept(gateway.base_url, get_team, virtual_key=None)
    balance = ask_kept(gateway.base_url, operations.balance(team_id), virtual_key=key)

    assert getattr(team.value, "status", None) is status
    assert balance.error is balance_error
    assert key not in repr(team)


def test_a_job_is_created_called_and_completed(
    ask_kept: Ask, gateway: RunningGateway
) -> None:
    key = example_key("acme")
    create = operations.create_job("acme", "probe")
    job = ask_kept(gateway.base_url, create, virtual_key=key).value
    assert isinstance(job, Job)
    call = operations.llm_call(job.job_id, model="chat-fast", messages=MESSAGES)
    complete = operations.complete_job(job.job_id, "failed", "only a probe")

    assert ask_kept(gateway.base_url, call, virtual_key=key).ok
    done = ask_kept(gateway.base_url, complete, virtual_key=key).value
    assert isinstance(done, CompletedJob)
    assert done.costs is not None
    assert done.costs.total_calls == 1


def test_a_single_call_is_read(ask_kept: Ask, gateway: RunningGateway) -> None:
    single = ask_kept(gateway.base_url, SINGLE, virtual_key=example_key("acme")).value
    assert isinstance(single, SingleCall)
    assert single.response.content


@pytest.mark.parametrize("losses", [0, 1, 2, 3, 9])
def test_a_job_is_charged_once_however_often_its_completion_is_lost(
    gateway: RunningGateway, losses: int
) -> None:
    """B-22, X-14: the gateway charges the first and the third `complete`."""
    with Client(
        base_url=gateway.base_url,
        team_id="acme",
        virtual_key=example_key("acme"),
        sleep=lambda seconds: None,
    ) as client:
        with suppress(APIError), client.job("chat") as job:
            job.llm_call(model="chat-fast", messages=MESSAGES)
            gateway.set_fault(Fault(FaultKind.RESET, times=losses))
        gateway.clear_faults()
        client.send_completions()
        state, left = client.get_job(job.job_id).status, client.balance().remaining

    assert (state, left) == ("completed", 999)
