"""Junk in every field of every address breaks nothing: C-20, C-21."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.web.test_access import PLACES, Site, site, whole_site

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
__all__ = ["site", "whole_site"]

NAMES = (
    *("text", "q", "team", "kind", "hours", "reason", "to", "pk", "teams", "key"),
    *(
        "name",
        "base_url",
        "team_id",
        "email",
        "user",
        "role",
        "page",
        "model",
        "format",
    ),
    *("daily_credit_cap", "until", "from", "range", "state", "class", "probe", "days"),
    *("action", "organization", "warn_at", "tz", "username", "password", "address"),
)
JUNK = {
    "huge number": "9" * 30,
    "negative": "-1",
    "long": "x" * 6000,
    "not a number": "nan",
    "markup": "'\"><script>alert(1)</script>",
    "hidden": "\u202e\ufeff\ud7ff{{7*7}}%s%(x)d",
    "list": "[]",
}
PARTS = ("details", "key", "probes", "member", "drop_member", "recipient", "junk")
# Its answer tells of the prober, which does not run here.
HEALTH = {"healthz_prober"}


@pytest.mark.parametrize("name", sorted(set(PLACES) - HEALTH - {"logout"}))
def test_junk_is_answered(name: str, site: Site) -> None:
    root = Client(raise_request_exception=False)
    root.cookies.update(site.clients["root"].cookies)
    address = site.address(name)

    for junk in JUNK.values():
        fields = dict.fromkeys(NAMES, junk)
        assert root.get(address, fields).status_code < 500, junk
        for part in PARTS if name == "team_settings" else PARTS[:1]:
            sent = {**fields, "part": part}
            assert root.post(address, sent).status_code < 500, (junk, part)


@pytest.mark.parametrize("where", ["path", "query", "body", "cookie"])
def test_a_nul_is_a_bad_request(where: str, admin_page: Client) -> None:
    """PostgreSQL takes none, wherever a view would have stored or looked for it."""
    address = "/silences/%00" if where == "path" else "/silences/"
    if where == "query":
        address += "?q=a%00b"
    sent = {"reason": "a\0b"} if where == "body" else {}
    if where == "cookie":
        admin_page.cookies.load(r'sessionid="abcdefgh\000ijkl"')

    response = admin_page.post(address, sent) if sent else admin_page.get(address)

    assert response.status_code == 400


@pytest.mark.parametrize("number", [0, 2**63 - 1, 2**63, 10**25])
def test_a_number_that_is_nobodys_is_not_found(number: int, admin_page: Client) -> None:
    for folder in ("teams", "probes", "incidents", "gateways"):
        for end in ("/", "/settings/", "/import/", "/rules/credits/"):
            address = f"/{folder}/{number}{end}"
            assert admin_page.get(address).status_code == 404, address


@pytest.mark.parametrize("door", ["/log-in/", "/admin/login/"])
@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example", "/\\evil"]
)
def test_the_log_in_leads_to_no_other_site(
    door: str, target: str, admin: User, client: Client
) -> None:
    admin.set_password("correct horse battery")
    admin.save()
    page = client.get(door, {"next": target}, follow=True)
    address = page.request["PATH_INFO"] + "?" + page.request["QUERY_STRING"]

    said = {"username": "root", "password": "correct horse battery", "next": target}
    response = client.post(address, said)

    assert response.status_code == 302
    assert "evil" not in response["Location"]
