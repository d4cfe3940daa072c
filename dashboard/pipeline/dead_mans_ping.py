"""Tell an outside watcher after each good cycle that we live; silence is its alarm."""

import logging
import threading
from datetime import datetime, timedelta

from django.conf import settings

from dashboard.pipeline import posting
from dashboard.probes.heartbeats import take_turn

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)


def ping_when_due(now: datetime) -> threading.Thread | None:
    """Ask PING_URL, at most once a minute; in a thread, which the prober never waits for.

    A ping that fails is not tried again: the next cycle's tells the same.
    """
    if not settings.PING_URL or not take_turn("ping", now, EVERY):
        return None
    thread = threading.Thread(target=_ping, daemon=True, name="ping")
    thread.start()
    return thread


def _ping() -> None:
    answer = posting.ping(settings.PING_URL)
    if not answer.taken:
        # Neither the address nor its path: whoever knows it could play us alive.
        logger.warning("ping.not_taken", extra={"error": answer.error})
