"""What goes around every page: who asks from where, headers, the time zone."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DatabaseError, IntegrityError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    QueryDict,
    StreamingHttpResponse,
    UnreadablePostError,
)
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers

from dashboard.teams import audit
from dashboard.teams.models import AuditAction
from dashboard.web import zones
from dashboard.web.access import Denied, Visitor, is_site_admin
from dashboard.web.audited import address_of

logger = logging.getLogger(__name__)

_YEAR_S = 365 * 24 * 3600
# PostgreSQL's name for two that wait for each other: it gives one of them up.
_DEADLOCK = "40P01"


def head_alone(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer a HEAD with the head alone (RFC 9110, 9.3.2).

    The web server would cut the body off too, and log a warning each time.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.method == "HEAD":
            if isinstance(response, StreamingHttpResponse):
                response.streaming_content = []
            elif isinstance(response, HttpResponse):
                response.headers.setdefault(
                    "Content-Length", str(len(response.content))
                )
                response.content = b""
        return response

    return middleware


def never_stored(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Keep every answer of a view out of caches, the browser's own too.

    Static files never come this far: WhiteNoise answers them.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, no_store=True)
        patch_vary_headers(response, ["HX-Request"])
        return response

    return middleware


def in_chosen_zone(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Show times in the zone that the address names, or named last in this browser."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        asked = request.GET.get(zones.COOKIE)
        zone = zones.zone_of(asked, request.COOKIES.get(zones.COOKIE))
        with timezone.override(zone):
            response = get_response(request)
        # What a cache keeps for everybody must not set anybody's zone.
        is_shared = "public" in response.get("Cache-Control", "")
        if asked == zone.key and not is_shared:
            response.set_cookie(
                zones.COOKIE,
                zone.key,
                max_age=_YEAR_S,
                secure=request.is_secure(),
                httponly=True,
                samesite="Lax",
            )
        return response

    return middleware


def real_address(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Believe the trusted proxy, and nobody else, where a request came from.

    The last name in X-Forwarded-For is the one that the proxy itself wrote; all before
    it are the visitor's own words.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if settings.TRUST_PROXY:
            last = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
            with suppress(ValueError):
                request.META["REMOTE_ADDR"] = str(ip_address(last))
        return get_response(request)

    return middleware


def no_nul(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse a request that holds a NUL: nobody types it, and PostgreSQL takes none.

    A cookie may hold one in octal, and the session's is looked up in the database.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        told = [request.path, *request.COOKIES.values()]
        try:
            told += [*_values(request.GET), *_values(request.POST)]
        except UnreadablePostError:
            # The visitor stopped in the middle of it: no fault of ours.
            return HttpResponse(status=HTTPStatus.REQUEST_TIMEOUT)
        except TypeError:
            # A part of it names one parameter whole and in pieces, which Python compares.
            raise BadRequest("a form that cannot be read") from None
        if any("\0" in text for text in told):
            raise SuspiciousOperation("a NUL in the request")
        return get_response(request)

    return middleware


def _values(fields: QueryDict) -> Iterator[str]:
    for name, texts in fields.lists():
        yield name
        yield from texts


class DenialsNoted:
    """Note in the audit log who asked for what is not his."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if isinstance(exception, Denied):
            audit.note_refusal(
                AuditAction.DENIED,
                str(exception),
                now=timezone.now(),
                actor=request.user.get_username(),
                address=address_of(request),
            )


class ActsBounded:
    """Refuse what somebody does after a thousand acts within an hour, but to log out.

    To log in is one of them, and refused where it is asked for. Each leaves a line in the
    audit log for a year, and nobody is to fill the disk with them. Site administrators do
    as they like.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: object
    ) -> HttpResponse | None:
        match = request.resolver_match
        if request.method != "POST" or (match and match.view_name == "logout"):
            return None
        return too_much(request, request.user)


def too_much(request: HttpRequest, user: Visitor) -> HttpResponse | None:
    """Return what to answer to who has done a thousand things; None to all others."""
    name = user.get_username()
    if not name or is_site_admin(user):
        return None
    if not audit.has_done_much(name, timezone.now()):
        return None
    return render(request, "429.html", status=HTTPStatus.TOO_MANY_REQUESTS)


class ConflictsTold:
    """Tell who was the later of two that the other changed the same at that moment.

    What a form is about may be deleted, or made, between the look at it and the write;
    then the database takes nothing of it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        if not _is_conflict(exception):
            return None
        logger.warning("web.conflict", exc_info=exception)
        # Read to its end, so that no page tells what was done before it was given up.
        list(messages.get_messages(request))
        untold: dict[str, Any] = {"messages": []}
        return render(request, "409.html", untold, status=HTTPStatus.CONFLICT)


def _is_conflict(error: Exception) -> bool:
    # Django's own error, of none of the kinds that a database has: the row is gone.
    is_gone = type(error) is DatabaseError
    waits_in_a_circle = getattr(error.__cause__, "sqlstate", "") == _DEADLOCK
    return is_gone or waits_in_a_circle or isinstance(error, IntegrityError)
