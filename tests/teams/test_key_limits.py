"""Which references may be kept as a key by whom, and how keys get a new seal."""

import io
import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from dashboard.teams import keys
from dashboard.teams.models import AuditEntry, Team
from tests.factories import NOW, make_team

KEY = "sk-CANARY-1234567890-abcd"


class TestReferences:
    """C-08, C-26: a reference sends what it names to the gateway."""

    @pytest.fixture(autouse=True)
    def _allowed(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "keys").mkdir()
        (tmp_path / "elsewhere").write_text(KEY)
        (tmp_path / "keys" / "link").symlink_to(tmp_path / "elsewhere")
        settings.KEY_REFERENCES = ["env:ACME_*", f"file:{tmp_path}/keys/"]

    @pytest.mark.parametrize(
        "typed", [KEY, "env:ACME_KEY", "file:{}/keys/acme", "file:{}/keys/a/../acme"]
    )
    def test_a_manager_may_type_a_key_or_refer_to_what_is_allowed(
        self, typed: str, tmp_path: Path
    ) -> None:
        text = typed.format(tmp_path)
        assert keys.check_typed_key(text, any_reference=False) == text

    @pytest.mark.parametrize(
        "typed",
        [
            "env:HOME",
            "env:acme_key",
            "env:",
            "file:/etc/passwd",
            "file:{}/keys/../elsewhere",
            "file:{}/keys/link",
            "file:{}/keys-of-others/x",
            "file:keys/acme",
            "file:acme",
            "file:",
        ],
    )
    def test_and_to_nothing_else(self, typed: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"may not refer|names nothing"):
            keys.check_typed_key(typed.format(tmp_path), any_reference=False)

    @pytest.mark.parametrize("place", ["/net/203.0.113.7/key", "{}/keys/../../net"])
    def test_what_he_may_not_refer_to_is_not_even_looked_at(
        self, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """C-26: where it is mounted by a look another machine is asked, while he waits."""
        looked_at: list[str] = []
        monkeypatch.setattr(os.path, "realpath", looked_at.append)

        with pytest.raises(ValueError, match="may not refer"):
            keys.check_typed_key(f"file:{place}".format(tmp_path), any_reference=False)

        assert not looked_at

    def test_a_site_administrator_may_refer_to_anything(self) -> None:
        assert keys.check_typed_key("env:HOME", any_reference=True) == "env:HOME"

    @pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_KEYS_FILE", "DATABASE_URL"])
    def test_but_not_to_the_secrets_of_gatewatch_itself(self, name: str) -> None:
        with pytest.raises(ValueError, match="secret of Gatewatch"):
            keys.check_typed_key(f"env:{name}", any_reference=True)

    @pytest.mark.parametrize("path", ["{}/seal", "{}/../{}/seal", "{}/link"])
    def test_nor_to_a_file_of_them_by_any_path(
        self,
        path: str,
        tmp_path: Path,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """C-26: also where the folder that holds them is allowed to managers."""
        settings.KEY_REFERENCES = [f"file:{tmp_path}/"]
        (tmp_path / "seal").write_text("the-key-of-all-keys")
        (tmp_path / "link").symlink_to(tmp_path / "seal")
        monkeypatch.setenv("FIELD_KEYS_FILE", f"{tmp_path}/seal")
        typed = f"file:{path.format(tmp_path, tmp_path.name)}"

        for any_reference in (True, False):
            with pytest.raises(ValueError, match="secret of Gatewatch"):
                keys.check_typed_key(typed, any_reference=any_reference)

    @pytest.mark.django_db
    def test_a_link_that_leads_there_later_is_not_followed(
        self, tmp_path: Path, settings: Settings
    ) -> None:
        """C-26."""
        team, settings.SECRETS_FILE = make_team(), tmp_path / "secrets"
        settings.SECRETS_FILE.write_text("the-key-of-all-keys")
        keys.set_key(team, f"file:{tmp_path}/link", NOW)
        (tmp_path / "link").symlink_to(settings.SECRETS_FILE)

        with pytest.raises(keys.KeyUnavailableError, match="secret of Gatewatch"):
            keys.resolve(team)

    @pytest.mark.django_db
    def test_links_that_lead_in_a_circle_are_a_file_that_cannot_be_read(
        self, tmp_path: Path
    ) -> None:
        """C-26: and nothing else, or one team's key would stop all probes."""
        team = make_team()
        keys.set_key(team, f"file:{tmp_path}/one", NOW)
        (tmp_path / "one").symlink_to(tmp_path / "other")
        (tmp_path / "other").symlink_to(tmp_path / "one")

        with pytest.raises(keys.KeyUnavailableError, match="cannot be read"):
            keys.resolve(team)

    @pytest.mark.django_db
    @pytest.mark.parametrize("place", ["{}/pipe", "{}", "{}/long", "/dev/zero"])
    def test_what_is_no_file_is_not_waited_for_nor_read_without_end(
        self, place: str, tmp_path: Path
    ) -> None:
        """C-26: the prober itself follows references."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "long").write_text("k" * 5000)
        team = make_team()
        keys.set_key(team, f"file:{place.format(tmp_path)}", NOW)

        with pytest.raises(keys.KeyUnavailableError, match=r"no file|too long|be read"):
            keys.resolve(team)

    @pytest.mark.parametrize("typed", ["env:HOME", "file:/etc/hostname"])
    def test_the_demo_follows_none(self, typed: str, settings: Settings) -> None:
        """C-26: everybody knows its password."""
        settings.DEMO = True
        with pytest.raises(ValueError, match="demo follows no references"):
            keys.check_typed_key(typed, any_reference=True)

    def test_a_reference_is_printable(self) -> None:
        with pytest.raises(ValueError, match="not printable"):
            keys.check_key("file:/keys/\0acme")

    def test_without_a_list_no_reference_is_a_managers(
        self, settings: Settings
    ) -> None:
        settings.KEY_REFERENCES = []
        with pytest.raises(ValueError, match="allowed here: none"):
            keys.check_typed_key("env:ACME_KEY", any_reference=False)


@pytest.mark.django_db
class TestRotation:
    """C-25."""

    def test_all_keys_get_the_first_seal_and_the_old_one_may_go(
        self, settings: Settings
    ) -> None:
        acme, globex = make_team(), make_team()
        keys.set_key(acme, KEY, NOW)
        keys.set_key(globex, "env:GLOBEX_KEY", NOW)
        new = Fernet.generate_key().decode()
        settings.FIELD_KEYS = [new, *settings.FIELD_KEYS]

        out = io.StringIO()
        call_command("rotate_keys", stdout=out)
        settings.FIELD_KEYS = [new]

        acme, globex = Team.objects.order_by("pk")
        key = keys.resolve(acme)
        assert key is not None
        assert key.reveal() == KEY
        assert keys.hint(globex) == "env:GLOBEX_KEY"
        assert "2 keys are sealed" in out.getvalue()
        assert AuditEntry.objects.get().action == "keys_rotated"

    def test_a_key_that_nobody_can_read_is_named_and_left_alone(
        self, settings: Settings
    ) -> None:
        team = make_team(team_id="acme")
        keys.set_key(team, KEY, NOW)
        before = team.key_sealed
        settings.FIELD_KEYS = [Fernet.generate_key().decode()]

        with pytest.raises(CommandError, match=r"1 key cannot be read.*acme"):
            call_command("rotate_keys", stdout=io.StringIO())

        team.refresh_from_db()
        assert team.key_sealed == before
