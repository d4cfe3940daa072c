"""One running gateway for each test, with three teams, and a client of bare httpx."""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, example_key

OWN = {"Authorization": f"Bearer {example_key('acme')}"}
ADMIN = {"X-Admin-Key": "sk-sim-admin"}
ASK = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(
        [
            Team("acme"),
            Team("globex", status="suspended"),
            Team("initech", credits_allocated=0, credits_remaining=0),
        ]
    ) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    # An empty context: loading the certificates would cost 30 ms a test.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # No connection twice: after a text 500 the gateway closes it without a word, and
    # the next request would now and then fall into that gap.
    with httpx.Client(
        base_url=gateway.base_url,
        timeout=5,
        trust_env=False,
        verify=context,
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        yield client


@pytest.fixture
def job_id(http: httpx.Client) -> str:
    made = http.post(
        "/api/jobs/create",
        json={"team_id": "acme", "job_type": "test"},
        headers=OWN,
    )
    return str(made.json()["job_id"])
