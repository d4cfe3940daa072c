"""Headers for pages that hold somebody's data."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers


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
