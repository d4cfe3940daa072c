"""An installation behind https, as its settings and its check see it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

pytestmark = pytest.mark.slow

ASK = (
    "from dashboard import settings as s;"
    "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE,"
    " s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS,"
    " s.SECURE_SSL_REDIRECT, s.DEBUG, s.ALLOWED_HOSTS[-1])"
)


def run(
    folder: Path, *command: str, **given: str
) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    environment = {
        **kept,
        "GATEWATCH_VAR": str(folder),
        "PUBLIC_URL": "https://gatewatch.example",
        "TRUST_PROXY": "1",
        **given,
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_cookies_belong_to_the_host_and_to_https(tmp_path: Path) -> None:
    """C-10, C-14."""
    told = run(tmp_path, "-c", ASK)

    assert told.stdout.split() == [
        *("__Host-sessionid", "__Host-csrftoken", "True", "True"),
        *("31536000", "True", "True", "False", "gatewatch.example"),
    ]


def test_nothing_starts_without_its_secrets(tmp_path: Path) -> None:
    """C-04: there is no default to fall back to, and none is made."""
    refused = run(tmp_path, "manage.py", "check", "--deploy")

    assert refused.returncode != 0
    assert "SECRET_KEY" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_check_deploy_has_nothing_to_say(tmp_path: Path) -> None:
    """C-04."""
    told = run(
        tmp_path,
        *("manage.py", "check", "--deploy", "--fail-level", "WARNING"),
        SECRET_KEY="kept-apart-" * 6 + "0123456789",
        FIELD_KEYS=Fernet.generate_key().decode(),
        EMAIL_URL="submission://me:x@mail.example:587",
        GATEWATCH_PING_URL="https://switch.example/1",
    )

    assert told.returncode == 0, told.stderr
    assert "no issues" in told.stdout
