"""The table of periodic work for django-q2: install it, start it at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django_q.models import Failure, OrmQ, Schedule
from django_q.tasks import async_task


@dataclass(frozen=True, slots=True)
class Work:
    """One row: the function, and every how many minutes it is started.

    The tick and the deliveries queue their own successors; for them the schedule is the
    safety net.
    """

    name: str
    func: str
    minutes: int
    at_start: bool = True


TABLE: Sequence[Work] = (
    Work("gatewatch tick", "dashboard.pipeline.tick", 1),
    Work("gatewatch deliver", "dashboard.pipeline.deliver", 1),
    Work("gatewatch deep", "dashboard.pipeline.deep", 1),
    # Not at the start: the first tick tells which teams are active.
    Work(
        "gatewatch statements",
        "dashboard.pipeline.read_statements",
        5,
        at_start=False,
    ),
    Work(
        "gatewatch house-keeping",
        "dashboard.pipeline.keep_house",
        24 * 60,
        at_start=False,
    ),
)


def install(now: datetime) -> None:
    """Make the schedules what the table says; what is right already stays as it is."""
    for work in TABLE:
        wanted = {
            "func": work.func,
            "schedule_type": Schedule.MINUTES,
            "minutes": work.minutes,
            "repeats": -1,
        }
        Schedule.objects.update_or_create(
            name=work.name,
            defaults=wanted,
            create_defaults={**wanted, "next_run": now + timedelta(minutes=1)},
        )
    Schedule.objects.filter(name__startswith="gatewatch ").exclude(
        name__in=[work.name for work in TABLE]
    ).delete()


def start_now() -> None:
    """Queue the first runs, so that nobody waits for the scheduler's first pass.

    What a cluster that was killed left in the queue is dropped: every job works from
    the database's rows, and a stale copy would only come on top.
    """
    OrmQ.objects.all().delete()
    for work in TABLE:
        if work.at_start:
            async_task(work.func)


@dataclass(frozen=True, slots=True)
class QueueState:
    """How many jobs wait or run, and how many have failed."""

    depth: int
    failed: int


def queue_state() -> QueueState:
    return QueueState(OrmQ.objects.count(), Failure.objects.count())
