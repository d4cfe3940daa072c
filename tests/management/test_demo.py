"""What the demo says, and what it takes from the environment."""

import io
import os

import pytest

from dashboard.management import demo as rows
from dashboard.management.address import Bind
from dashboard.management.commands import demo
from dashboard.teams.keys import resolve
from dashboard.teams.models import Team
from tests.factories import NOW


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("0.0.0.0", True),  # noqa: S104 (an address to be warned of)
        ("::", True),
        ("192.0.2.1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
    ],
)
def test_it_warns_where_others_reach_it(host: str, is_open: bool) -> None:  # noqa: FBT001
    out = io.StringIO()
    demo.Command(stdout=out)._tell(Bind(host, 8000))

    assert ("Others can reach it" in out.getvalue()) is is_open


def test_it_touches_nothing_of_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda *told: began.append(told[2]))
    monkeypatch.setenv("GATEWATCH_PING_URL", "https://watcher.example/alive")
    monkeypatch.setenv("DATABASE_URL_FILE", "/run/secrets/database")
    monkeypatch.setenv("LANG", "C")

    demo._start_again_as_demo()

    assert began[0]["GATEWATCH_DEMO"] == "1"
    assert began[0]["LANG"] == "C"
    assert not {"GATEWATCH_PING_URL", "DATABASE_URL_FILE"} & set(began[0])


@pytest.mark.django_db
def test_its_keys_follow_the_stand_in_to_another_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C-06: a key is good for one address only."""
    monkeypatch.setattr(rows, "fill_history", lambda **_: None)
    for url in ("http://127.0.0.1:8001", "http://127.0.0.1:8002"):
        rows.seed(url, NOW)

        teams = Team.objects.select_related("gateway")
        assert {team.gateway.base_url for team in teams} == {url}
        assert all(resolve(team) for team in teams)
