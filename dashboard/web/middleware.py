"""What goes around every page: headers, and the time zone that it is read in."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_cache_control, patch_vary_headers

from dashboard.web import zones

_YEAR_S = 365 * 24 * 3600


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
        if asked == zone.key:
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
