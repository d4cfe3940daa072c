"""Status pages and badges that anybody may read, where an administrator opened them.

Each is drawn once a minute at most, whoever asks how often.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from zlib import crc32

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from dashboard.web.badges import badge as drawn
from dashboard.web.models import PublicPage
from dashboard.web.pages import public as page

_FRESH_S = 60


@login_not_required
@require_safe
def public(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(PublicPage, slug=slug, is_open=True)

    def draw(now: datetime) -> str:
        told = page.public(shown, now)
        # Without the request: nothing of who asks gets into what all are shown.
        return render_to_string("web/public.html", {"page": told, "slug": slug})

    return _answer(request, f"page-{_version(shown)}", "text/html", draw)


@login_not_required
@require_safe
def badge(request: HttpRequest, slug: str) -> HttpResponse:
    shown = get_object_or_404(PublicPage, slug=slug, is_open=True, has_badge=True)

    def draw(now: datetime) -> str:
        tone, word = page.state(shown, now)
        return drawn(shown.title, word, tone)

    return _answer(request, f"badge-{_version(shown)}", "image/svg+xml", draw)


def _version(shown: PublicPage) -> str:
    """Return what changes when the page is given another name or subject."""
    told = repr((shown.title, shown.gateway_id, shown.team_id))
    return f"{shown.pk}-{crc32(told.encode())}"


def _answer(
    request: HttpRequest, name: str, kind: str, draw: Callable[[datetime], str]
) -> HttpResponse:
    """Return what was drawn in this minute; 304 where the asker has it already."""
    # The middleware looked who asks; the answer does not depend on it, nor vary by it.
    request.session.accessed = False
    now = timezone.now()
    key = f"{name}-{int(now.timestamp()) // _FRESH_S}"
    text = cache.get(key)
    if text is None:
        # In no visitor's own zone: all are shown the same.
        with timezone.override(UTC):
            text = draw(now)
        cache.set(key, text, _FRESH_S)
    response: HttpResponse = HttpResponse(text, content_type=f"{kind}; charset=utf-8")
    etag = quote_etag(key)
    response["ETag"] = etag
    # With a session comes now and then its cookie anew, which no shared cache may keep.
    is_known = settings.SESSION_COOKIE_NAME in request.COOKIES
    kept_by = {"private" if is_known else "public": True}
    patch_cache_control(response, **kept_by, max_age=_FRESH_S)
    conditional = get_conditional_response(request, etag=etag, response=response)
    return conditional if isinstance(conditional, HttpResponse) else response
