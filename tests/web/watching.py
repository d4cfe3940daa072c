"""A team as it is watched."""

from typing import Any

from dashboard.probes.services import watch_team
from dashboard.teams.keys import set_key
from dashboard.teams.models import Team
from tests.factories import (
    NOW,
    make_reading,
    make_team,
)


def watched(**fields: Any) -> Team:
    team = make_team(model_aliases=["chat-fast"], **fields)
    watch_team(team, NOW)
    set_key(team, "sk-of-the-team-1234", NOW)
    for place in range(4 * 12):
        make_reading(team, -300 * place, remaining=150 + 10 * place / 12)
    return team
