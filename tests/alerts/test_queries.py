"""Who is told, and what pages read."""

import pytest
from django.contrib.auth import get_user_model

from dashboard.alerts import queries
from dashboard.alerts.models import Recipient
from dashboard.alerts.recipients import recipients_of
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.factories import NOW, make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db


def test_recipients_are_told_of_their_scope_once() -> None:
    team, other = make_team(), make_team()
    make_recipient("all@example.org")
    Recipient.objects.create(email="ALL@example.org", gateway=team.gateway)
    Recipient.objects.create(email="team@example.org", team=team)
    Recipient.objects.create(email="other@example.org", team=other)
    incident = make_incident(team.gateway, team)

    told = {address.lower() for address in recipients_of(incident)}

    assert told == {"all@example.org", "team@example.org"}
    assert len(recipients_of(incident)) == 2


def test_without_recipients_the_first_administrator_is_told() -> None:
    incident = make_incident()
    assert recipients_of(incident) == []
    assert queries.outbox_state(NOW).nobody_told

    users = get_user_model().objects
    users.create_superuser("root", "", "x")
    users.create_superuser("alice", "alice@example.org", "x")
    users.create_user("bob", "bob@example.org", "x")

    assert recipients_of(incident) == ["alice@example.org"]
    assert not queries.outbox_state(NOW).nobody_told


def test_incidents_are_filtered_by_state_and_by_what_a_reader_may_see() -> None:
    team, stranger = make_team(), make_team()
    mine = make_incident(team.gateway, team)
    theirs = make_incident(stranger.gateway, stranger)
    of_gateway = make_incident(team.gateway, opened_at=after(-60))
    over = make_incident(team.gateway, team, resolved_at=NOW, opened_at=after(-90))

    assert queries.incidents(team_ids=[team.pk]) == [mine, of_gateway, over]
    assert queries.incidents(team_ids=[team.pk], is_open=True) == [mine, of_gateway]
    assert queries.incidents(team_ids=[team.pk], is_open=False) == [over]
    assert set(queries.open_incidents()) == {mine, theirs, of_gateway}
    assert queries.incident(theirs.pk, [team.pk]) is None
    assert queries.incident(mine.pk, [team.pk]) == mine


def test_an_incident_that_another_speaks_for_is_not_listed_as_open() -> None:
    gateway = make_gateway()
    greater = make_incident(gateway)
    lesser = make_incident(gateway, probe=make_probe(gateway=gateway))
    lesser.inhibited_by = greater
    lesser.save()

    assert queries.open_incidents() == [greater]
    found = queries.incident(greater.pk)
    assert found is not None
    assert list(found.inhibits.all()) == [lesser]


def test_what_was_sent_is_read_with_the_incident() -> None:
    make_recipient()
    incident = tell(make_incident())

    (row,) = queries.notifications(incident)

    assert row.recipient == "ops@example.org"
