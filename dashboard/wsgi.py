"""The web application for WSGI servers."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

_UTF_8 = {"utf-8", "utf8"}


def only_utf_8(application: "WSGIApplication") -> "WSGIApplication":
    """Refuse requests in other encodings, before Django decodes anything by them.

    No browser sends one. Django tries whatever Python knows, also what makes no text of
    the bytes, or a text that no database takes.
    """

    def guarded(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if _is_utf_8(environ.get("CONTENT_TYPE", "")):
            return application(environ, start_response)
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [b"Send text as UTF-8.\n"]

    return guarded


def _is_utf_8(content_type: str) -> bool:
    try:
        _, told = parse_header_parameters(content_type)
    except (LookupError, ValueError):
        return False
    return told.get("charset", "utf-8").lower() in _UTF_8


application = only_utf_8(get_wsgi_application())
