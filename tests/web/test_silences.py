"""The page of silences: who may silence what."""

import html
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import OF_NO_TEAM, RuleKind, Silence
from dashboard.alerts.silences import covering, end
from dashboard.probes.models import ProbeKind
from dashboard.teams.models import AuditEntry, Membership, Role
from dashboard.web.views.silences import MOST_SILENCES
from tests.alerts.conftest import make_incident
from tests.factories import NOW, make_probe, make_team
from tests.web.people import person

pytestmark = pytest.mark.django_db
ADDRESS = "/silences/"


def ask(client: Client, **fields: object) -> int:
    told = {"team": "", "kind": "", "hours": "4", "reason": "moving", **fields}
    return client.post(ADDRESS, told).status_code


def test_an_operator_silences_his_team(client: Client) -> None:
    """A-59: the author, the reason and an end."""
    team = make_team()
    olga = person("olga", team, Role.OPERATOR).client

    assert ask(olga, team=team.pk, kind=RuleKind.CREDITS) == 302

    assert AuditEntry.objects.get(action="silence").detail == "Credits low for 4 h"
    silence = Silence.objects.get()
    assert (silence.team, silence.kind, str(silence.author)) == (
        team,
        "credits",
        "olga",
    )
    assert silence.ends_at - silence.starts_at == timedelta(hours=4)
    assert "moving" in olga.get(ADDRESS).content.decode()


def test_a_team_has_so_many_silences_and_no_more() -> None:
    """C-20: each alarm is held against all of them."""
    team, now = make_team(), timezone.now()
    olga = person("olga", team, Role.OPERATOR).client
    held = [
        Silence(team=team, starts_at=now, ends_at=now + timedelta(hours=1))
        for _ in range(MOST_SILENCES)
    ]
    Silence.objects.bulk_create(held)

    answer = olga.post(
        ADDRESS, {"team": team.pk, "hours": 4, "reason": "x"}, follow=True
    )

    assert "has 50. End one first." in answer.content.decode()
    assert Silence.objects.count() == MOST_SILENCES
    assert end(Silence.objects.earliest("pk"), timezone.now())
    ask(olga, team=team.pk)
    assert Silence.objects.count() == MOST_SILENCES + 1


def test_no_team_fills_the_page_so_that_others_cannot_end_theirs(
    admin_page: Client,
) -> None:
    """C-20: its manager makes anybody a member, who then saw those of this team only."""
    own, theirs, now = make_team(), make_team(), timezone.now()
    olga = person("olga", own, Role.OPERATOR).client
    assert ask(olga, team=own.pk, reason="forgotten") == 302
    many = [
        Silence(team=theirs, starts_at=now, ends_at=now + timedelta(days=30))
        for _ in range(MOST_SILENCES)
    ]
    Silence.objects.bulk_create(many)
    Membership.objects.create(user=User.objects.get(username="olga"), team=theirs)
    end_it = reverse("end_silence", args=[Silence.objects.get(team=own).pk])

    for client in (olga, admin_page):
        first = client.get(ADDRESS)
        assert end_it not in first.content.decode()
        second = client.get(f"{ADDRESS}{first.context['page'].shorter_url}")
        assert "forgotten" in second.content.decode()
        assert end_it in second.content.decode()
        assert client.get(f"{ADDRESS}?page=99999").status_code == 200


