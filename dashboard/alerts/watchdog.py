"""Say by a mail of its own that Gatewatch itself stands still, once for each outage.

For a timer: it starts, looks and ends. It asks neither the prober nor the outbox to work,
and keeps what it knows in a file, since the database may be what is away.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from dashboard.alerts.delivery import Fate, send
from dashboard.alerts.mail import Note, compose_note
from dashboard.alerts.models import Delivery, Notification, Recipient
from dashboard.alerts.recipients import distinct, first_administrator
from dashboard.lib.spans import duration
from dashboard.probes.heartbeats import beat
from dashboard.probes.models import Heartbeat
from dashboard.probes.queries import SILENT_AFTER, last_tick

_AWAY = (DatabaseError, InterfaceError)
# The deliveries beat every few seconds; a mail server that hangs takes a minute or two.
_DELIVERIES_SILENT = timedelta(minutes=5)
# A mail waits for an hour at most between two attempts.
_STUCK = timedelta(minutes=90)
# With less than this SQLite cannot write its journal.
_FULL_BYTES = 1_000_000
_NEXT_STEP = (
    "Look at the service (systemctl status gatewatch, or manage.py status) and start "
    "manage.py up again. Until then nothing is watched, or nobody is told."
)


@dataclass(slots=True)
class Memory:
    """What the last look left: since when it is bad, who was told, whom to tell."""

    since: str = ""
    told: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found and did.

    `refused` is what the mail server said, `forgets` why nothing could be remembered.
    """

    troubles: tuple[str, ...]
    told: int
    refused: tuple[str, ...]
    forgets: str


def memory_files() -> list[Path]:
    """Return where it may keep what it knows, the first that can be written.

    The second is in the machine's memory: a disk that is full, or read-only since it
    broke, is one of the outages that are told once.
    """
    var = Path(settings.VAR_DIR)
    shared = Path("/dev/shm")  # noqa: S108 (see _read)
    spare = shared if shared.is_dir() else Path(tempfile.gettempdir())
    mark = sha256(str(var.absolute()).encode()).hexdigest()[:12]
    return [var / "watchdog.json", spare / f"gatewatch-{os.geteuid()}-{mark}.json"]


def look(now: datetime, files: Sequence[Path]) -> Look:
    """Look once, and mail what is new: a trouble, or its end to those who know of it."""
    memory = _read(files)
    found = troubles(now)
    with suppress(*_AWAY):
        # The pages, perhaps on another machine, say when nobody looks.
        beat("watchdog", now)
    memory.recipients = _recipients() or memory.recipients
    if found:
        memory.since = memory.since or now.isoformat()
        told = {each.lower() for each in memory.told}
        untold = [each for each in memory.recipients if each.lower() not in told]
        note = _trouble(found, datetime.fromisoformat(memory.since))
        reached, refused = _send(note, untold)
        memory.told += reached
    else:
        since = datetime.fromisoformat(memory.since) if memory.since else now
        note = _recovery(since, now)
        reached, refused = _send(note, memory.told)
        memory.told = [each for each in memory.told if each not in reached]
        if not memory.told:
            memory.since = ""
    forgets = _write(files, memory)
    return Look(tuple(found), len(reached), tuple(refused), forgets)


def troubles(now: datetime) -> list[str]:
    """Return what is wrong with Gatewatch itself, a sentence each; empty for nothing."""
    try:
        found = [text for text in (_prober(now), _deliveries(now), _stuck(now)) if text]
    except _AWAY as error:
        found = [f"The database is away ({type(error).__name__})."]
    return [*found, *_full_disk()] if found else []


