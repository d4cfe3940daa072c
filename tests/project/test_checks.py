"""The system checks, each by the installation that it is for."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import ERROR
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from dashboard import checks
from dashboard.alerts import watchdog
from dashboard.alerts.channels import seal_into
from dashboard.alerts.models import Channel, ChannelKind
from dashboard.teams.keys import set_key
from tests.factories import NOW, make_team


def ids(found: checks.Found) -> list[str | None]:
    return [message.id for message in found]


def test_missing_secrets_are_errors(settings: Settings) -> None:
    """C-04."""
    settings.SECRETS_GIVEN, settings.FIELD_KEYS = False, []

    found = checks.secrets_given(None)

    assert ids(found) == ["dashboard.E001", "dashboard.E002"]


def test_a_malformed_field_key_is_named_by_its_place(settings: Settings) -> None:
    settings.SECRETS_GIVEN = True
    settings.FIELD_KEYS = [Fernet.generate_key().decode(), "nonsense-secret"]

    [found] = checks.secrets_given(None)

    assert found.msg == "FIELD_KEYS: key 2 is not a Fernet key."
    assert "nonsense-secret" not in str(found)


@pytest.mark.parametrize(("demo", "production"), [(1, 0), (0, 1), (1, 1)])
def test_the_demo_is_never_production(
    demo: int, production: int, settings: Settings
) -> None:
    settings.DEMO, settings.PRODUCTION = bool(demo), bool(production)

    found = ids(checks.demo_is_no_production(None))

    assert found == (["dashboard.E006"] if demo and production else [])


def test_the_time_budgets_nest() -> None:
    assert checks.budgets_nest(None) == []


def test_levels_that_do_not_nest_are_told(settings: Settings) -> None:
    assert checks.levels_nest(None) == []

    settings.RETENTION_DAYS = {**settings.RETENTION_DAYS, "hour": 29}

    [found] = checks.levels_nest(None)
    assert found.id == "dashboard.W007"
    assert found.msg.startswith("RETENTION_HOUR_DAYS (29) is less than RETENTION_RAW")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PROBE_DEADLINE_S", 60), ("TICK_S", 160), ("DEEP_DEADLINE_S", 200)],
)
def test_a_budget_too_long_is_an_error(
    name: str, value: int, settings: Settings
) -> None:
    setattr(settings, name, value)

    assert ids(checks.budgets_nest(None)) == ["dashboard.E003"]


def test_https_without_a_trusted_proxy_is_told(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://watch.example"
    assert ids(checks.proxy_is_trusted(None)) == ["dashboard.W004"]

    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert ids(checks.proxy_is_trusted(None)) == []


def test_mail_that_is_not_set_up_is_told(settings: Settings) -> None:
    settings.EMAIL_CONFIGURED = False

    assert ids(checks.mail_set_up(None)) == ["dashboard.W001"]


@pytest.mark.django_db
def test_that_nobody_watches_the_watcher_is_told(
    settings: Settings, tmp_path: Path
) -> None:
    """A-81: a watchdog, of any machine, looked lately, or a switch outside is told."""
    assert ids(checks.somebody_watches_it(None)) == ["dashboard.W005"]

    watchdog.look(timezone.now(), [tmp_path / "watchdog.json"])
    assert checks.somebody_watches_it(None) == []
    watchdog.look(timezone.now() - timedelta(minutes=61), [tmp_path / "watchdog.json"])
    assert ids(checks.somebody_watches_it(None)) == ["dashboard.W005"]

    settings.PING_URL = "https://switch.example/1"
    assert checks.somebody_watches_it(None) == []


@pytest.mark.django_db
def test_deploying_asks_whether_the_database_is_this_versions() -> None:
    recorder = MigrationRecorder(connection)
    assert checks.database_is_ours(None) == []

    last = MigrationLoader(connection).graph.leaf_nodes("rollups")[0]
    recorder.record_unapplied(*last)
    [found] = checks.database_is_ours(None)
    assert (found.id, found.msg) == (
        "dashboard.W006",
        "The database lacks 1 migration(s) of this version.",
    )

    recorder.record_applied("probes", "0999_future")
    [found] = checks.database_is_ours(None)
    assert (found.id, found.level) == ("dashboard.E005", ERROR)
    assert "probes.0999_future" in found.msg


@pytest.mark.django_db
def test_deploying_says_that_the_database_is_away() -> None:
    def away(*_: object) -> object:
        raise OperationalError("the disk I/O error; server closed the connection")

    with connection.execute_wrapper(away):
        [found] = checks.database_is_ours(None)

    assert (found.id, found.level) == ("dashboard.E004", ERROR)
    assert "cannot be used" in found.msg


def test_deploying_makes_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    file = tmp_path / "gatewatch.sqlite3"
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(database, "NAME", file)

    assert checks.database_is_ours(None) == []
    assert not file.exists()


def test_a_database_that_others_may_read_is_told(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gatewatch.sqlite3"
    file.touch(mode=0o644)
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(database, "NAME", file)

    tmp_path.chmod(0o755)
    assert ids(checks.database_is_private(None)) == ["dashboard.W002"]

    tmp_path.chmod(0o700)
    assert checks.database_is_private(None) == []


@pytest.mark.django_db
def test_a_lost_field_key_is_explained(settings: Settings) -> None:
    set_key(make_team(team_id="acme"), "sk-some-virtual-key", NOW)
    channel = Channel(name="a program", kind=ChannelKind.WEBHOOK)
    seal_into(channel, "https://hooks.example/", "a long enough secret")
    channel.save()
    assert checks.keys_readable(None, databases=["default"]) == []

    settings.FIELD_KEYS, settings.PRODUCTION = [Fernet.generate_key().decode()], True

    found, of_channel = checks.keys_readable(None, databases=["default"])
    assert found.id == of_channel.id == "dashboard.W003"
    assert "acme" in found.msg
    assert "1 channel(s) (a program)" in of_channel.msg
    assert "secrets" not in str(found.hint)

    settings.PRODUCTION = False
    assert "secrets keeps them here" in str(checks.keys_readable(None, ["default"])[0])