def test_many_silences_of_incidents_ask_no_more_of_the_database(
    admin_page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """C-20."""
    team, now = make_team(name="Acme"), timezone.now()
    until = now + timedelta(hours=1)
    for kind in ProbeKind.values[1:]:
        probe = make_probe(team, kind=kind)
        Silence.objects.create(team=team, probe=probe, starts_at=now, ends_at=until)

    with django_assert_max_num_queries(8):
        assert "Balance of Acme" in admin_page.get(ADDRESS).content.decode()


def test_an_operator_announces_a_maintenance_of_his_team() -> None:
    """A-59."""
    team = make_team()
    olga = person("olga", team, Role.OPERATOR).client

    assert ask(olga, team=team.pk, maintenance="on", kind=RuleKind.CREDITS) == 302

    # It is of all kinds, whatever was chosen before the box was ticked.
    assert (Silence.objects.get().maintenance, Silence.objects.get().kind) == (True, "")
    assert f"Maintenance of {team}" in olga.get(ADDRESS).content.decode()


def test_who_looks_at_what_is_in_maintenance_reads_so() -> None:
    """A-59: its own pages tell it, those of others do not."""
    team = make_team(name="Acme")
    other = make_team(team.gateway, name="Globex")
    probe, apart = make_probe(team), make_probe(other)
    vera = person("vera", team, Role.VIEWER).client
    gus = person("gus", other).client
    made = Silence(team=team, maintenance=True, reason="new disks", starts_at=NOW)
    made.ends_at = NOW + timedelta(hours=2)
    made.save()

    told = "In maintenance until "
    for path in ("/", f"/teams/{team.pk}/", f"/probes/{probe.pk}/"):
        text = vera.get(path).content.decode()
        assert told in text
        assert "Acme (new disks)" in text
    assert "in maintenance until 2 Mar 14:00" in vera.get("/teams/").content.decode()
    for path in ("/", "/teams/", f"/teams/{other.pk}/", f"/probes/{apart.pk}/"):
        assert told not in gus.get(path).content.decode()
    end(made, NOW)
    assert told not in vera.get("/").content.decode()


def test_no_silence_of_a_team_pretends_to_be_of_its_gateway(
    admin_page: Client,
) -> None:
    """A-59: it silenced nothing, and an operator slept on it."""
    team = make_team(name="Acme")
    olga = person("olga", team, Role.OPERATOR).client

    kinds = dict(olga.get(ADDRESS).context["form"].fields["kind"].choices)
    assert set(RuleKind.values) - set(kinds) == {"gateway_down", "certificate"}
    assert ask(olga, team=team.pk, kind=RuleKind.GATEWAY_DOWN) == 200
    fields = {"team": team.pk, "hours": 4, "reason": "x", "kind": "certificate"}
    assert OF_NO_TEAM in html.unescape(
        admin_page.post(ADDRESS, fields).content.decode()
    )
    day = f"{timezone.now():%Y-%m-%d}"
    times = {"starts_at_0": day, "starts_at_1": "00:00", "ends_at_0": day}
    fields |= {**times, "ends_at_1": "23:59:59"}
    answer = admin_page.post("/admin/alerts/silence/add/", fields)
    assert OF_NO_TEAM in html.unescape(answer.content.decode())
    assert not Silence.objects.exists()

    assert ask(olga, team=team.pk) == 302
    assert ask(admin_page, kind=RuleKind.GATEWAY_DOWN) == 302
    said = olga.get(ADDRESS).content.decode()
    assert "All alarms of Acme itself, none of its whole gateway" in said


def test_an_operator_silences_no_other_team_and_not_all() -> None:
    team, other = make_team(), make_team()
    olga = person("olga", team, Role.OPERATOR).client

    assert ask(olga, team=other.pk) == 200
    assert ask(olga) == 200
    assert not Silence.objects.exists()


def test_a_viewer_sees_no_form_and_may_not_post() -> None:
    team = make_team()
    vera = person("vera", team, Role.VIEWER).client

    assert ask(vera, team=team.pk) == 404
    assert "New silence" not in vera.get(ADDRESS).content.decode()


def test_a_site_admin_silences_everything(admin_page: Client) -> None:
    assert ask(admin_page) == 302

    assert "All alarms of everything" in admin_page.get(ADDRESS).content.decode()


@pytest.mark.parametrize("wrong", [{"hours": "9999"}, {"reason": ""}, {"kind": "x"}])
def test_bad_input_is_told_beside_its_field(
    admin_page: Client, wrong: dict[str, object]
) -> None:
    assert ask(admin_page, **wrong) == 200
    assert not Silence.objects.exists()


def test_an_incident_is_silenced_where_it_is_and_nowhere_else(
    admin_page: Client,
) -> None:
    """A-59: from its page, until when stands there at once."""
    team = make_team()
    incident = make_incident(team.gateway, team, make_probe(team))
    address = reverse("incident", args=[incident.pk])

    assert "Silence this for" in admin_page.get(address).content.decode()
    sent = {"hours": "12", "reason": "known, fixed on Monday"}
    answer = admin_page.post(f"{address}silence/", sent, follow=True)

    silence = Silence.objects.get()
    assert (silence.gateway, silence.team, silence.probe, silence.kind) == (
        *(incident.gateway, incident.team, incident.probe),
        incident.kind,
    )
    assert silence.ends_at - silence.starts_at == timedelta(hours=12)
    page = answer.context["page"]
    assert f"{silence.ends_at:%-d %b %H:%M}" in page.silenced
    assert "Silence this for" not in answer.content.decode()
    other = make_incident(team.gateway, team, make_probe(team, kind="balance"))
    assert covering([silence], other) is None


def test_a_silence_of_an_incident_says_why(admin_page: Client) -> None:
    incident = make_incident()
    address = reverse("silence_incident", args=[incident.pk])

    answer = admin_page.post(address, {"hours": "12", "reason": ""}, follow=True)

    assert "Not silenced: say for how long, and why." in answer.content.decode()
    assert not Silence.objects.exists()


@pytest.mark.parametrize(
    "starts_at", ["9999-12-31T23:59", "9999-12-31T22:30", "2099-01-01T00:00"]
)
def test_no_silence_begins_where_no_page_can_tell_it(
    admin_page: Client, starts_at: str
) -> None:
    """C-20: in some zones the year 9999 is over before it is in UTC."""
    day, time = starts_at.split("T")
    times = {"starts_at_0": day, "starts_at_1": time, "ends_at_0": day}
    fields = {**times, "ends_at_1": "23:59:59", "reason": "x"}

    assert ask(admin_page, starts_at=starts_at) == 200
    told = admin_page.post("/admin/alerts/silence/add/", fields).content.decode()

    assert "It begins within a year from today." in told
    assert not Silence.objects.exists()


def test_a_maintenance_is_announced_before_it_begins(admin_page: Client) -> None:
    """A-59: from a moment in the visitor's own zone; what is past is refused."""
    soon = timezone.now().replace(microsecond=0) + timedelta(days=2)
    wanted = f"{soon:%Y-%m-%dT%H:%M}"

    assert ask(admin_page, maintenance="on", starts_at="2020-01-01T02:00") == 200
    assert not Silence.objects.exists()
    assert ask(admin_page, maintenance="on", starts_at=wanted) == 302

    silence = Silence.objects.get()
    assert f"{silence.starts_at:%Y-%m-%dT%H:%M}" == wanted
    assert silence.ends_at - silence.starts_at == timedelta(hours=4)
    assert "coming" in admin_page.get(ADDRESS).content.decode()


@pytest.mark.parametrize("offset", ["+20:00", "+15:59:59.5"])
def test_a_silence_begins_at_a_moment_that_any_database_takes(
    admin_page: Client, offset: str
) -> None:
    """C-20: PostgreSQL knows fewer offsets than Python, and that was an error page."""
    soon = timezone.now().replace(microsecond=0) + timedelta(days=2)

    assert ask(admin_page, starts_at=f"{soon:%Y-%m-%dT%H:%M:%S}{offset}") == 302

    told = datetime.fromisoformat(f"{soon:%Y-%m-%dT%H:%M:%S}{offset}")
    assert Silence.objects.get().starts_at == told


def test_strangers_see_nothing_of_a_teams_silence() -> None:
    now = timezone.now()
    Silence.objects.create(
        team=make_team(), starts_at=now, ends_at=now + timedelta(1), reason="secret"
    )
    bob = person("bob", make_team(), Role.OPERATOR).client

    assert "secret" not in bob.get(ADDRESS).content.decode()


def test_ending_is_for_those_who_may_silence(admin_page: Client) -> None:
    team = make_team()
    now = timezone.now()
    silence = Silence.objects.create(
        team=team, starts_at=now, ends_at=now + timedelta(1), reason="x"
    )
    address = reverse("end_silence", args=[silence.pk])
    everything = Silence.objects.create(
        starts_at=now, ends_at=now + timedelta(1), reason="all"
    )
    olga = person("olga", team, Role.OPERATOR).client

    assert olga.post(reverse("end_silence", args=[everything.pk])).status_code == 404
    assert olga.post(address).status_code == 302
    silence.refresh_from_db()
    assert silence.ends_at <= timezone.now()
