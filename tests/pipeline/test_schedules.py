from datetime import timedelta

import pytest
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

from dashboard import schedules
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_installing_again_keeps_when_each_is_due() -> None:
    schedules.install(NOW)
    schedules.install(NOW + timedelta(hours=1))

    due = dict(Schedule.objects.values_list("func", "next_run"))
    assert due == {work.func: NOW + timedelta(minutes=1) for work in schedules.TABLE}


def test_installing_mends_what_was_changed_and_drops_what_is_gone() -> None:
    schedules.install(NOW)
    Schedule.objects.filter(name="gatewatch tick").update(minutes=60)
    Schedule.objects.create(name="gatewatch of old", func="dashboard.gone")
    Schedule.objects.create(name="somebody else's", func="theirs")

    schedules.install(NOW)

    assert Schedule.objects.get(name="gatewatch tick").minutes == 1
    names = set(Schedule.objects.values_list("name", flat=True))
    assert names == {"somebody else's", *(work.name for work in schedules.TABLE)}


def test_the_first_runs_replace_what_a_killed_cluster_left() -> None:
    async_task("dashboard.pipeline.tick")

    schedules.start_now()

    assert [row.task["func"] for row in OrmQ.objects.order_by("pk")] == [
        "dashboard.pipeline.tick",
        "dashboard.pipeline.deliver",
        "dashboard.pipeline.deep",
    ]
