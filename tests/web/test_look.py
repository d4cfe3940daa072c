"""What a visitor chooses for himself: the theme, the time zone; and the search."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.factories import NOW, make_gateway, make_incident, make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_the_theme_of_the_cookie_is_there_from_the_first_byte(
    admin_page: Client,
) -> None:
    admin_page.cookies["theme"] = "dark"

    assert '<html lang="en" data-theme="dark"' in page(admin_page, "/teams/")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_theme_of_the_cookie_is_the_admins_too(
    admin_page: Client, theme: str
) -> None:
    admin_page.cookies["theme"] = theme

    assert f'href="/static/css/admin-{theme}.css"' in page(admin_page, "/admin/")


def test_each_file_that_a_template_names_is_there_under_its_whole_name() -> None:
    """In production a name has a hash, which nothing can be put together with."""
    templates = Path(settings.BASE_DIR, "templates").rglob("*.html")
    named = {
        name
        for template in templates
        for name in re.findall(r"{% static\b ?(.*?) ?%}", template.read_text())
    }

    assert "'css/admin-dark.css'" in named
    assert [name for name in named if finders.find(name.strip("'")) is None] == []


@pytest.mark.parametrize("cookie", ["", "blue", '"><script>'])
def test_any_other_theme_follows_the_system(admin_page: Client, cookie: str) -> None:
    admin_page.cookies["theme"] = cookie

    assert '<html lang="en" data-theme=""' in page(admin_page, "/teams/")


def test_times_are_utc_until_a_zone_is_chosen_and_then_remembered(
    admin_page: Client,
) -> None:
    address = f"/probes/{make_probe(last_at=NOW).pk}/"

    assert 'title="2 Mar 2026, 12:00:00 UTC"' in page(admin_page, address)
    assert "13:00:00 CET" in page(admin_page, f"{address}?zone=Europe/Berlin")
    assert "13:00:00 CET" in page(admin_page, address)
    assert "Times are Europe/Berlin" in page(admin_page, address)
    assert "12:00:00 UTC" in page(admin_page, f"{address}?zone=UTC")
    assert "12:00:00 UTC" in page(admin_page, address)


@pytest.mark.parametrize(
    "zone", ["", "Mars/Base", "../etc/passwd", "Europe", "localtime"]
)
def test_what_is_no_zone_is_utc_and_not_remembered(
    admin_page: Client, zone: str
) -> None:
    assert "Times are UTC" in page(admin_page, f"/teams/?zone={zone}")
    assert "zone" not in admin_page.cookies


class TestSearch:
    def test_it_finds_teams_probes_and_incidents(self, admin_page: Client) -> None:
        team = make_team(make_gateway(name="Production"), team_id="acme", name="Acme")
        probe = make_probe(team=team)
        incident = make_incident(
            gateway=team.gateway,
            summary="Acme: half of everything fails",
            opened_at=NOW - timedelta(hours=1),
        )

        text = page(admin_page, "/search/?q=ACME")

        assert f"/teams/{team.pk}/" in text
        assert f"/probes/{probe.pk}/" in text
        assert f"/incidents/{incident.pk}/" in text
        assert "3 things found" in text

    def test_all_words_have_to_match(self, admin_page: Client) -> None:
        probe = make_probe(team=make_team(team_id="acme"))
        other = make_probe(team=make_team(team_id="globex"))

        text = page(admin_page, "/search/?q=acme+status")

        assert f"/probes/{probe.pk}/" in text
        assert f"/probes/{other.pk}/" not in text

    @pytest.mark.parametrize("asked", ["", "%25", "<script>", "x" * 300])
    def test_odd_words_find_nothing(self, admin_page: Client, asked: str) -> None:
        make_probe()

        text = page(admin_page, f"/search/?q={asked}")

        assert "/probes/" not in text
        assert "<script>x" not in text

    def test_strangers_find_nothing(self, admin: User) -> None:
        make_probe(team=make_team(team_id="acme"))

        text = page(person("charlie").client, "/search/?q=acme")

        assert "Nothing found: try a shorter part" in text

    @pytest.mark.parametrize("number", [3, 30])
    def test_it_asks_a_constant_number_of_queries(
        self,
        admin_page: Client,
        number: int,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for _ in range(number):
            make_probe(team=make_team(name="acme"))

        with django_assert_max_num_queries(7):
            page(admin_page, "/search/?q=acme")


def test_what_is_not_found_leads_on_for_who_is_logged_in_and_tells_nothing() -> None:
    alice = person("alice", make_team()).client
    hidden = make_team()

    absent, denied = alice.get("/teams/999999/"), alice.get(f"/teams/{hidden.pk}/")

    for response in (absent, denied):
        text = response.content.decode()
        assert response.status_code == 404
        assert 'aria-label="Look for it"' in text
        assert 'href="/incidents/"' in text
    assert hidden.team_id not in denied.content.decode()
    plain = Client().get("/nope/").content.decode()
    assert "Not found" in plain
    assert "<nav" not in plain
