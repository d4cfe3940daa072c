"""The page that imports teams from a gateway's list."""

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.simulator.running import running_gateway
from dashboard.teams.models import AuditEntry, Team
from tests.factories import (
    make_gateway,
    make_team,
)

pytestmark = pytest.mark.django_db
LIST = "/admin/teams/team/"


class TestImport:
    def test_it_shows_what_would_change_and_then_changes_it(
        self, admin_page: Client
    ) -> None:
        with running_gateway(["acme", "globex", "initech"]) as running:
            gateway = make_gateway(base_url=running.base_url, allow_private=True)
            make_team(gateway, team_id="acme")
            address = reverse("import_teams", args=[gateway.pk])

            shown = admin_page.get(address).content.decode()
            assert "2 new, 1 watched already" in shown
            assert Team.objects.count() == 1
            sent = {"teams": ["globex", "forged", "acme"]}
            after = admin_page.post(address, sent, follow=True).content.decode()

        assert "1 team watched from now on" in after
        keyless = f"{LIST}?has_key=no&amp;gateway__id__exact={gateway.pk}"
        assert f'<a href="{keyless}">give them keys</a>' in after
        assert set(Team.objects.values_list("team_id", flat=True)) == {"acme", "globex"}
        assert AuditEntry.objects.get(action="team").detail == "imported"

    def test_where_none_was_ticked_none_is_ticked_the_next_time(
        self, admin_page: Client
    ) -> None:
        with running_gateway(["acme", "globex"]) as running:
            gateway = make_gateway(base_url=running.base_url, allow_private=True)
            address = reverse("import_teams", args=[gateway.pk])
            first = admin_page.get(address).content.decode()
            again = admin_page.post(address).content.decode()

        assert (first.count(" checked>"), again.count(" checked>")) == (2, 0)
        assert "No team was ticked" in again

    def test_it_is_reached_from_the_teams(self, admin_page: Client) -> None:
        def led_to() -> str:
            text = admin_page.get(reverse("teams")).content.decode()
            return text.partition('">Import teams')[0].rpartition('href="')[2]

        own = make_gateway()
        assert led_to() == reverse("import_teams", args=[own.pk])
        make_gateway()
        assert led_to() == "/admin/teams/gateway/"
        listed = admin_page.get(led_to()).content.decode()
        assert reverse("import_teams", args=[own.pk]) in listed

    def test_a_gateway_that_cannot_be_asked_says_why(self, admin_page: Client) -> None:
        gateway = make_gateway(base_url="http://127.0.0.1:9")

        text = admin_page.get(reverse("import_teams", args=[gateway.pk]))

        assert "cannot be read" in text.content.decode()
        assert "private or loopback" in text.content.decode()
