"""Virtual keys at rest: sealed with Fernet, or kept as a reference to somewhere else.

What is stored is always sealed, a reference too, together with the address that it was
given for: it is sent to no other. Only a probe about to run resolves it.
"""

import os
import stat
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from apiclient.redact import Secret, check_virtual_key
from dashboard.teams.models import Gateway, Team

# Gatewatch's own secrets are no key for anybody.
_OWN = frozenset(
    f"{name}{end}"
    for name in (
        *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "FIELD_KEYS"),
        *("DATABASE_URL", "PGPASSWORD", "EMAIL_URL", "GATEWATCH_PING_URL"),
    )
    for end in ("", "_FILE")
)

# A key has 500 characters at most, and a file a few more.
_MOST_BYTES = 4096
_KEPT = ("key_sealed", "key_set_at", "keyed_since")

UNREADABLE = "unreadable: set it again"


class KeyUnavailableError(Exception):
    """The team's key cannot be used now; the text says why and never holds it."""


def seal(text: str) -> str:
    """Return `text` encrypted as virtual keys are, to be kept in the database."""
    return _box().encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """Return what was sealed; raise KeyUnavailableError when FIELD_KEYS cannot read it."""
    try:
        return _box().decrypt(token.encode()).decode()
    except (InvalidToken, ValueError):
        raise KeyUnavailableError(
            "it cannot be decrypted with FIELD_KEYS; set it again"
        ) from None


def seal_key(text: str, base_url: str) -> str:
    """Return a key or a reference sealed with the only address that it is good for."""
    return seal(f"{text}\n{base_url}")


def unseal_key(token: str) -> tuple[str, str]:
    """Return what seal_key sealed; "" for the address of one that was sealed before."""
    text, _, base_url = unseal(token).partition("\n")
    return text, base_url


def resealed(token: str) -> str:
    """Return what was sealed, sealed with the first of FIELD_KEYS; "" stays "".

    Raises KeyUnavailableError when none of them can read it.
    """
    try:
        return _box().rotate(token.encode()).decode() if token else ""
    except InvalidToken:
        raise KeyUnavailableError(
            "it cannot be decrypted with FIELD_KEYS; set it again"
        ) from None


def set_key(team: Team, text: str, now: datetime) -> None:
    """Keep `text`, a virtual key or an env:NAME or file:/path reference, as the team's.

    Raises ValueError, without the key in its text, when it cannot be one.
    """
    text = check_key(text)
    team.key_sealed = seal_key(text, team.gateway.base_url)
    team.keyed_since = team.keyed_since or team.key_set_at or now
    team.key_set_at = now
    team.save(update_fields=_KEPT)


def check_key(text: str) -> str:
    """Return `text` when it can be kept as a key; raise ValueError, without it, if not."""
    text = text if _is_reference(text) else check_virtual_key(text)
    if text in {"env:", "file:"}:
        raise ValueError(f"the reference {text!r} names nothing; write env:NAME")
    if not text.isprintable():
        raise ValueError("the reference holds a character that is not printable")
    if settings.DEMO and _is_reference(text):
        # Whoever reaches the demo can log in, and would have it sent to himself.
        raise ValueError("the demo follows no references; type a key")
    if _is_own(text):
        raise ValueError(f"{text} is a secret of Gatewatch itself, and no team's key")
    return text


def _is_own(text: str) -> bool:
    """Say whether a reference leads to one of Gatewatch's own secrets, by any path."""
    kind, _, place = text.partition(":")
    if kind != "file":
        return text.removeprefix("env:") in _OWN
    given = [os.environ.get(name) for name in _OWN if name.endswith("_FILE")]
    files = [settings.SECRETS_FILE, *(Path(each) for each in given if each)]
    return _real(Path(place)) in {_real(each) for each in files}


def _real(path: Path) -> Path:
    """Return where all links lead; one of a circle to itself, where `resolve` raises."""
    return Path(os.path.realpath(path))


def check_typed_key(text: str, *, any_reference: bool) -> str:
    """Check what somebody typed as a key; references only where he may keep them.

    With `any_reference` (a site administrator) all are taken, else those that
    settings.KEY_REFERENCES allows: a reference sends what it names to the gateway.
    """
    if _is_reference(text) and not any_reference and not _is_allowed(text):
        allowed = ", ".join(settings.KEY_REFERENCES) or "none"
        raise ValueError(
            f"you may not refer to this (allowed here: {allowed}); type the key itself, "
            "or ask a site administrator"
        )
    return check_key(text)


def _is_allowed(reference: str) -> bool:
    kind, _, place = reference.partition(":")
    for allowed in settings.KEY_REFERENCES:
        allowed_kind, _, pattern = allowed.partition(":")
        if kind != allowed_kind or not pattern:
            continue
        if kind == "env" and fnmatchcase(place, pattern):
            return True
        # Resolved, so that neither .. nor a link leads out of the folder.
        if kind == "file" and _lies_in(Path(place), Path(pattern)):
            return True
    return False


