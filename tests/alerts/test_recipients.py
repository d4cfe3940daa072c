"""Who is told."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from dashboard.alerts import queries
from dashboard.alerts.models import Channel, Recipient, RuleKind
from dashboard.alerts.recipients import Reader, readers_of, teams_told_of
from tests.alerts.conftest import make_incident, make_recipient
from tests.factories import NOW, make_gateway, make_probe, make_team

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


@pytest.mark.parametrize("kind", [RuleKind.GATEWAY_DOWN, RuleKind.BREAKER_OPEN])
def test_an_outage_of_a_whole_gateway_is_told_to_those_of_its_teams(kind: str) -> None:
    """A-57: it speaks for their alarms, so that they would hear of nothing."""
    gateway = make_gateway()
    team, paused = make_team(gateway), make_team(gateway)
    health = make_probe(gateway=gateway)
    make_probe(team)
    make_probe(team, kind="balance")
    make_probe(paused, enabled=False)
    for email, told_of in [
        ("team@example.org", team),
        ("TEAM@example.org", team),
        ("paused@example.org", paused),
        ("other@example.org", make_team()),
    ]:
        Recipient.objects.create(email=email, team=told_of)

    def told(**about: Any) -> list[str]:
        incident = make_incident(gateway, kind=kind, **about)
        return [reader.recipient.lower() for reader in readers_of(incident)]

    assert told() == ["team@example.org"]
    get_user_model().objects.create_superuser("root", "root@example.org", "x")
    assert told(identity="again") == ["root@example.org", "team@example.org"]
    assert told(identity="of one", probe=health) == ["root@example.org"]


def test_two_channels_may_differ_by_the_case_of_their_names() -> None:
    team = make_team()
    make_probe(team)
    for name, told_of in (("Ops", None), ("ops", team)):
        Channel.objects.create(name=name, kind="slack", team=told_of)
    readers = readers_of(make_incident(team.gateway, kind=RuleKind.GATEWAY_DOWN))

    assert readers == [("slack", "Ops"), ("slack", "ops")]
    told_of_teams = [teams_told_of(each, team.gateway_id) for each in readers]
    assert told_of_teams == [None, {team.pk}]


def test_who_was_told_where_nobody_else_was_is_still_told_all() -> None:
    team = make_team()
    get_user_model().objects.create_superuser("root", "root@example.org", "x")
    make_recipient("ops@example.org")
    Recipient.objects.create(email="acme@example.org", team=team)

    def told_of(email: str) -> set[int] | None:
        return teams_told_of(Reader("email", email), team.gateway_id)

    assert told_of("ROOT@example.org") is told_of("ops@example.org") is None
    assert told_of("acme@example.org") == {team.pk}


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
