"""System checks: what an installation must have before it may be trusted."""

import stat
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.db import DatabaseError, connection
from django.utils import timezone

from dashboard.alerts.channels import is_readable
from dashboard.alerts.models import Channel
from dashboard.database import (
    missing_file,
    missing_migrations,
    newer_migrations,
    newer_sentence,
    sentence_of,
)
from dashboard.probes.claims import LEASE_MARGIN
from dashboard.probes.models import Heartbeat
from dashboard.teams.keys import UNREADABLE, hint
from dashboard.teams.models import Team

Apps = Sequence[AppConfig] | None
Found = list[CheckMessage]

# Whoever lets it look more seldom than this has switched it off.
_WATCHDOG_RESTS = timedelta(hours=1)
_KEY_COMMAND = (
    'python -c "from cryptography.fernet import Fernet; '
    'print(Fernet.generate_key().decode())"'
)


@register(Tags.security)
def secrets_given(app_configs: Apps, **_: object) -> Found:
    """E001, E002: in production both secrets are given, and well-formed everywhere."""
    found: Found = []
    if not settings.SECRETS_GIVEN:
        found.append(
            Error(
                "SECRET_KEY is not set, and production (PostgreSQL or an https "
                "PUBLIC_URL) needs it.",
                hint="Set SECRET_KEY or SECRET_KEY_FILE to 50 random characters.",
                id="dashboard.E001",
            )
        )
    if not settings.FIELD_KEYS:
        found.append(
            Error(
                "FIELD_KEYS is not set, and production (PostgreSQL or an https "
                "PUBLIC_URL) needs it to keep virtual keys.",
                hint=f"Set FIELD_KEYS or FIELD_KEYS_FILE to the output of {_KEY_COMMAND}",
                id="dashboard.E002",
            )
        )
    for number, key in enumerate(settings.FIELD_KEYS, 1):
        if not _is_fernet_key(key):
            found.append(
                Error(
                    f"FIELD_KEYS: key {number} is not a Fernet key.",
                    hint=f"Each is the output of {_KEY_COMMAND}",
                    id="dashboard.E002",
                )
            )
    return found


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register(Tags.security)
def demo_is_no_production(app_configs: Apps, **_: object) -> Found:
    """E006: the demo's log-in is known to everybody, and its warnings are silent."""
    if not (settings.DEMO and settings.PRODUCTION):
        return []
    return [
        Error(
            "GATEWATCH_DEMO is set, and this is production (PostgreSQL or an https "
            "PUBLIC_URL).",
            hint="Unset it: only manage.py demo sets it, for itself.",
            id="dashboard.E006",
        )
    ]


@register()
def budgets_nest(app_configs: Apps, **_: object) -> Found:
    """E003: a job ends by itself before django-q2 kills it, and is killed before retried.

    django-q2's kill is its weakest part: it can lose the record, or wedge the cluster.
    """
    longest_s = max(
        settings.TICK_S + settings.PROBE_DEADLINE_S,
        settings.DEEP_S + settings.DEEP_DEADLINE_S + LEASE_MARGIN.total_seconds(),
    )
    budgets = {
        "PROBE_DEADLINE_S": settings.PROBE_DEADLINE_S,
        "TICK_S": settings.TICK_S,
        "the longest job": longest_s,
        "Q_CLUSTER's timeout": settings.Q_CLUSTER["timeout"],
        "Q_CLUSTER's retry": settings.Q_CLUSTER["retry"],
    }
    if all(shorter < longer for shorter, longer in pairwise(budgets.values())):
        return []
    told = " < ".join(f"{name} {value:g}" for name, value in budgets.items())
    return [Error(f"The time budgets do not nest: {told}.", id="dashboard.E003")]


@register()
def levels_nest(app_configs: Apps, **_: object) -> Found:
    """W007: what is kept longer is coarser, so that no page has a hole in the middle."""
    names = {name: f"RETENTION_{name.upper()}_DAYS" for name in ("raw", "hour", "day")}
    days = settings.RETENTION_DAYS
    return [
        Warning(
            f"{names[coarse]} ({days[coarse]}) is less than {names[fine]} "
            f"({days[fine]}): charts of that time end earlier than the results.",
            hint=f"Keep both for as long, or the {coarse}s for longer.",
            id="dashboard.W007",
        )
        for fine, coarse in (("raw", "hour"), ("hour", "day"))
        if days[coarse] < days[fine]
    ]


@register(Tags.security, deploy=True)
def mail_set_up(app_configs: Apps, **_: object) -> Found:
    """W001: somebody can be told."""
    if settings.EMAIL_CONFIGURED:
        return []
    return [
        Warning(
            "EMAIL_URL is not set: alarms wait in the outbox and nobody is told.",
            hint="Set EMAIL_URL, as submission://USER:PASSWORD@HOST:587.",
            id="dashboard.W001",
        )
    ]


