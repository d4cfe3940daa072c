from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from dashboard.teams import keys
from dashboard.teams.models import Gateway, Team
from tests.factories import NOW, make_gateway, make_team

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


def test_a_key_is_sent_to_no_other_address_than_it_was_given_for() -> None:
    """C-06: however the address came to be another one, also in the middle of it."""
    gateway = make_gateway(base_url="https://old.example")
    team = make_team(gateway)
    asked_before = Team.objects.select_related("gateway").get(pk=team.pk)
    for text in (CANARY, "env:HOME"):
        keys.set_key(team, text, NOW)
        Gateway.objects.update(base_url="https://new.example")
        # Who began before the change, as an open form does, seals it for the old one.
        keys.set_key(asked_before, text, NOW)
        moved = Team.objects.get(pk=team.pk)

        with pytest.raises(keys.KeyUnavailableError, match="given for another address"):
            keys.resolve(moved)
        assert keys.hint(moved).endswith(text[-4:])
        keys.rotate_keys()
        with pytest.raises(keys.KeyUnavailableError, match="given for another address"):
            keys.resolve(Team.objects.get(pk=team.pk))
        Gateway.objects.update(base_url="https://old.example")
        assert keys.resolve(Team.objects.get(pk=team.pk))


def test_one_that_was_sealed_without_an_address_is_its_gateways() -> None:
    team = make_team(key_sealed=keys.seal(CANARY))
    key = keys.resolve(team)
    assert key is not None
    assert key.reveal() == CANARY
    assert keys.hint(team) == "••••abcd"
