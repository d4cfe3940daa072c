"""What goes with every page: headers, banners, error pages without details."""

import re
from io import BytesIO, StringIO
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.defaults import server_error
from pytest_django import Settings

from dashboard import wsgi
from tests.factories import make_probe, make_team

pytestmark = pytest.mark.django_db


def addresses() -> list[str]:
    team = make_team()
    return [
        *map(reverse, ("overview", "teams", "incidents", "mail", "start", "password")),
        reverse("probe", args=[make_probe(team=team).pk]),
        reverse("team", args=[team.pk]),
        "/no-such-page/",
        "/admin/",
    ]


def test_every_page_is_kept_out_of_caches_frames_and_foreign_hands(
    admin_page: Client,
) -> None:
    """C-13, C-14."""
    for address in addresses():
        headers = admin_page.get(address).headers
        policy = headers["Content-Security-Policy"]
        assert "no-store" in headers["Cache-Control"], address
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_pages_hold_no_inline_script_or_style(admin_page: Client) -> None:
    for address in addresses()[:-1]:
        text = admin_page.get(address).content.decode()
        inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", text)
        assert all('type="application/json"' in tag for tag in inline), address
        assert not re.search(r"<style|\sstyle=", text), address


def test_error_pages_tell_no_details(admin_page: Client, rf: RequestFactory) -> None:
    broken = server_error(rf.get("/")).content.decode()
    missing = admin_page.get("/no-such-page/").content.decode()

    assert "Something broke" in broken
    assert "There is nothing here" in missing
    assert "no-such-page" not in missing


def test_banners_tell_what_is_wrong_with_the_site_itself(
    admin_page: Client, settings: Settings
) -> None:
    settings.DEMO, settings.EMAIL_CONFIGURED = True, False
    settings.ALLOWED_HOSTS = ["monitor.example"]

    text = admin_page.get("/teams/", headers={"host": "monitor.example"})

    shown = text.content.decode()
    assert "the gateway is a stand-in" in shown
    assert "Mail is not set up" in shown
    assert "Plain http" in shown


def test_a_laptop_needs_no_banner_about_plain_http(admin_page: Client) -> None:
    text = admin_page.get("/teams/", headers={"host": "127.0.0.1:8000"})

    assert "Plain http" not in text.content.decode()


def test_a_foreign_host_name_is_a_bad_request(admin_page: Client) -> None:
    response = admin_page.get("/", headers={"host": "evil.example"})

    assert response.status_code == 400
    assert "Bad request" in response.content.decode()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("text/plain; charset=UTF-8", "302"),
        ("text/plain; charset=utf-7", "400"),
        ("text/plain; charset=rot13", "400"),
        ("text/plain; charset=raw_unicode_escape", "400"),
        ("text/plain; charset*=x''utf-8", "400"),
        ("text/plain; a*=utf-8''x; a*0*=utf-8''y", "400"),
    ],
)
def test_a_text_in_another_encoding_is_a_bad_request(
    kind: str, status: str, settings: Settings
) -> None:
    """It would be decoded to what no database takes, or by what makes no text of it."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    environ: dict[str, str] = {"QUERY_STRING": r"q=%5Cud800", "CONTENT_TYPE": kind}
    setup_testing_defaults(environ)
    out = BytesIO()

    SimpleHandler(BytesIO(), out, StringIO(), environ).run(wsgi.application)

    assert out.getvalue().split()[1].decode() == status


@pytest.mark.parametrize("path", ["/log-in/", "/healthz"])
def test_what_asks_for_the_head_gets_the_head_alone(
    path: str, settings: Settings
) -> None:
    """RFC 9110, 9.3.2; the web server logs a warning where a body comes with it."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]

    def answer(method: str) -> tuple[bytes, bytes]:
        environ: dict[str, str] = {"REQUEST_METHOD": method, "PATH_INFO": path}
        setup_testing_defaults(environ)
        out = BytesIO()
        SimpleHandler(BytesIO(), out, StringIO(), environ).run(wsgi.application)
        head, _, body = out.getvalue().partition(b"\r\n\r\n")
        return head, body

    head, body = answer("HEAD")
    _, whole = answer("GET")

    assert head.split()[1] in {b"200", b"503"}
    assert body == b""
    assert f"Content-Length: {len(whole)}".encode() in head


@pytest.mark.parametrize(("over", "status"), [(0, "403"), (1, "413")])
def test_a_stranger_cannot_fill_the_disk_with_files(
    over: int, status: str, settings: Settings
) -> None:
    """C-20: nobody uploads a file here, and Django would keep one of any size."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    head = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    size = settings.DATA_UPLOAD_MAX_MEMORY_SIZE + over
    body = BytesIO(head.ljust(size, b"x"))
    environ: dict[str, str] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/log-in/",
        "CONTENT_TYPE": "multipart/form-data; boundary=B",
        "CONTENT_LENGTH": str(size),
    }
    setup_testing_defaults(environ)
    out = BytesIO()

    SimpleHandler(body, out, StringIO(), environ).run(wsgi.application)

    assert out.getvalue().split()[1].decode() == status
    assert (body.tell() == 0) is (status == "413")


def test_a_form_that_python_cannot_read_is_a_bad_request(client: Client) -> None:
    """C-20: one parameter whole and in pieces makes the parser of mails stumble."""
    head = "Content-Disposition: form-data; name*=utf-8''a; name*0*=utf-8''b"

    response = client.post(
        "/log-in/",
        f"--B\r\n{head}\r\n\r\nx\r\n--B--\r\n",
        content_type="multipart/form-data; boundary=B",
    )

    assert response.status_code == 400


class Stalled(BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise BlockingIOError


def test_who_stops_in_the_middle_of_a_form_makes_no_error_page(
    settings: Settings,
) -> None:
    """C-20: an error page is a fault of ours, with its traceback in the log."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    environ: dict[str, str] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/log-in/",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": "100",
    }
    setup_testing_defaults(environ)
    out = BytesIO()

    SimpleHandler(Stalled(), out, StringIO(), environ).run(wsgi.application)

    assert out.getvalue().split()[1] == b"408"
