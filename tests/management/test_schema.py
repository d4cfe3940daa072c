"""Who may change the database's tables, and when."""

import threading

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from dashboard.management import stack
from dashboard.management.edge import UsageError
from dashboard.management.schema import alone


@pytest.mark.postgresql
@pytest.mark.django_db
def test_two_starts_prepare_the_database_one_after_the_other() -> None:
    waits, began, order = threading.Event(), threading.Event(), []

    def second() -> None:
        with alone(lambda _: waits.set()):
            order.append("second")
            began.set()

    thread = threading.Thread(target=second)
    with alone(order.append):
        thread.start()
        assert waits.wait(10)
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

    with pytest.raises(UsageError, match=r"newer version .* has probes\.0999_future\."):
        stack.prepare(list[str]().append)