@register(Tags.security, deploy=True)
def somebody_watches_it(app_configs: Apps, **_: object) -> Found:
    """W005: somebody is told when Gatewatch itself stands still."""
    if settings.DEMO or settings.PING_URL or _watchdog_looks():
        return []
    return [
        Warning(
            "Nobody watches Gatewatch itself: when the prober stops, these pages say so, "
            "and nobody is mailed.",
            hint="Let a timer run manage.py watchdog each minute, or set GATEWATCH_PING_URL "
            "to a dead man's switch outside.",
            id="dashboard.W005",
        )
    ]


def _watchdog_looks() -> bool:
    """Say whether a watchdog has looked lately, on whichever machine."""
    if missing_file():
        return False
    since = timezone.now() - _WATCHDOG_RESTS
    try:
        return Heartbeat.objects.filter(name="watchdog", beat_at__gte=since).exists()
    except DatabaseError:
        # Nobody knows; that it is away is told by others.
        return True


@register(Tags.database, deploy=True)
def database_is_ours(app_configs: Apps, **_: object) -> Found:
    """E004, E005, W006: the database answers, and has this version's tables.

    Asked without `--database` as well: who deploys wants to know.
    """
    if missing_file():
        # `up` makes it, and says whatever keeps it from that.
        return []
    try:
        newer, missing = newer_migrations(connection), missing_migrations(connection)
    except DatabaseError as error:
        told = sentence_of(error) or f"The database cannot be used ({error})."
        return [Error(told, id="dashboard.E004")]
    if newer:
        hint = (
            "Start with the newer version, or go back to the back-up taken before it."
        )
        return [Error(newer_sentence(newer), hint=hint, id="dashboard.E005")]
    if missing:
        told = f"The database lacks {len(missing)} migration(s) of this version."
        hint = "manage.py up makes them at its start; take a back-up before."
        return [Warning(told, hint=hint, id="dashboard.W006")]
    return []


@register(Tags.security)
def database_is_private(app_configs: Apps, **_: object) -> Found:
    """W002: nobody else on the machine may read the embedded database."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "django.db.backends.sqlite3":
        return []
    file = Path(str(database["NAME"]))
    open_to_others = [
        f"{path} has mode {mode:04o}"
        for path in (file.parent, file)
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077
    ]
    # A folder that nobody else may enter protects what lies in it.
    if not open_to_others or not open_to_others[0].startswith(f"{file.parent} "):
        return []
    return [
        Warning(
            f"Others on this machine may reach the database: {'; '.join(open_to_others)}.",
            hint=f"Run chmod 700 {file.parent}, and chmod 600 on the files in it.",
            id="dashboard.W002",
        )
    ]


@register(Tags.security)
def proxy_is_trusted(app_configs: Apps, **_: object) -> Found:
    """W004: what a proxy says of https is believed, since `up` itself speaks http."""
    is_https = settings.PUBLIC_URL.startswith("https://")
    if not is_https or settings.SECURE_PROXY_SSL_HEADER:
        return []
    return [
        Warning(
            "PUBLIC_URL is https, but TRUST_PROXY is not set: every page leads back to "
            "itself for ever.",
            hint="Let the proxy set X-Forwarded-Proto, and set TRUST_PROXY=1.",
            id="dashboard.W004",
        )
    ]


@register(Tags.database)
def keys_readable(
    app_configs: Apps, databases: Sequence[str] | None = None, **_: object
) -> Found:
    """W003: FIELD_KEYS can read the stored virtual keys, and what channels hold."""
    if not databases:
        return []
    try:
        teams = list(Team.objects.exclude(key_sealed="").select_related("gateway"))
        channels = list(Channel.objects.all())
    except DatabaseError:
        # Before the first migration there is nothing to read.
        return []
    lost: dict[str, list[Team] | list[Channel]] = {
        "The virtual keys of {} team(s)": [t for t in teams if hint(t) == UNREADABLE],
        "The addresses or secrets of {} channel(s)": [
            channel for channel in channels if not is_readable(channel)
        ],
    }
    made = "" if settings.PRODUCTION else f" ({settings.SECRETS_FILE} keeps them here)"
    return [
        Warning(
            f"{what.format(len(rows))} ({_some(rows)}) cannot be read with the present "
            "FIELD_KEYS.",
            hint=(
                "Start every process with the same FIELD_KEYS, the former key behind the "
                f"new one{made}. Where it is lost, set them again."
            ),
            id="dashboard.W003",
        )
        for what, rows in lost.items()
        if rows
    ]


def _some(rows: Sequence[object]) -> str:
    return ", ".join(map(str, rows[:3])) + ("…" if len(rows) > 3 else "")
