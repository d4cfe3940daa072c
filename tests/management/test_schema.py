"""Who may change the database's tables, and when."""

import threading
from functools import partial

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from dashboard.management import schema, stack
from dashboard.management.edge import UsageError

LIMITS = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
NEWER = r"newer version of Gatewatch .* has probes\.0999_future\."
SHORT = {"options": " ".join(f"-c {limit}=1000" for limit in LIMITS)}


@pytest.mark.postgresql
@pytest.mark.django_db
def test_two_starts_prepare_the_database_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the server's limits: a migration of much data takes its time."""
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", SHORT)
    waits, began, order = threading.Event(), threading.Event(), []

    def second() -> None:
        with schema.alone(lambda _: waits.set()):
            order.append("second")
            began.set()

    thread = threading.Thread(target=second)
    with schema.alone(order.append):
        thread.start()
        assert waits.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1.2)")
        assert not began.is_set()
        order.append("first")
    thread.join(10)

    assert order == ["first", "second"]


@pytest.mark.django_db
def test_a_database_of_a_newer_version_is_refused() -> None:
    recorder = MigrationRecorder(connection)
    # What is no longer installed, or never was, is none of our business.
    recorder.record_applied("somebody_elses", "0001_initial")
    stack.prepare(list[str]().append)

    recorder.record_applied("probes", "0999_future")

    for begin in (partial(stack.prepare, list[str]().append), migrate):
        with pytest.raises(UsageError, match=NEWER):
            begin()


@pytest.mark.django_db
def test_what_is_newer_is_named() -> None:
    """Where Django was put back, Gatewatch's own version is the right one."""
    MigrationRecorder(connection).record_applied("auth", "0999_future")

    with pytest.raises(
        UsageError, match=r"of django than is installed here: it has auth"
    ):
        schema.refuse_newer()


def migrate() -> None:
    call_command("migrate", verbosity=0)
