"""`probe` and `status` against a stand-in gateway."""

import io
import json
import os
from collections.abc import Iterator

import pytest
from django.core.management import call_command

from dashboard.management.edge import UsageError, main
from dashboard.probes.models import Outcome
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.teams.keys import clear_key, set_key
from dashboard.teams.models import Team
from tests.factories import NOW, make_gateway, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stand_in() -> Iterator[RunningGateway]:
    with running_gateway(["acme"]) as running:
        gateway = make_gateway(
            name="Production", base_url=running.base_url, allow_private=True
        )
        team = make_team(gateway, team_id="acme", name="ACME")
        set_key(team, "sk-sim-acme", NOW)
        watch_gateway(gateway, NOW)
        watch_team(team, NOW)
        yield running


def run(*arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_all_good_exits_0_and_is_recorded(stand_in: RunningGateway) -> None:
    code, told = run("probe")

    assert code == 0
    header, *rows = told.splitlines()
    assert header.split()[:5] == ["GATEWAY", "TEAM", "PROBE", "CLASS", "STATUS"]
    assert [row.split()[:5] for row in rows] == [
        ["Production", "-", "health", "ok", "200"],
        ["Production", "acme", "balance", "ok", "200"],
        ["Production", "acme", "team_status", "ok", "200"],
    ]
    assert Outcome.objects.count() == 3


def test_a_probe_that_waits_for_a_key_fails_nothing(stand_in: RunningGateway) -> None:
    clear_key(Team.objects.get())

    code, told = run("probe")

    assert code == 0
    assert "balance" not in told
    assert run("probe", "--probe", "balance")[0] == 1


def test_something_failing_exits_1_and_names_its_class(
    stand_in: RunningGateway,
) -> None:
    stand_in.set_fault(Fault(FaultKind.TEAM_SUSPENDED, team="acme"))

    code, told = run("probe", "--team", "ACME", "--json")

    assert code == 1
    assert [row["probe"] for row in json.loads(told)] == ["balance", "team_status"]
    assert any(not row["ok"] for row in json.loads(told))


def test_one_probe_may_be_named(stand_in: RunningGateway) -> None:
    code, told = run("probe", "--probe", "health", "--json")

    [row] = json.loads(told)
    assert (code, row["probe"], row["team"], row["ok"]) == (0, "health", None, True)


def test_an_unknown_team_is_told_which_there_are_and_how_many_more() -> None:
    gateway = make_gateway()
    for number in range(12):
        make_team(gateway, team_id=f"team-{number:02}")

    with pytest.raises(
        UsageError, match=r"team-09 and 2 more, which manage\.py status"
    ):
        call_command("probe", team="nope")


def test_a_name_that_is_no_text_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = os.umask(0o077)
    with pytest.raises(SystemExit) as end:
        main(["manage.py", "probe", "--team", "\udcff"])
    os.umask(before)

    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told == "An argument is not text in UTF-8, as all names are here.\n"


def test_status_tells_the_verdict_and_each_probe(stand_in: RunningGateway) -> None:
    run("probe")

    code, told = run("status")

    assert code == 0
    assert told.startswith("UNKNOWN: ")
    assert "Error rate, last hour: " in told
    assert "team_status" in told


def test_status_in_json_has_the_same_facts(stand_in: RunningGateway) -> None:
    run("probe")

    facts = json.loads(run("status", "--json")[1])

    assert facts["problems"] == 0
    assert {row["probe"] for row in facts["probes"]} >= {"health", "balance"}
    assert facts["outbox"] == {"depth": 0, "dead": 0}


def test_status_of_an_empty_installation_says_so() -> None:
    assert run("status")[1].startswith("UNKNOWN: Nothing is watched yet")


def test_a_team_is_not_asked_for_by_anothers_id(stand_in: RunningGateway) -> None:
    """A manager may call his team like another one's id."""
    other = make_team(make_gateway(name="Other"), team_id="other", name="acme")
    watch_team(other, NOW)

    code, told = run("probe", "--team", "acme", "--probe", "team_status")

    assert code == 0
    assert "Other" not in told
    assert run("probe", "--team", "ACME", "--probe", "team_status")[0] == 0
