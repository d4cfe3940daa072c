"""Importing teams: what the gateway lists, what would change, and what does."""

import json

import pytest
from django.db import connection

from dashboard.pipeline.roster import Change, ask_roster, import_teams
from dashboard.probes.models import Probe
from dashboard.simulator.running import running_gateway
from dashboard.simulator.world import Team as SimulatedTeam
from dashboard.teams.models import CreditReading, Team
from tests.apiclient.rogue import rogue, sends
from tests.factories import NOW, make_gateway, make_team

pytestmark = pytest.mark.django_db
CANARY = "sk-CANARY-of-a-list"


def listing(*teams: object) -> bytes:
    body = json.dumps(list(teams)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def test_the_list_says_what_would_change_and_changes_nothing() -> None:
    listed = [
        SimulatedTeam("globex", organization_id="org_a", credits_remaining=40),
        SimulatedTeam("acme", organization_id="org_a"),
        SimulatedTeam("initech", organization_id="org_b", status="suspended"),
    ]
    with running_gateway(listed) as running:
        gateway = make_gateway(base_url=running.base_url, allow_private=True)
        make_team(gateway, team_id="acme")
        make_team(gateway, team_id="gone")

        roster = ask_roster(gateway)

    assert [(each.team_id, each.change) for each in roster.teams] == [
        ("globex", Change.NEW),
        ("initech", Change.NEW),
        ("acme", Change.WATCHED),
        ("gone", Change.MISSING),
    ]
    assert roster.organizations == ["org_a", "org_b"]
    assert (roster.new[0].remaining, roster.new[1].status) == (40, "suspended")
    assert Team.objects.count() == 2
    assert not Probe.objects.exists()


def test_an_organization_narrows_the_list() -> None:
    listed = [
        SimulatedTeam("acme", organization_id="org_a"),
        SimulatedTeam("initech", organization_id="org_b"),
    ]
    with running_gateway(listed) as running:
        gateway = make_gateway(base_url=running.base_url, allow_private=True)

        roster = ask_roster(gateway, "org_b")

    assert [each.team_id for each in roster.teams] == ["initech"]
    assert roster.organizations == ["org_a", "org_b"]


def test_chosen_teams_are_watched_at_once_and_begin_without_a_key() -> None:
    gateway = make_gateway(allow_private=True)
    told = {
        "team_id": "acme",
        "organization_id": "org_a",
        "status": "suspended",
        "budget_mode": "consumption_tokens",
        "credits_remaining": 12,
        "credits_allocated": 100,
        "virtual_key": CANARY,
    }
    with rogue(sends(listing(told, {**told, "team_id": "other"}))) as server:
        gateway.base_url = server.url
        done = import_teams(ask_roster(gateway), ["acme", "vanished"], NOW)

    team = Team.objects.get()
    assert (done.added, done.gone) == ([team], ["vanished"])
    assert (team.team_id, team.status, team.has_key) == ("acme", "suspended", False)
    assert (team.organization_id, team.budget_mode) == ("org_a", "consumption_tokens")
    assert CreditReading.objects.get().remaining == 12
    assert set(Probe.objects.filter(enabled=True).values_list("kind", flat=True)) == {
        "health",
        "team_status",
        "balance",
    }
    with connection.cursor() as cursor:
        for table in ("teams_team", "teams_creditreading", "probes_probe"):
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            assert CANARY not in repr(cursor.fetchall())


def test_importing_twice_changes_nothing() -> None:
    gateway = make_gateway(allow_private=True)
    with rogue(sends(listing({"team_id": "acme", "status": "active"}))) as server:
        gateway.base_url = server.url
        import_teams(ask_roster(gateway), ["acme"], NOW)
        before = list(Team.objects.values())

        done = import_teams(ask_roster(gateway), ["acme"], NOW)

    assert (done.added, done.gone) == ([], [])
    assert list(Team.objects.values()) == before


@pytest.mark.parametrize(
    "team_id",
    [
        *("", ".", "..", "a\x00b", "a\nb", "\u202eevil", "x" * 300, CANARY, 7),
        # These would pass for another team's.
        *("<b>good</b> ", " <b>good</b>", "<b>good\u200b</b>", "\x1b[0m<b>good</b>"),
    ],
)
def test_an_id_that_nobody_can_use_is_left_out_and_counted(team_id: object) -> None:
    """C-15: nor does it tell another team's status and credits."""
    gateway = make_gateway(allow_private=True)
    answer = listing(
        {"team_id": "<b>good</b>", "status": "paused"},
        {"team_id": "<b>good</b>", "status": "suspended"},
        {"team_id": team_id, "status": "active"},
    )
    with rogue(sends(answer)) as server:
        gateway.base_url = server.url
        roster = ask_roster(gateway)

    told = [(each.team_id, each.status) for each in roster.teams]
    assert told == [("<b>good</b>", "suspended")]
    assert roster.unusable == 2


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, {"detail": "x"}])
def test_an_entry_that_is_no_team_does_not_hide_the_others(odd: object) -> None:
    """C-15: one odd entry would be an answer that nobody can import from."""
    gateway = make_gateway(allow_private=True)
    with rogue(sends(listing(odd, {"team_id": "acme", "status": "active"}))) as server:
        gateway.base_url = server.url
        roster = ask_roster(gateway)

    assert [each.team_id for each in roster.new] == ["acme"]
    assert (roster.unusable, roster.error) == (1, "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (listing(None, 7), "Unreadable"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}\n', "Unreadable"),
        (b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "Server error"),
    ],
)
def test_a_gateway_that_fails_is_an_error_in_words(answer: bytes, said: str) -> None:
    gateway = make_gateway(allow_private=True)
    with rogue(sends(answer)) as server:
        gateway.base_url = server.url
        roster = ask_roster(gateway)

    assert said.lower() in roster.error.lower()
    assert roster.advice
    assert not roster.teams


def test_a_private_address_that_nobody_allowed_is_not_asked() -> None:
    """C-06: the import keeps to the prober's rule of addresses."""
    with rogue(sends(listing())) as server:
        roster = ask_roster(make_gateway(base_url=server.url))

        assert server.connections == 0
    assert "refused" in roster.error
