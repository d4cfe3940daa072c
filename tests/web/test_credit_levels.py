"""Credits that are gone, unknown, old or out of reach are told apart."""

from datetime import timedelta
from typing import Any

import pytest

from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.services import install_default_rules
from dashboard.probes.models import ProbeKind
from dashboard.teams.keys import set_key
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import Burn
from dashboard.web.credit_levels import marks_of, outlook, standing
from dashboard.web.states import Tone
from tests.factories import NOW, make_probe, make_reading, make_team

pytestmark = pytest.mark.django_db

ANSWERS: dict[str, Any] = {"last_at": NOW}
FAILS: dict[str, Any] = {"last_at": NOW, "last_error": "server_error"}
SILENT: dict[str, Any] = {"last_at": None}


@pytest.mark.parametrize(
    ("remaining", "word"),
    [
        (500, "enough"),
        (150, "low"),
        (50, "critical"),
        (0, "exhausted"),
        (-4, "overdrawn"),
    ],
)
def test_a_fresh_reading_is_told_by_its_level(remaining: float, word: str) -> None:
    team = make_team()
    probe = make_probe(team=team, **ANSWERS)
    reading = make_reading(team, -60, remaining=remaining)

    said = standing(reading, [probe], None, NOW)

    assert (said.word, said.is_current) == (word, True)


@pytest.mark.parametrize(
    ("probe", "word", "reason"),
    [
        (ANSWERS, "unknown", "tells no number"),
        (FAILS, "unreachable", "Server error"),
        (SILENT, "stale", "no answer lately"),
        ({**ANSWERS, "enabled": False}, "stale", "no probe asks"),
    ],
)
def test_an_old_number_says_why_there_is_no_newer_one(
    probe: dict[str, Any], word: str, reason: str
) -> None:
    team = make_team()
    reading = make_reading(team, -181, remaining=0)

    said = standing(reading, [make_probe(team=team, **probe)], None, NOW)

    assert (said.word, said.is_current) == (word, False)
    assert reason in said.reason


def test_a_team_that_was_never_read_is_unknown_and_not_empty() -> None:
    assert standing(None, [make_probe(team=make_team())], None, NOW).word == "unknown"


def test_one_probe_that_answers_is_enough() -> None:
    """A suspended team's own key reads nothing; the look-up without a key fills in."""
    team = make_team()
    set_key(team, "sk-of-the-team-1234", NOW)
    refused: dict[str, Any] = {
        **FAILS,
        "last_error": "team_suspended",
        "kind": ProbeKind.BALANCE,
    }
    probes = [make_probe(team=team, **ANSWERS), make_probe(team=team, **refused)]

    assert standing(make_reading(team, -30), probes, None, NOW).word == "enough"


def test_a_balance_probe_without_a_key_is_no_source() -> None:
    team = make_team()
    probe = make_probe(team=team, kind=ProbeKind.BALANCE, period_s=3600, **SILENT)

    assert (
        standing(make_reading(team, -181), [probe], None, NOW).reason
        == "no probe asks for them"
    )


@pytest.mark.parametrize(
    ("remaining", "per_hour", "word", "tone"),
    [
        (500, 1, "enough", Tone.OK),
        (500, 40, "ends soon", Tone.WARN),
        (500, 400, "ends soon", Tone.BAD),
        (150, 10, "low", Tone.WARN),
        (150, 400, "ends soon", Tone.BAD),
        (50, 400, "critical", Tone.BAD),
    ],
)
def test_the_worse_of_what_is_left_and_how_long_it_lasts_is_told(
    remaining: float, per_hour: float, word: str, tone: Tone
) -> None:
    reading = CreditReading(remaining=remaining, allocated=1000.0, read_at=NOW)
    burn = Burn(per_hour, remaining, 99, timedelta(days=1))

    assert outlook(reading, burn) == (tone, word)


def test_a_teams_own_limits_decide_what_is_low_and_what_ends_soon() -> None:
    install_default_rules()
    usual, own = make_team(team_id="usual"), make_team(team_id="own")
    for kind, warn, critical in (
        (RuleKind.CREDITS, 0.05, None),
        (RuleKind.CREDITS_FORECAST, 2, None),
    ):
        Rule.objects.create(
            name=f"own {kind}",
            kind=kind,
            team=own,
            warn_at=warn,
            critical_at=critical,
            floor=40 if kind == RuleKind.CREDITS else None,
        )
    marks = marks_of([usual, own])

    def said(team: Team, remaining: float, per_hour: float = 0) -> str:
        reading = CreditReading(remaining=remaining, allocated=1000.0, read_at=NOW)
        burn = Burn(per_hour, remaining, 99, timedelta(days=1)) if per_hour else None
        return outlook(reading, burn, marks[team.pk])[1]

    assert (said(usual, 150), said(own, 150)) == ("low", "enough")
    assert (said(usual, 40), said(own, 40)) == ("critical", "low")
    assert (said(usual, 500, 40), said(own, 500, 40)) == ("ends soon", "enough")
    assert (said(usual, 500, 400), said(own, 500, 400)) == ("ends soon", "ends soon")
