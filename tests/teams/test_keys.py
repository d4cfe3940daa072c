from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from dashboard.teams import keys
from tests.factories import NOW, make_team

pytestmark = pytest.mark.django_db
CANARY = "sk-CANARY-1234567890-abcd"


def test_a_key_is_sealed_at_rest_and_resolves_to_itself() -> None:
    team = make_team()

    keys.set_key(team, CANARY, NOW)

    with connection.cursor() as cursor:
        cursor.execute("SELECT key_sealed FROM teams_team WHERE id = %s", [team.pk])
        assert CANARY not in cursor.fetchone()[0]
    team.refresh_from_db()
    key = keys.resolve(team)
    assert key is not None
    assert key.reveal() == CANARY
    assert team.key_set_at == NOW
    assert keys.hint(team) == "••••abcd"


def test_a_team_without_a_key_has_none() -> None:
    team = make_team()
    assert keys.resolve(team) is None
    assert keys.hint(team) == ""


def test_a_reference_is_resolved_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    team = make_team()
    keys.set_key(team, "env:ACME_KEY", NOW)
    monkeypatch.setenv("ACME_KEY", CANARY)
    key = keys.resolve(team)
    assert key is not None
    assert key.reveal() == CANARY
    assert keys.hint(team) == keys.reference(team) == "env:ACME_KEY"

    path = tmp_path / "key"
    path.write_text(CANARY + "\n")
    keys.set_key(team, f"file:{path}", NOW)
    key = keys.resolve(team)
    assert key is not None
    assert key.reveal() == CANARY


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:NOT_SET_ANYWHERE", "env:NOT_SET_ANYWHERE: the environment variable"),
        ("file:/not/there", "file:/not/there: the file cannot be read"),
    ],
)
def test_a_reference_to_nothing_says_which(reference: str, reason: str) -> None:
    team = make_team()
    keys.set_key(team, reference, NOW)

    with pytest.raises(keys.KeyUnavailableError, match=reason):
        keys.resolve(team)


@pytest.mark.parametrize("bad", [CANARY + "\n", "", "sk with space", "sk-ü"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(bad: str) -> None:
    team = make_team()

    with pytest.raises(ValueError, match="the virtual key") as caught:
        keys.set_key(team, bad, NOW)

    assert CANARY not in str(caught.value)
    team.refresh_from_db()
    assert not team.has_key


def test_a_key_sealed_with_lost_field_keys_is_explained(settings: object) -> None:
    team = make_team()
    keys.set_key(team, CANARY, NOW)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]  # type: ignore[attr-defined]

    with pytest.raises(keys.KeyUnavailableError, match="FIELD_KEYS"):
        keys.resolve(team)
    assert keys.hint(team) == "unreadable: set it again"


def test_an_older_field_key_still_reads_what_it_sealed(settings: object) -> None:
    team = make_team()
    keys.set_key(team, CANARY, NOW)
    old = settings.FIELD_KEYS  # type: ignore[attr-defined]
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), *old]  # type: ignore[attr-defined]

    key = keys.resolve(team)
    assert key is not None
    assert key.reveal() == CANARY
