"""How long a log-in lasts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

_BEGAN, _SEEN = "began_at", "seen_at"
# How exactly the last act of a person is known: a write for each click is not worth it.
_SEEN_EVERY = timedelta(minutes=5)


def begin(session: SessionBase, now: datetime) -> None:
    """Count the session's life from now on."""
    session[_BEGAN] = session[_SEEN] = now.timestamp()


def sessions_end(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """End a session after its longest life, or when nobody has acted for too long.

    A page that renews itself is nobody's act: an open tab does not stay logged in.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            now = timezone.now()
            if _is_over(request.session, now):
                logout(request)
            elif request.headers.get("HX-Request") != "true":
                _note_act(request.session, now)
        return get_response(request)

    return middleware


def _is_over(session: SessionBase, now: datetime) -> bool:
    began, seen = _moment(session, _BEGAN), _moment(session, _SEEN)
    longest = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    idle = timedelta(seconds=settings.SESSION_IDLE_S)
    return bool((began and now - began > longest) or (seen and now - seen > idle))


def _note_act(session: SessionBase, now: datetime) -> None:
    seen = _moment(session, _SEEN)
    if seen is None:
        # It began before sessions were counted.
        begin(session, now)
    elif now - seen >= _SEEN_EVERY:
        session[_SEEN] = now.timestamp()


def _moment(session: SessionBase, name: str) -> datetime | None:
    told = session.get(name)
    return None if told is None else datetime.fromtimestamp(told, UTC)
