"""People and clocks for the tests of pages."""

from collections.abc import Iterator

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from dashboard.alerts.services import install_default_rules
from dashboard.probes.services import watch_team
from dashboard.teams.models import Team
from tests.factories import NOW, make_team
from tests.web.people import person


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """Stop the clock, which views ask, at NOW."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def team(db: None) -> Team:
    """Return a team that is watched, under the general rules."""
    team = make_team(team_id="acme", model_aliases=["chat-fast"])
    watch_team(team, NOW)
    install_default_rules()
    return team


@pytest.fixture
def alice(team: Team) -> Client:
    """Return a manager of the team, logged in."""
    return person("alice", team).client


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.com", "correct horse")


@pytest.fixture
def admin_page(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client
