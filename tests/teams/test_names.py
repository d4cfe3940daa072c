"""C-15: names that are no names: what cannot be seen, and what runs over other lines."""

import pytest
from django.core.exceptions import ValidationError

from dashboard.teams.models import Team, printable


@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "a\x1b[2Jb",
        "\u202eemca",
        "ac\u200bme",
        "acme\N{HANGUL FILLER}",
        "acme\N{COMBINING GRAPHEME JOINER}",
        "acme\ufe0f",
        "⚙\ufe0f\ufe0f",
        "\N{BRAILLE PATTERN BLANK} \N{BRAILLE PATTERN BLANK}",
        "\N{MUSICAL SYMBOL NULL NOTEHEAD}",
        "Z" + "\N{COMBINING ACUTE ACCENT}" * 6,
        "\ud800",
    ],
)
def test_what_is_not_seen_as_it_is_written_is_no_name(text: str) -> None:
    with pytest.raises(ValidationError):
        printable(text)


@pytest.mark.parametrize(
    "text",
    [
        "Acme & Söhne",
        "Tiếng Việt",
        "فريق العمل",
        "ทีมงานที่น้ำ",
        "ק֖וּמְ",
        "チーム",
        "🦓 zebra",
        "⚙\N{VARIATION SELECTOR-16} Platform",
    ],
)
def test_names_of_all_scripts_are_names(text: str) -> None:
    printable(text)


@pytest.mark.parametrize(
    ("name", "shown"), [("", "acme"), ("acme", "acme"), ("Beta", "Beta (acme)")]
)
def test_where_many_are_listed_no_team_passes_for_another(
    name: str, shown: str
) -> None:
    assert Team(team_id="acme", name=name).full_name == shown
