"""What Gatewatch tells of itself: is it at work, what waits, what is set up badly."""

import os
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import django
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.checks.registry import registry
from django.db import connection
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard import checks
from dashboard.alerts.models import Delivery
from dashboard.alerts.queries import OutboxState, outbox_state
from dashboard.probes.heartbeats import REST_BEGAN, REST_ENDED
from dashboard.probes.models import Heartbeat
from dashboard.rollups.storage import database_bytes
from dashboard.schedules import QueueState, queue_state
from dashboard.web import words
from dashboard.web.exports import Sheet
from dashboard.web.pages.parts import Badge, Fact
from dashboard.web.prober import Prober, ProberState, prober_of
from dashboard.web.ranges import stamp
from dashboard.web.states import Tone

# The jobs, what each is for, and after how long a silence it is late.
_JOBS = {
    "tick-0": ("Prober", "runs the probes that are due", timedelta(minutes=2)),
    "deliver": ("Mail", "sends what is due in the outbox", timedelta(minutes=3)),
    "deep": ("Deep lane", "runs the paid probes", timedelta(minutes=5)),
    "statements": (
        "Statements",
        "reads transactions and usage with the teams' keys",
        timedelta(minutes=15),
    ),
}


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    does: str
    badge: Badge
    beat: SafeString
    beat_at: datetime | None


@dataclass(frozen=True, slots=True)
class Problem:
    badge: Badge
    text: str
    hint: str
    code: str


@dataclass(frozen=True, slots=True)
class Status:
    tone: Tone
    sentence: str
    jobs: list[Job]
    facts: list[Fact]
    problems: list[Problem]
    prober: Prober
    sheets: list[Sheet]


def status(now: datetime) -> Status:
    """Return how Gatewatch itself is; eight queries."""
    beats = {beat.name: beat for beat in Heartbeat.objects.all()}
    at_work = prober_of(_last_tick(beats.values(), now))
    jobs = [_job(name, beats.get(name), now) for name in _JOBS]
    problems = [_problem(message) for message in _messages()]
    tone, sentence = _verdict(at_work, jobs, problems)
    counts = _counts(now)
    facts = [*_waiting(counts), *_running(counts), *_rest(beats)]
    sheets = _sheets(counts, jobs, problems)
    return Status(tone, sentence, jobs, facts, problems, at_work, sheets)


def _last_tick(beats: Iterable[Heartbeat], now: datetime) -> float | None:
    ages_s = [
        (now - beat.beat_at).total_seconds()
        for beat in beats
        if beat.name.startswith("tick-") and beat.beat_at
    ]
    return min(ages_s, default=None)


def _job(name: str, beat: Heartbeat | None, now: datetime) -> Job:
    title, does, patience = _JOBS[name]
    at = beat.beat_at if beat else None
    if at is None:
        badge = Badge(Tone.UNKNOWN, "never ran")
    elif now - at > patience:
        badge = Badge(Tone.BAD, "silent")
    else:
        badge = Badge(Tone.OK, "at work")
    return Job(title, does, badge, words.time(at, now, "no sign of life yet"), at)


def _verdict(
    at_work: Prober, jobs: Sequence[Job], problems: Sequence[Problem]
) -> tuple[Tone, str]:
    if at_work.state is ProberState.NEVER:
        return Tone.UNKNOWN, "Nothing has run yet: start it with manage.py up."
    silent = [job.name.lower() for job in jobs if job.badge.tone is Tone.BAD]
    if silent:
        return Tone.BAD, f"Not at work: {', '.join(silent)}. Restart manage.py up."
    if problems:
        number = words.count(len(problems), "setting")
        return Tone.WARN, f"Gatewatch works; {number} should be looked at."
    return Tone.OK, "Gatewatch works."


@dataclass(frozen=True, slots=True)
class _Counts:
    """What waits, and what the process and the database take."""

    queue: QueueState
    outbox: OutboxState
    database_bytes: int
    memory_bytes: int