def _lies_in(path: Path, folder: Path) -> bool:
    # By its spelling first: a look at some other place may ask another machine for it.
    plain = Path(os.path.normpath(path))
    is_below = plain.is_absolute() and plain.is_relative_to(os.path.normpath(folder))
    return is_below and _real(path).is_relative_to(_real(folder))


def clear_key(team: Team) -> None:
    team.key_sealed, team.key_set_at, team.keyed_since = "", None, None
    team.save(update_fields=_KEPT)


def take_teams(gateway: Gateway) -> None:
    """Take a gateway's teams before its address is changed.

    Who gives a team a key takes the team first, and then the gateway: else the two would
    wait in a circle.
    """
    teams = Team.objects.select_for_update(no_key=True)
    list(teams.filter(gateway=gateway).order_by("pk"))


def take_with_gateway(team: Team) -> None:
    """Take a team and then its gateway, whose address of now is where its key is sent."""
    list(Team.objects.select_for_update(no_key=True).filter(pk=team.pk))
    gateways = Gateway.objects.select_for_update(no_key=True)
    # Of one that is deleted at this moment nothing can be stored anyway.
    team.gateway = gateways.filter(pk=team.gateway_id).first() or team.gateway


def forget_keys(gateway: Gateway) -> int:
    """Forget the keys of the gateway's teams; return how many there were.

    A key belongs to the host it was given for: it must not be sent to another one.
    """
    teams = Team.objects.filter(gateway=gateway).exclude(key_sealed="")
    return teams.update(key_sealed="", key_set_at=None, keyed_since=None)


def resolve(team: Team, base_url: str = "") -> Secret | None:
    """Return the key to send to `base_url` (without one: to the team's gateway).

    None when the team has none. Raises KeyUnavailableError when it has one that cannot be
    read, or that is another address's, so that a probe is never sent without its key.
    """
    if not team.key_sealed:
        return None
    text, given_for = _stored(team)
    if given_for and given_for != (base_url or team.gateway.base_url):
        raise KeyUnavailableError(
            "it was given for another address of the gateway; set it again"
        )
    try:
        return Secret(check_virtual_key(_followed(text)))
    except ValueError as error:
        place = text if _is_reference(text) else "the stored key"
        raise KeyUnavailableError(f"{place}: {error}") from None


def hint(team: Team) -> str:
    """Return what a page may show: the reference, ••••last4, or "" without a key."""
    if not team.key_sealed:
        return ""
    try:
        text, _ = _stored(team)
    except KeyUnavailableError:
        return UNREADABLE
    return text if _is_reference(text) else f"••••{text[-4:]}"


def reference(team: Team) -> str:
    """Return the env:NAME or file:/path that the team's key is, "" when it is neither."""
    text = hint(team)
    return text if _is_reference(text) else ""


def _is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))


def _followed(text: str) -> str:
    kind, _, place = text.partition(":")
    if _is_own(text):
        # A link may lead there since it was given.
        raise ValueError("it is a secret of Gatewatch itself")
    if kind == "env":
        if not os.environ.get(place):
            raise ValueError("the environment variable is not set")
        return os.environ[place]
    if kind == "file":
        return read_key_file(place)
    return text


def read_key_file(place: str) -> str:
    """Return what a key's file holds, without the ends of lines after it.

    Raises ValueError for what is no file, as a pipe that nobody writes into or a device
    without an end: one team's key must not stop all probes.
    """
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError("it is no file")
            told = file.read(_MOST_BYTES + 1)
        if len(told) > _MOST_BYTES:
            raise ValueError("the file is too long for a key")
        return told.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError("the file cannot be read") from None


def _stored(team: Team) -> tuple[str, str]:
    try:
        return unseal_key(team.key_sealed)
    except KeyUnavailableError:
        raise KeyUnavailableError(
            "the stored key cannot be decrypted with FIELD_KEYS: start all processes "
            "again with the FIELD_KEYS that sealed it; where they are lost, set the "
            "team's key again"
        ) from None


def rotate_keys() -> tuple[int, list[Team]]:
    """Seal every stored key with the first of FIELD_KEYS.

    Return how many were sealed, and the teams whose key none of them can read.
    """
    sealed, lost = 0, []
    for team in Team.objects.exclude(key_sealed="").select_related("gateway"):
        try:
            rotated = resealed(team.key_sealed)
        except KeyUnavailableError:
            lost.append(team)
            continue
        # Only where nobody has set another key meanwhile.
        sealed += Team.objects.filter(pk=team.pk, key_sealed=team.key_sealed).update(
            key_sealed=rotated
        )
    return sealed, lost


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_KEYS])
