"""A team's key in a file: a reference to where it is, never the key itself."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from itertools import count

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
        if kind == "env":
            changes.note("manage.py up reads env: keys itself: set them there, too")
    elif team.has_key:
        changes.note(f"{what}: {text} is not set here; the stored key stays")
        return
    else:
        changes.note(
            f"{what}: {text} is not set here; manage.py up needs it, or the team's "
            "balance and job probes fail"
        )
    changes.changed(what, "key", before, text)
    set_key(team, text, now)


def placeholders(teams: Iterable[Team]) -> dict[int, str]:
    """Return what stands in an exported file for the key of each team that has one.

    No two teams share a name that was made up here, nor has one what a file of another
    day calls another's: what somebody sets under it would be sent for both, and so to
    another gateway's host.
    """
    keyed = [team for team in teams if team.has_key]
    found = {team.pk: reference(team) for team in keyed}
    taken = set(found.values())
    for team in keyed:
        if not found[team.pk]:
            found[team.pk] = next(name for name in _names(team) if name not in taken)
            taken.add(found[team.pk])
    return found


def _names(team: Team) -> Iterator[str]:
    """Yield what a team's reference may be called, the plainest first."""
    told = f"{team.gateway.name}_{team.team_id}".upper()
    plain = re.sub(r"[^A-Z0-9]+", "_", told).strip("_")
    # Many names are as plain: this tells them apart, whichever of them have keys today.
    exact = sha256(f"{team.gateway.name}\n{team.team_id}".encode()).hexdigest()[:16]
    name = "_".join(filter(None, ["env:GATEWATCH_KEY", plain, exact.upper()]))
    yield name
    yield from (f"{name}_{number}" for number in count(2))


def _looked_up(kind: str, name: str) -> str | None:
    """Return what the reference leads to now, None when it leads nowhere."""
    if kind == "env":
        return os.environ.get(name) or None
    try:
        return read_key_file(name) or None
    except ValueError:
        return None
