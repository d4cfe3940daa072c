"""A-81: somebody is told that Gatewatch itself stands still, and once."""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from dashboard.alerts.models import Notification, Recipient
from dashboard.alerts.watchdog import look, troubles
from dashboard.management.edge import UsageError
from dashboard.pipeline.dead_mans_ping import ping_when_due
from dashboard.probes.models import Heartbeat
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.alerts.mailbox import Mailbox
from tests.alerts.test_two_deliverers import away_when
from tests.apiclient.rogue import request_of, rogue

pytestmark = pytest.mark.django_db


@pytest.fixture
def memory(tmp_path: Path) -> list[Path]:
    (tmp_path / "shm").mkdir()
    return [tmp_path / "var" / "watchdog.json", tmp_path / "shm" / "spare.json"]


def beat(name: str, at: datetime) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": at})


def test_a_prober_that_stands_still_is_mailed_once_and_its_end_once(
    mailbox: Mailbox, memory: list[Path]
) -> None:
    make_recipient("ops@example.org")
    beat("tick-0", after(0))
    assert look(after(60), memory).troubles == ()

    found = look(after(600), memory)
    assert found.troubles == ("The prober has stood still for 10 min.",)
    assert (found.told, look(after(660), memory).told) == (1, 0)

    beat("tick-0", after(700))
    assert (look(after(720), memory).told, look(after(780), memory).told) == (1, 0)
    subjects = [str(message["Subject"]) for message in mailbox.messages]
    assert subjects == [
        "[Gatewatch] CRITICAL Gatewatch itself: The prober has stood still for 10 min.",
        "[Gatewatch] RESOLVED Gatewatch itself: it works again after 2 min",
    ]
    assert "start manage.py up again" in str(mailbox.messages[0].get_body(("plain",)))
    assert not Notification.objects.exists()


def test_a_second_outage_is_mailed_again(mailbox: Mailbox, memory: list[Path]) -> None:
    make_recipient()
    for start in (0, 5000):
        beat("tick-0", after(start))
        look(after(start + 600), memory)
        beat("tick-0", after(start + 700))
        look(after(start + 720), memory)

    assert len(mailbox.messages) == 4


def test_two_spellings_of_an_address_are_one_mailbox(
    mailbox: Mailbox, memory: list[Path]
) -> None:
    for email in ("ops@example.org", "Ops@example.org"):
        make_recipient(email)
    beat("tick-0", after(0))

    assert (look(after(600), memory).told, look(after(660), memory).told) == (1, 0)

    Recipient.objects.filter(email="ops@example.org").delete()
    Recipient.objects.update(email="OPS@example.org")
    assert look(after(720), memory).told == 0


def test_who_could_not_be_reached_is_tried_at_the_next_look(
    mailbox: Mailbox, memory: list[Path]
) -> None:
    make_recipient()
    beat("tick-0", after(0))
    mailbox.rcpt = "450 Later"
    assert look(after(600), memory).refused == ("450 Later",)
    mailbox.rcpt = "250 OK"

    assert look(after(660), memory).told == 1


def test_a_database_that_is_away_is_told_to_those_known_before(
    mailbox: Mailbox, memory: list[Path]
) -> None:
    make_recipient("known@example.org")
    beat("tick-0", after(0))
    look(after(10), memory)

    def away(*_: object) -> object:
        return away_when("")(None, 'UPDATE "" ')

    with connection.execute_wrapper(away):
        found = look(after(60), memory)

    assert found.troubles == ("The database is away (OperationalError).",)
    assert [message["To"] for message in mailbox.messages] == ["known@example.org"]


def test_deliveries_that_stand_still_are_a_trouble(settings: Settings) -> None:
    beat("tick-0", after(86_400))
    beat("deliver", after(86_000))
    assert troubles(after(86_400)) == [
        "Nothing has been delivered for 6 min: the outbox stands still."
    ]

    beat("deliver", after(86_400))
    make_recipient()
    tell(make_incident())
    assert troubles(after(86_400)) == ["1 mail is overdue by more than an hour."]
    settings.EMAIL_CONFIGURED = False
    assert troubles(after(86_400)) == []


