"""Read the settings that come from the environment, each with one clear error."""

import os
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet


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


def number(name: str, default: int, *, least: int = 1) -> int:
    value = text(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        raise EnvError(f"{name}={value!r} is not a whole number of at least {least}.")
    return int(value)


def stored_secrets(path: Path) -> dict[str, str]:
    """Return the secrets of a small installation, made on its first start.

    The file (mode 0600) is written whole before it gets its name, so that two
    processes starting at once agree on one.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
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
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
