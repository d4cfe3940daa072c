"""New keys of many teams in one form of the admin."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.probes.models import (
    Probe,
)
from dashboard.teams.keys import hint
from dashboard.teams.models import AuditEntry, Gateway, Team
from dashboard.web.admin import team_actions
from tests.factories import (
    NOW,
)
from tests.web.test_admin_teams import act
from tests.web.watching import watched

pytestmark = pytest.mark.django_db


def test_a_new_key_is_typed_on_the_teams_own_page(admin_page: Client) -> None:
    assert "Replace the key" in act(admin_page, "rotate_key", watched())


class TestKeysOfMany:
    def test_each_is_typed_and_an_empty_field_keeps(self, admin_page: Client) -> None:
        """C-02, C-18: no answer shows one, and each leaves a line."""
        one, two, three = watched(), watched(), watched()
        before = three.key_sealed
        Probe.objects.update(next_run=NOW + timedelta(hours=1))

        asked = act(admin_page, "rotate_key", one, two, three)
        keys = {f"key-{one.pk}": f"{KEY}-one", f"key-{two.pk}": " env:TWO "}
        keys |= places(asked)
        said = act(admin_page, "rotate_key", one, two, three, confirmed="1", **keys)

        assert "2 keys are set" in said
        assert [hint(team) for team in Team.objects.order_by("pk")] == [
            "••••-one",
            "env:TWO",
            "••••1234",
        ]
        assert Team.objects.get(pk=three.pk).key_sealed == before
        due = Probe.objects.filter(next_run=NOW)
        assert {(p.team_id, p.kind) for p in due} == {
            (team.pk, "balance") for team in (one, two)
        }
        noted = AuditEntry.objects.filter(action="key_set").order_by("team_pk")
        assert [(e.team_pk, e.detail) for e in noted] == [(one.pk, ""), (two.pk, "")]
        assert KEY not in asked + said

    def test_it_is_sent_to_the_whole_list(self, admin_page: Client) -> None:
        """Of the teams without a key one may have got it since: it is replaced, too."""
        asked = admin_page.post(
            "/admin/teams/team/?has_key=no",
            {"action": "rotate_key", "_selected_action": [watched().pk, watched().pk]},
        )

        assert 'method="post" action="/admin/teams/team/"' in asked.content.decode()

    @pytest.mark.parametrize("wrong", ["has space", "env:", "moved"])
    def test_with_one_error_none_is_kept(self, admin_page: Client, wrong: str) -> None:
        """C-06: also not where an address is another one since the page was opened."""
        one, two = watched(), watched()
        keys = places(act(admin_page, "rotate_key", one, two))
        keys |= {f"key-{one.pk}": f"{KEY}-one", f"key-{two.pk}": f"{KEY}-two"}
        if wrong == "moved":
            Gateway.objects.filter(pk=two.gateway_id).update(
                base_url="https://b.example"
            )
        else:
            keys[f"key-{two.pk}"] = wrong

        said = act(admin_page, "rotate_key", one, two, confirmed="1", **keys)

        assert said.count("Type the key again: it is not kept") == 1
        assert {hint(team) for team in Team.objects.all()} == {"••••1234"}
        assert KEY not in said
        assert not AuditEntry.objects.filter(action="key_set").exists()

    def test_they_are_no_more_than_a_page_of_the_list(
        self, admin_page: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """C-20."""
        monkeypatch.setattr(team_actions, "MOST_KEYS", 1)

        assert "1 teams at most" in act(admin_page, "rotate_key", watched(), watched())


KEY = "sk-canary-0123456789"


def places(asked: str) -> dict[str, str]:
    """Return the hidden fields of the form: for which address each key is typed."""
    return dict(re.findall('name="(place-[0-9]+)" value="([0-9a-f]+)"', asked))
