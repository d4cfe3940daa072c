"""A team's key in a file: a reference to where it is, never the key itself."""

import os
import re
from datetime import datetime

from apiclient.redact import check_virtual_key
from dashboard.management.config.changes import Changes
from dashboard.teams.keys import hint, read_key_file, reference, set_key
from dashboard.teams.models import Team

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load_key(team: Team, text: str, what: str, changes: Changes, now: datetime) -> None:
    """Store the reference `text` as the team's key.

    A reference that leads nowhere at the moment never replaces a stored key. Raises
    ValueError, without any key in its text.
    """
    before = hint(team)
    if text == reference(team):
        return
    kind, _, name = text.partition(":")
    if kind not in {"env", "file"} or not name:
        raise ValueError(
            "write env:NAME or file:/path; the key itself does not belong in the file"
        )
    if kind == "env" and not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an environment variable")
    key = _looked_up(kind, name)
    if key is not None:
        try:
            check_virtual_key(key)
        except ValueError as error:
            raise ValueError(f"{text}: {error}") from None
    elif team.has_key:
        changes.note(f"{what}: {text} is not set here; the stored key stays")
        return
    else:
        changes.note(
            f"{what}: {text} is not set here; manage.py up needs it, or the team's "
            "balance and job probes fail"
        )
    set_key(team, text, now)
    changes.changed(what, "key", before, text)


def placeholder(team: Team) -> str:
    """Return what stands in an exported file for the team's key."""
    name = re.sub(r"[^A-Z0-9]+", "_", f"{team.gateway.name}_{team.team_id}".upper())
    return reference(team) or f"env:GATEWATCH_KEY_{name.strip('_')}"


def _looked_up(kind: str, name: str) -> str | None:
    """Return what the reference leads to now, None when it leads nowhere."""
    if kind == "env":
        return os.environ.get(name) or None
    try:
        return read_key_file(name) or None
    except ValueError:
        return None
