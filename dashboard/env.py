"""Read the settings that come from the environment, each with one clear error."""

import logging
import os
import re
import secrets
import tempfile
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import dj_email_url
from cryptography.fernet import Fernet

from dashboard.lib.web_addresses import is_web_address

_ADDRESS = re.compile(r"[^\s@,]+@[^\s@,]+")


class EnvError(Exception):
    """An environment variable holds something that cannot be used."""


def text(name: str, default: str = "") -> str:
    """Return the variable's text, or the content of the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EnvError(f"{name}_FILE={path!r} cannot be read: {error}.") from None
    return os.environ.get(name, default).strip()


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if not value:
        return default
    raise EnvError(f"{name}={value!r} is not a switch; write 1 or 0.")


def number(name: str, default: int, *, least: int = 1, most: int = 1000) -> int:
    """Return a whole number within bounds: what is far out would be found late."""
    value = text(name)
    if not value:
        return default
    # Not int() of whatever is there: it gives up at some thousand digits.
    is_short = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    if not (is_short and least <= int(value) <= most):
        raise EnvError(
            f"{name}={value[:40]!r} is not a whole number from {least} to {most}."
        )
    return int(value)


def listed(name: str) -> list[str]:
    """Return what is separated by commas, without the blanks around it."""
    return [each.strip() for each in text(name).split(",") if each.strip()]


def hosts(name: str) -> list[str]:
    """Return host names, as the setting ALLOWED_HOSTS of Django takes them."""
    for each in listed(name):
        if not re.fullmatch(r"\*|\.?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", each):
            raise EnvError(
                f"{name}: {each!r} is no host name; write watch.example.com, without "
                "https:// and port."
            )
    return listed(name)


def references(name: str) -> list[str]:
    """Return patterns of what a team's managers may refer to as its key."""
    for each in listed(name):
        if not re.fullmatch(r"(env|file):.+", each):
            raise EnvError(
                f"{name}: {each!r} is no reference; write env:ACME_* or file:/folder/."
            )
    return listed(name)


def sender(name: str) -> str:
    """Return an address with or without a name before it, or "" where it is unset."""
    value = text(name)
    found = [address for _, address in getaddresses([value])]
    if value and not (len(found) == 1 and _ADDRESS.fullmatch(found[0])):
        raise EnvError(
            f"{name}={value!r} is no mail address; write Gatewatch <watch@example.com>."
        )
    return value


def log_level(name: str) -> str:
    value = text(name, "INFO").upper()
    if value not in logging.getLevelNamesMapping():
        raise EnvError(
            f"{name}={value!r} is not a level; write DEBUG, INFO or WARNING."
        )
    return value


def web_address(name: str) -> str:
    """Return `scheme://host[:port]`, or "" where it is unset.

    Its text may hold a password by mistake: the message does not repeat it.
    """
    value = text(name).rstrip("/")
    try:
        parts = urlsplit(value)
        plain = f"{parts.scheme}://{parts.netloc}" == value and parts.port != 0
    except ValueError:
        raise EnvError(f"{name} has no readable host and port.") from None
    sound = parts.scheme in {"http", "https"} and parts.hostname and "@" not in value
    if value and not (plain and sound):
        raise EnvError(
            f"{name} is not a web address without path and log-in; write https://HOST."
        )
    return value


def address(name: str) -> str:
    """Return an http or https address with its path, or "" where it is unset.

    Its path is a secret as a rule: the message does not repeat it.
    """
    value = text(name)
    if value and not is_web_address(value):
        raise EnvError(f"{name} is no web address; write https://HOST/PATH.")
    return value


def addresses(name: str) -> list[str]:
    """Return mail addresses that are separated by commas."""
    for each in listed(name):
        if not _ADDRESS.fullmatch(each):
            raise EnvError(f"{name}: {each!r} is no mail address.")
    return listed(name)


def database(address: str) -> dict[str, Any]:
    """Return Django's settings for the database at `address`."""
    wrong = EnvError(
        "DATABASE_URL is not an address of PostgreSQL or SQLite; write "
        "postgres://USER:PASSWORD@HOST:5432/NAME (special characters of the password "
        "as %XX) or sqlite:////absolute/path."
    )
    try:
        found = dict(dj_database_url.parse(address, conn_health_checks=True))
    except (ValueError, dj_database_url.ParseError):
        # Not chained: the parser's message may repeat a piece of the password.
        raise wrong from None
    engine, name = found["ENGINE"], str(found["NAME"])
    if engine == "django.db.backends.sqlite3" and name not in {"", ":memory:"}:
        return found
    # An @ or / in the name is the end of a password that was not written as %XX.
    if engine == "django.db.backends.postgresql" and name and not {*"@/"} & {*name}:
        return found
    raise wrong


def mail_server(address: str) -> dict[str, Any]:
    """Return Django's EMAIL_ settings for the server at `address`."""
    wrong = EnvError(
        "EMAIL_URL is not a mail server's address; write "
        "submission://USER:PASSWORD@HOST:587 (STARTTLS), "
        "smtp://USER:PASSWORD@HOST:465?ssl=1 (TLS) or smtp://HOST:25 (plain)."
    )
    # dj-email-url hands any other scheme to a back-end that throws mails away.
    if not address.startswith(("submission://", "smtp://", "console:", "file:///")):
        raise wrong
    try:
        found = dict(dj_email_url.parse(address))
    except ValueError:
        raise wrong from None
    if address.startswith(("submission:", "smtp:")) and not urlsplit(address).hostname:
        raise wrong
    if address.startswith("file:"):
        found["EMAIL_FILE_PATH"] = urlsplit(address).path
    return found


def stored_secrets(path: Path) -> dict[str, str]:
    """Return the secrets of a small installation, made on its first start.

    The file (mode 0600) is written whole before it gets its name, so that two
    processes starting at once agree on one.
    """
    try:
        if not path.exists():
            _make_secrets(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvError(
            f"{path}, which holds this installation's secrets, cannot be used "
            f"({error}); check that GATEWATCH_VAR names a folder that you may write."
        ) from None
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


def _make_secrets(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = (
        "# Made on the first start. Keep this file with the database: without it "
        "the stored virtual keys cannot be read.\n"
        f"SECRET_KEY={secrets.token_urlsafe(50)}\n"
        f"FIELD_KEYS={Fernet.generate_key().decode()}\n"
    )
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        Path(made).unlink()
