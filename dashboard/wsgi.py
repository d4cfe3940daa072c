"""The web application for WSGI servers."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

_UTF_8 = {"utf-8", "utf8"}


def only_small_utf_8(application: "WSGIApplication") -> "WSGIApplication":
    """Refuse requests in other encodings, and large ones, before Django reads them.

    No browser sends another encoding. Django tries whatever Python knows, also what makes
    no text of the bytes, or a text that no database takes. And of a form it limits all but
    the files in it, which it would keep on disk for any stranger; nobody sends any here.
    """

    def guarded(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if not _is_utf_8(environ.get("CONTENT_TYPE", "")):
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [b"Send text as UTF-8.\n"]
        if not _is_small(environ.get("CONTENT_LENGTH", "")):
            start_response("413 Content Too Large", [("Content-Type", "text/plain")])
            return [b"Send less at once.\n"]
        return application(environ, start_response)

    return guarded


def _is_utf_8(content_type: str) -> bool:
    try:
        _, told = parse_header_parameters(content_type)
    except (LookupError, TypeError, ValueError):
        # TypeError: it names one parameter whole and in pieces, which Python compares.
        return False
    return told.get("charset", "utf-8").lower() in _UTF_8


def _is_small(content_length: str) -> bool:
    # What is no number, or none at all, Django reads as nothing.
    told = content_length.strip()
    return not told.isdecimal() or int(told) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE


application = only_small_utf_8(get_wsgi_application())
