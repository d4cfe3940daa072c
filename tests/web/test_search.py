"""The search, as JSON for a program; its page is tested with the other looks."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db


def found(client: Client, asked: str) -> dict[str, list[dict[str, str]]]:
    answer = client.get("/search/", {"q": asked, "format": "json"})
    assert answer.status_code == 200
    told: dict[str, list[dict[str, str]]] = answer.json()
    return told


def test_it_finds_teams_and_their_probes_by_a_part_of_the_name(
    admin_page: Client,
) -> None:
    team = make_team(name="Acme Chat", team_id="acme-1")
    probe = make_probe(team)
    make_probe(make_team(name="Globex"))

    told = found(admin_page, "acme")

    assert told["teams"] == [
        {"name": "Acme Chat (acme-1)", "url": reverse("team", args=[team.pk])}
    ]
    assert told["probes"] == [
        {"name": "Team status of Acme Chat", "url": reverse("probe", args=[probe.pk])}
    ]


def test_a_stranger_finds_nothing_of_others() -> None:
    own = make_team(name="Acme Own", team_id="acme-1")
    other = make_team(name="Acme Other")
    make_probe(own)
    make_probe(other)

    told = found(person("alice", own).client, "acme")

    assert [each["name"] for each in told["teams"]] == ["Acme Own (acme-1)"]
    assert [each["name"] for each in told["probes"]] == ["Team status of Acme Own"]
