"""A stand-in gateway for each test, and a team that is watched there."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.probes import services
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.teams import keys
from dashboard.teams.models import Gateway, Team
from tests.factories import make_gateway, make_team


@pytest.fixture
def simulator() -> Iterator[RunningGateway]:
    with running_gateway(teams=["acme"]) as gateway:
        yield gateway


@pytest.fixture
def gateway(simulator: RunningGateway) -> Gateway:
    gateway = make_gateway(base_url=simulator.base_url, allow_private=True)
    services.watch_gateway(gateway, timezone.now())
    return gateway


@pytest.fixture
def team(simulator: RunningGateway, gateway: Gateway) -> Team:
    team = make_team(gateway, team_id="acme")
    keys.set_key(team, simulator.team("acme").virtual_key, timezone.now())
    services.watch_team(team, timezone.now() - timedelta(seconds=15))
    return team
