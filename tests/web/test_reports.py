"""C-19: an error tells the visitor nothing, and its report no value at all."""

import sys

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from pytest_django import Settings

# In pieces: a report shows the lines of the source.
KEY = "-".join(["sk", "CAN" + "ARY", "1234567890"])


def report(request: HttpRequest) -> str:
    def view(held: str) -> None:
        typed = request.POST["key"]
        raise KeyError(held is typed)

    try:
        view(KEY)
    except KeyError:
        return str(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())
    raise AssertionError


@pytest.mark.parametrize("debug", [False, True])
def test_a_report_stars_what_was_typed_and_what_functions_held(
    debug: bool,  # noqa: FBT001
    rf: RequestFactory,
    settings: Settings,
) -> None:
    settings.DEBUG = debug
    settings.FIELD_KEYS = [KEY]
    settings.PING_URL = f"https://watcher.example/{KEY}"
    request = rf.post("/start/", {"key": KEY, "name": KEY[::-1]})

    text = report(request)

    assert KEY not in text
    assert KEY[::-1] not in text
    assert "held" in text


@pytest.mark.django_db
def test_debug_is_off_unless_somebody_asks_for_it(settings: Settings) -> None:
    assert settings.DEBUG is False