def _full_disk() -> list[str]:
    """Return why nothing works, where it is that the embedded database has no room."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "django.db.backends.sqlite3":
        return []
    folder = Path(str(database["NAME"])).parent
    try:
        is_full = shutil.disk_usage(folder).free < _FULL_BYTES
    except OSError:
        return []
    return [f"The disk of {folder} is full."] if is_full else []


def _prober(now: datetime) -> str:
    age_s = last_tick(now)
    if age_s is None:
        return "The prober has never run."
    if age_s <= SILENT_AFTER.total_seconds():
        return ""
    return f"The prober has stood still for {duration(age_s)}."


def _deliveries(now: datetime) -> str:
    beat = Heartbeat.objects.filter(name="deliver").first()
    if beat is None or beat.beat_at is None or now - beat.beat_at <= _DELIVERIES_SILENT:
        return ""
    silent = duration((now - beat.beat_at).total_seconds())
    return f"Nothing has been delivered for {silent}: the outbox stands still."


def _stuck(now: datetime) -> str:
    if not settings.EMAIL_CONFIGURED:
        return ""
    late = Notification.objects.filter(
        state=Delivery.QUEUED, due_at__lte=now - _STUCK
    ).count()
    mails = "1 mail is" if late == 1 else f"{late} mails are"
    return f"{mails} overdue by more than an hour." if late else ""


def _recipients() -> list[str]:
    """Return who is told: WATCHDOG_TO, else those who are told of everything."""
    if settings.WATCHDOG_TO:
        return distinct(settings.WATCHDOG_TO)
    try:
        wide = Recipient.objects.filter(gateway=None, team=None).order_by("email")
        return distinct(wide.values_list("email", flat=True)) or first_administrator()
    except _AWAY:
        return []


def _trouble(found: Collection[str], since: datetime) -> Note:
    return Note(
        subject=f"[Gatewatch] CRITICAL Gatewatch itself: {' '.join(found)}",
        title="Gatewatch itself does not work",
        texts=(*found, f"Noticed {since:%Y-%m-%d %H:%M} UTC."),
        next_step=_NEXT_STEP,
        is_bad=True,
        why="This mail came directly from manage.py watchdog, once for this outage.",
    )


def _recovery(since: datetime, now: datetime) -> Note:
    lasted = duration((now - since).total_seconds())
    return Note(
        subject=f"[Gatewatch] RESOLVED Gatewatch itself: it works again after {lasted}",
        title="Gatewatch works again",
        texts=(
            f"It did not from {since:%Y-%m-%d %H:%M} UTC on, for {lasted}.",
            "The gap is shown as a gap: what happened meanwhile was not seen.",
        ),
        why="You get this mail because manage.py watchdog told you of the outage.",
    )


def _send(note: Note, to: Collection[str]) -> tuple[list[str], list[str]]:
    """Mail each of them; return who was reached, and what the server said else."""
    if not settings.EMAIL_CONFIGURED:
        return [], ["mail is not set up: set EMAIL_URL"] if to else []
    attempts = {address: send(compose_note(note, address)) for address in to}
    reached = [to for to, attempt in attempts.items() if attempt.fate is Fate.SENT]
    refused = [each.error for each in attempts.values() if each.fate is not Fate.SENT]
    return reached, refused


def _read(files: Sequence[Path]) -> Memory:
    """Return what the last look left: a later place is only there while it is newer."""
    for path in reversed(files):
        try:
            # Anybody may put a file into the machine's memory.
            if path.lstat().st_uid == os.geteuid():
                return Memory(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            # Lost or damaged: at worst somebody is told a second time.
            continue
    return Memory()


def _write(files: Sequence[Path], memory: Memory) -> str:
    """Keep it in the first place that takes it, there alone; return why none did."""
    why = ""
    for number, path in enumerate(files):
        try:
            _replace(path, json.dumps(asdict(memory)))
        except OSError as error:
            why = why or str(error)
            continue
        for stale in files[number + 1 :]:
            with suppress(OSError):
                stale.unlink()
        return ""
    return why


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name that nobody can guess, and its file is nobody else's.
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=".watchdog-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(new).replace(path)
    except OSError:
        Path(new).unlink()
        raise
