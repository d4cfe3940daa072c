"""Who is told."""

import pytest
from django.contrib.auth import get_user_model

from dashboard.alerts import queries
from dashboard.alerts.models import Recipient
from dashboard.alerts.recipients import readers_of
from tests.alerts.conftest import make_incident, make_recipient
from tests.factories import NOW, make_team

pytestmark = pytest.mark.django_db


def test_recipients_are_told_of_their_scope_once() -> None:
    team, other = make_team(), make_team()
    make_recipient("all@example.org")
    Recipient.objects.create(email="ALL@example.org", gateway=team.gateway)
    Recipient.objects.create(email="team@example.org", team=team)
    Recipient.objects.create(email="other@example.org", team=other)
    incident = make_incident(team.gateway, team)

    told = {reader.recipient.lower() for reader in readers_of(incident)}

    assert told == {"all@example.org", "team@example.org"}
    assert len(readers_of(incident)) == 2


def test_without_recipients_the_first_administrator_is_told() -> None:
    incident = make_incident()
    assert readers_of(incident) == []
    assert queries.outbox_state(NOW).nobody_told

    users = get_user_model().objects
    users.create_superuser("root", "", "x")
    users.create_superuser("alice", "alice@example.org", "x")
    users.create_user("bob", "bob@example.org", "x")

    assert readers_of(incident) == [("email", "alice@example.org")]
    assert not queries.outbox_state(NOW).nobody_told
