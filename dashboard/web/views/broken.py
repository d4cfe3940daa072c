"""What is answered when Gatewatch itself fails."""

import sys
from http import HTTPStatus

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template


def broken(request: HttpRequest) -> HttpResponse:
    """Answer an error that nobody caught: 503 where the database is at fault, else 500.

    Without a context: what a page would ask may be what is broken.
    """
    # It may be away, or locked, or full, or slower than it is waited for.
    is_of_database = isinstance(sys.exc_info()[1], (OperationalError, InterfaceError))
    status = (
        HTTPStatus.SERVICE_UNAVAILABLE
        if is_of_database
        else HTTPStatus.INTERNAL_SERVER_ERROR
    )
    return HttpResponse(get_template(f"{status:d}.html").render(), status=status)
