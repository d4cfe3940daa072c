"""The one-time link that makes the first administrator of a new installation.

The token is signed, ends after a day, and is worth nothing as soon as anybody can log
in: there is nothing to store, and nothing to steal later.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.urls import reverse

VALID_FOR = timedelta(days=1)
_SALT = "dashboard.web.setup"


def setup_url(now: datetime, base_url: str = "") -> str | None:
    """Return the set-up link, or None when somebody can log in already.

    It begins with `base_url`, PUBLIC_URL without one.
    """
    if User.objects.exists():
        return None
    token = signing.dumps(int((now + VALID_FOR).timestamp()), salt=_SALT)
    base = (base_url or settings.PUBLIC_URL or "http://127.0.0.1:8000").rstrip("/")
    return base + reverse("setup", args=[token])


def is_valid(token: str, now: datetime) -> bool:
    """Say whether the token may make the first administrator now."""
    try:
        until = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return False
    return now.timestamp() < until and not User.objects.exists()