def _counts(now: datetime) -> _Counts:
    # Linux tells it in kB.
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = peak_kb * 1024
    return _Counts(queue_state(), outbox_state(now), database_bytes(), memory)


def _waiting(counts: _Counts) -> list[Fact]:
    queue, outbox = counts.queue, counts.outbox
    oldest = "nothing waits"
    if outbox.oldest_s is not None:
        oldest = f"the oldest waits for {words.duration(outbox.oldest_s)}"
    failed = words.count(queue.failed, "job failed", "jobs failed")
    mail = reverse("mail")
    return [
        Fact("Queue", words.count(queue.depth, "job"), failed, bool(queue.failed)),
        Fact("Outbox", words.count(outbox.depth, "mail"), oldest, url=mail),
        Fact(
            "Mails given up",
            f"{outbox.dead:,}",
            "in 30 days",
            bool(outbox.dead),
            f"{mail}?state={Delivery.DEAD}",
        ),
    ]


def _running(counts: _Counts) -> list[Fact]:
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        Fact(
            "Database",
            connection.display_name,
            f"{words.size(counts.database_bytes)} on disk",
            url=reverse("storage"),
        ),
        Fact(
            "Version", settings.VERSION, f"Django {django.__version__}, Python {python}"
        ),
        Fact(
            "Memory of this process",
            words.size(counts.memory_bytes),
            f"its most so far, process {os.getpid()}",
        ),
    ]


def _rest(beats: Mapping[str, Heartbeat]) -> list[Fact]:
    """Return the latest time in which nothing was watched."""
    ends = [beats.get(REST_BEGAN), beats.get(REST_ENDED)]
    began, ended = (each.beat_at if each else None for each in ends)
    if began is None or ended is None:
        return []
    lasted = words.duration((ended - began).total_seconds())
    until = f"{words.minute(began)} to {words.minute(ended)} {words.zone()}"
    return [Fact("Last without watching", lasted, until)]


def _sheets(
    counts: _Counts, jobs: Sequence[Job], problems: Sequence[Problem]
) -> list[Sheet]:
    """Return the same numbers unrounded; None is what never was."""
    beats = [
        (job.name, job.badge.word, stamp(job.beat_at) if job.beat_at else None)
        for job in jobs
    ]
    outbox = counts.outbox
    numbers = [
        ("jobs_waiting", counts.queue.depth),
        ("jobs_failed", counts.queue.failed),
        ("mails_waiting", outbox.depth),
        ("oldest_mail_waits_s", outbox.oldest_s),
        ("mails_given_up", outbox.dead),
        ("database", connection.display_name),
        ("database_bytes", counts.database_bytes),
        ("memory_bytes", counts.memory_bytes),
        ("version", settings.VERSION),
    ]
    found = [(each.badge.word, each.code, each.text) for each in problems]
    return [
        Sheet("jobs", [("job", "state", "last_sign_of_life"), *beats]),
        Sheet("numbers", [("name", "value"), *numbers]),
        Sheet("settings to look at", [("level", "code", "text"), *found]),
    ]


def _messages() -> list[CheckMessage]:
    """Ask our own checks, those of a deployment too; the framework's cost too much."""
    own = [
        check
        for check in registry.get_checks(include_deployment_checks=True)
        if check.__module__ == checks.__name__
        # `up` has seen to it, or these pages would not be there.
        and check is not checks.database_is_ours
    ]
    return [
        message
        for check in own
        for message in check(app_configs=None, databases=["default"])
    ]


def _problem(message: CheckMessage) -> Problem:
    is_warning = isinstance(message, CheckWarning)
    return Problem(
        badge=Badge(Tone.WARN, "warning") if is_warning else Badge(Tone.BAD, "error"),
        text=str(message.msg),
        hint=str(message.hint or ""),
        code=str(message.id),
    )
