"""The range of time that was chosen last, so that the next page shows it, too."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dashboard.web import exports
from dashboard.web.live import is_renewal
from dashboard.web.ranges import PARAMETERS, PRESETS

COOKIE = "range"
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def remembering_range(view: View[P]) -> View[P]:
    """Keep the preset that an address names, and send one that names none to the last.

    A redirection, so that the address still says all, and two tabs do not mix. A free
    range is of one question and is not kept.
    """

    @wraps(view)
    def shown(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        last = request.COOKIES.get(COOKIE, "")
        if last in PRESETS and _names_none(request):
            query = request.GET.copy()
            query["range"] = last
            return redirect(f"{request.path}?{query.urlencode()}")
        response = view(request, *args, **kwargs)
        key = request.GET.get("range", "")
        if key in PRESETS and not is_renewal(request):
            # As long as the browser is open: next week begins as always.
            response.set_cookie(
                *(COOKIE, key),
                secure=request.is_secure(),
                httponly=True,
                samesite="Lax",
            )
        return response

    return shown


def _names_none(request: HttpRequest) -> bool:
    named = any(request.GET.get(name) for name in PARAMETERS)
    return not (named or is_renewal(request) or exports.wanted(request))