def test_a_memory_that_was_damaged_is_begun_anew(
    mailbox: Mailbox, memory: list[Path]
) -> None:
    make_recipient()
    memory[0].parent.mkdir()
    memory[0].write_text("{")

    assert look(after(0), memory).told == 1


def test_a_full_disk_is_told_once_and_so_is_its_end(
    mailbox: Mailbox,
    memory: list[Path],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A-81: what cannot be kept on the disk is kept in the machine's memory."""
    monkeypatch.setitem(
        settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3"
    )
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", memory[0].parent / "x")
    usage = shutil.disk_usage(memory[1].parent)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    make_recipient()
    beat("tick-0", after(0))
    look(after(60), memory)
    broken = memory[0].parent
    shutil.rmtree(broken)
    # Nothing can be written there, by root either.
    broken.touch()

    found = [look(after(seconds), memory) for seconds in (600, 660, 720)]

    assert [each.told for each in found] == [1, 0, 0]
    assert [each.forgets for each in found] == [""] * 3
    assert found[0].troubles[1:] == (f"The disk of {broken} is full.",)

    broken.unlink()
    beat("tick-0", after(780))
    assert [look(after(at), memory).told for at in (780, 840)] == [1, 0]
    assert (memory[0].exists(), memory[1].exists()) == (True, False)


def test_a_memory_that_somebody_else_put_there_is_not_believed(
    mailbox: Mailbox, memory: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_recipient()
    memory[1].write_text('{"told": ["ops@example.org"]}')
    assert look(after(0), memory).told == 0
    memory[0].unlink()
    memory[1].write_text('{"told": ["ops@example.org"]}')
    nobody_here = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: nobody_here)

    assert look(after(60), memory).told == 1


def test_a_lock_that_somebody_else_put_there_holds_nobody_up(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be held for ever; that it is there is said at each look."""
    settings.VAR_DIR = tmp_path
    theirs = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: theirs)

    with pytest.raises(UsageError, match=r"watchdog\.lock is somebody else's"):
        call_command("watchdog")


def test_what_can_be_kept_nowhere_is_said(mailbox: Mailbox, memory: list[Path]) -> None:
    for path in memory:
        path.mkdir(parents=True)

    assert "Is a directory" in look(after(0), memory).forgets


def test_without_a_database_that_ever_was_nothing_is_looked_at(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR = tmp_path / "var"
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(database, "NAME", settings.VAR_DIR / "gatewatch.sqlite3")

    with pytest.raises(UsageError, match="with the environment of the service"):
        call_command("watchdog")

    assert not settings.VAR_DIR.exists()


def test_the_command_ends_with_1_while_something_is_wrong(
    mailbox: Mailbox, settings: Settings, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path
    settings.WATCHDOG_TO = ["boss@example.org"]

    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            call_command("watchdog")
        assert ended.value.code == 1

    assert [message["To"] for message in mailbox.messages] == ["boss@example.org"]


def test_the_ping_goes_out_once_a_minute(settings: Settings) -> None:
    """A-81: the dead man's switch; its silence is the alarm."""
    asked = []

    def watcher(connection: object) -> None:
        asked.append(request_of(connection).split(b" ")[1])  # type: ignore[arg-type]  # a socket
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]  # a socket

    with rogue(watcher) as server:
        settings.PING_URL = f"{server.url}/ping/secret"
        for seconds in (0, 15, 59, 60):
            thread = ping_when_due(after(seconds))
            if thread:
                thread.join(5)

    assert asked == [b"/ping/secret"] * 2


def test_a_ping_that_fails_tells_no_address(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PING_URL = "http://127.0.0.1:9/ping/secret"
    thread = ping_when_due(after(0))
    assert thread is not None
    thread.join(5)

    assert "ping.not_taken" in caplog.text
    assert "secret" not in f"{caplog.text}{[vars(each) for each in caplog.records]}"


def test_no_ping_where_none_is_wanted() -> None:
    assert ping_when_due(after(0) + timedelta(days=1)) is None
