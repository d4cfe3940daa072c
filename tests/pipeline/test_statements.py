"""Statements: read with a team's own key, seldom, and counted nowhere."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard import pipeline
from dashboard.alerts.models import Incident
from dashboard.pipeline.shift import Shift
from dashboard.pipeline.statements import read_statement
from dashboard.probes import services
from dashboard.probes.models import Outcome, Probe
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team as ToldTeam
from dashboard.teams import keys, statements
from dashboard.teams.models import Statement, Team
from tests.factories import NOW, make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team(simulator: RunningGateway) -> Team:
    gateway = make_gateway(base_url=simulator.base_url, allow_private=True)
    team = make_team(gateway, team_id="acme", status="active")
    keys.set_key(team, simulator.team("acme").virtual_key, timezone.now())
    services.watch_team(team, timezone.now())
    return team


def move(simulator: RunningGateway, reason: str, amount: int = -3) -> None:
    world = simulator.gateway.world
    owner = world.teams["acme"]
    world.move_credits(
        owner, amount, kind="deduction", reason=reason, now=timezone.now()
    )


def kept() -> Statement:
    return Statement.objects.get()


def test_a_statement_is_read_once_an_hour(
    simulator: RunningGateway, team: Team
) -> None:
    move(simulator, "Job completed")

    assert pipeline.read_statements() == 1
    assert pipeline.read_statements() == 0

    latest = statements.entries_of(kept())[0]
    assert (latest.kind, latest.reason) == ("deduction", "Job completed")
    assert latest.change == -3
    used = statements.usage_of(kept())
    assert used is not None
    assert used.period == f"{timezone.now():%Y-%m}"
    assert used.jobs == 0
    assert (kept().transactions_error, kept().usage_error) == ("", "")

    Statement.objects.update(tried_at=timezone.now() - timedelta(minutes=61))
    move(simulator, "Once more")
    assert pipeline.read_statements() == 1
    assert statements.entries_of(kept())[0].reason == "Once more"


def test_at_most_twenty_are_kept(simulator: RunningGateway, team: Team) -> None:
    for number in range(30):
        move(simulator, f"Job {number}", amount=-1)

    pipeline.read_statements()

    assert [each.reason for each in statements.entries_of(kept())] == [
        f"Job {number}" for number in range(29, 9, -1)
    ]


def test_a_failure_keeps_what_was_read_and_is_nobodys_alarm(
    simulator: RunningGateway, team: Team
) -> None:
    move(simulator, "Job completed")
    pipeline.read_statements()
    read_at = kept().transactions_at
    Statement.objects.update(tried_at=timezone.now() - timedelta(hours=2))
    simulator.set_fault(Fault(FaultKind.ERROR_TEXT))
    simulator.requests.clear()

    assert pipeline.read_statements() == 1

    assert len(simulator.requests) == 2, "one attempt each"
    assert kept().transactions_error == kept().usage_error == "server_error"
    assert kept().transactions_at == read_at
    assert statements.entries_of(kept())[0].reason == "Job completed"
    assert not Outcome.objects.exists()
    assert not Incident.objects.exists()


def test_a_reason_that_repeats_the_key_is_stored_without_it(team: Team) -> None:
    """C-05: also one whose form nobody would know as a key."""
    key = "vk+of/acme=0123456789"
    with running_gateway([ToldTeam("acme", virtual_key=key)]) as simulator:
        team.gateway.base_url = simulator.base_url
        keys.set_key(team, key, timezone.now())
        move(simulator, f"paid with {key}")

        told = read_statement(team, timezone.now())

    assert told.transactions is not None
    assert told.transactions[0].reason == "paid with [hidden]"


def test_a_key_that_cannot_be_read_asks_nothing(
    simulator: RunningGateway, team: Team
) -> None:
    keys.set_key(team, "env:NOT_SET_ANYWHERE", timezone.now())

    told = read_statement(team, timezone.now())

    assert told.transactions_error == told.usage_error == "config_error"
    assert not simulator.requests


@pytest.mark.parametrize(
    ("fields", "tried", "key_set", "is_due"),
    [
        ({"status": "active"}, None, -90, True),
        ({"status": ""}, None, -90, True),
        ({"status": "suspended"}, None, -90, False),
        ({"status": "paused"}, None, -90, False),
        ({"status": "active"}, -61, -90, True),
        ({"status": "active"}, -59, -90, False),
        ({"status": "active"}, -59, -5, True),
        ({"status": "active", "key_sealed": ""}, None, -90, False),
    ],
)
def test_which_teams_are_due(
    fields: dict[str, object], tried: int | None, key_set: int, *, is_due: bool
) -> None:
    at = NOW + timedelta(minutes=key_set)
    team = make_team(None, **{"key_sealed": "x", "key_set_at": at, **fields})
    make_probe(team)
    make_probe(team, kind="balance")
    if tried is not None:
        tried_at = NOW + timedelta(minutes=tried)
        Statement.objects.create(team=team, tried_at=tried_at)

    assert statements.due(NOW, 5) == ([team] if is_due else [])

    Probe.objects.update(enabled=False)
    assert statements.due(NOW, 5) == []


def test_those_that_waited_longest_come_first() -> None:
    teams = [make_team(key_sealed="x", status="active") for _ in range(3)]
    for team, hours in zip(teams, (2, 5, None), strict=True):
        make_probe(team)
        if hours:
            tried_at = NOW - timedelta(hours=hours)
            Statement.objects.create(team=team, tried_at=tried_at)

    assert statements.due(NOW, 2) == [teams[2], teams[1]]


def test_a_gateway_that_hangs_keeps_no_others_statement_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung = make_gateway()
    teams = [make_team(hung, key_sealed="x", status="active") for _ in range(6)]
    teams.append(make_team(key_sealed="x", status="active"))
    for team in teams:
        make_probe(team)
    clock_s, asked = 0.0, []

    def read(team: Team, now: object) -> statements.Told:
        nonlocal clock_s
        clock_s += 10.0 if team.gateway == hung else 0.1
        asked.append(team)
        return statements.Told()

    monkeypatch.setattr(pipeline, "read_statement", read)
    monkeypatch.setattr(Shift, "monotonic", lambda self: clock_s)

    assert pipeline.read_statements() == 2
    assert asked == [teams[0], teams[-1]]
    assert pipeline.read_statements() == 1
    assert asked[2:] == [teams[1]]


def test_a_team_that_was_deleted_meanwhile_is_let_go(team: Team) -> None:
    Team.objects.filter(pk=team.pk).delete()

    statements.keep(team, statements.Told(transactions=[]), NOW)

    assert not Statement.objects.exists()
