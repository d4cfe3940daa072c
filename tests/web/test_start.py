"""The first-run guide: a real answer before anything is saved, then teams and people."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.core import mail as outgoing
from django.test import Client
from pytest_django import Settings

from dashboard.alerts.models import Recipient
from dashboard.probes.models import Probe
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.teams.keys import hint, unseal_key
from dashboard.teams.models import AuditEntry, CreditReading, Gateway, Team
from dashboard.web.gateway_forms import carried
from tests.apiclient.rogue import rogue, sends
from tests.factories import make_gateway
from tests.web.test_admin import NO_MEMBERS

pytestmark = pytest.mark.django_db

TEAMS = [f"team-{number}" for number in range(10)]
KEY = "sk-sim-team-3"


@pytest.fixture
def simulator() -> Iterator[RunningGateway]:
    with running_gateway(teams=TEAMS) as gateway:
        yield gateway


def asked(gateway: RunningGateway, **fields: str) -> dict[str, str]:
    return {
        "name": "Production",
        "base_url": gateway.base_url,
        "allow_private": "on",
        **fields,
    }


def hidden(text: str) -> dict[str, str]:
    """Return the hidden fields of the second page, as a browser sends them."""
    tags = re.findall(r'<input type="hidden"[^>]*>', text)
    pairs = (re.findall(r'(?:name|value)="([^"]*)"', tag) for tag in tags)
    found = {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}
    found.pop("csrfmiddlewaretoken", None)
    return found


def test_whoever_changes_the_gateway_types_only_the_key_again(
    admin_page: Client, simulator: RunningGateway
) -> None:
    sent = asked(simulator, team_id="team-3", key=KEY)
    tried = admin_page.post("/start/", sent).content.decode()

    again = admin_page.post("/start/watch/", {**hidden(tried), "again": "1"})

    form = again.context["form"]
    assert {name: form[name].value() for name in form.fields} == {
        **sent,
        "allow_private": True,
        "key": None,
    }
    text = again.content.decode()
    assert KEY not in text
    assert "Type the key again" in text
    assert 'method="post" action="/start/"' in text
    assert not Gateway.objects.exists()


def test_ten_teams_are_watched_in_two_forms(
    admin_page: Client, simulator: RunningGateway
) -> None:
    tried = admin_page.post(
        "/start/", asked(simulator, team_id="team-3", key=KEY)
    ).content.decode()

    assert "It answers, and has 10 teams." in tried
    assert "Key of team-3" in tried
    assert re.search(r"HTTP 200 in [\d.]+ m?s", tried)
    assert not Gateway.objects.exists()
    sent = {**hidden(tried), "teams": TEAMS, "recipients": "ops@example.com, me@b.co"}
    watched = admin_page.post("/start/watch/", sent)

    assert watched["Location"] == "/"
    assert Team.objects.count() == 10
    assert Probe.objects.filter(enabled=True).count() == 1 + 10 * 2
    assert hint(Team.objects.get(team_id="team-3")) == "••••am-3"
    assert set(Recipient.objects.values_list("email", flat=True)) == {
        "ops@example.com",
        "me@b.co",
    }
    entry = AuditEntry.objects.get(action="gateway")
    assert (entry.actor, entry.detail) == ("root", "watched, with 10 teams")
    assert AuditEntry.objects.filter(action="team", detail="watched").count() == 10
    assert AuditEntry.objects.get(action="key_set").subject == "team-3"
    assert AuditEntry.objects.filter(action="recipient").count() == 2
    # Their credits are known at once, from the list.
    assert CreditReading.objects.count() == 10


def test_the_guide_ends_by_saying_whether_mails_go_out(
    admin_page: Client, simulator: RunningGateway, settings: Settings
) -> None:
    tried = admin_page.post("/start/", asked(simulator)).content.decode()
    assert "Send them a test mail now" in tried
    sent = {**hidden(tried), "recipients": "a@b.co, c@d.co", "test_mail": "on"}

    said = admin_page.post("/start/watch/", sent, follow=True).content.decode()

    assert "took a test mail for a@b.co, c@d.co" in said
    assert [mail.to for mail in outgoing.outbox] == [["a@b.co"], ["c@d.co"]]

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    again = admin_page.post("/start/", asked(simulator, name="Again")).content.decode()
    sent |= {**hidden(again), "recipients": "a@b.co, c@d.co"}
    said = admin_page.post("/start/watch/", sent, follow=True).content.decode()

    assert said.count("No test mail to a@b.co: The mail server did not take it") == 1
    assert "c@d.co: The" not in said


def test_without_a_name_it_is_called_by_its_host(
    admin_page: Client, simulator: RunningGateway
) -> None:
    tried = admin_page.post("/start/", asked(simulator, name="")).content.decode()
    admin_page.post("/start/watch/", {**hidden(tried), "teams": TEAMS})

    host = simulator.base_url.removeprefix("http://")
    assert Gateway.objects.get().name == host
    again = admin_page.post("/start/", asked(simulator, name="")).content.decode()
    assert f"A gateway named {host} is watched already." in again


def test_the_key_is_carried_sealed_and_never_shown(
    admin_page: Client, simulator: RunningGateway
) -> None:
    """A page never holds a key, and what a gateway's list holds is never kept."""
    tried = admin_page.post(
        "/start/", asked(simulator, team_id="team-3", key=KEY)
    ).content.decode()

    assert KEY not in tried
    sealed = carried(hidden(tried)["key_sealed"], simulator.base_url)
    assert unseal_key(sealed) == (KEY, simulator.base_url)
    admin_page.post("/start/watch/", {**hidden(tried), "teams": TEAMS})
    assert [team.team_id for team in Team.objects.all() if team.has_key] == ["team-3"]


def test_only_ticked_teams_are_watched_and_others_can_be_typed(
    admin_page: Client, simulator: RunningGateway
) -> None:
    simulator.set_fault(Fault(FaultKind.ERROR_JSON, route="GET /api/teams"))
    tried = admin_page.post("/start/", asked(simulator)).content.decode()
    assert "type their ids below" in tried

    admin_page.post(
        "/start/watch/", {**hidden(tried), "others": "team-2\n\n team-1 \nteam-2"}
    )

    assert set(Team.objects.values_list("team_id", flat=True)) == {"team-1", "team-2"}


def test_a_typed_team_that_the_gateway_does_not_know_is_refused(
    admin_page: Client, simulator: RunningGateway
) -> None:
    tried = admin_page.post("/start/", asked(simulator)).content.decode()
    typed = "team-1\nteam-zero\nTeam-2"

    text = admin_page.post(
        "/start/watch/", {**hidden(tried), "teams": ["team-4"], "others": typed}
    ).content.decode()

    assert "The gateway knows no “team-zero” and “Team-2”" in text
    assert f">\n{typed}</textarea>" in text, "what was typed is kept"
    assert re.findall(r'value="(team-\d)" checked', text) == ["team-4"]
    assert not Gateway.objects.exists()


@pytest.mark.parametrize("team_id", [".", ".."])
def test_an_id_that_no_address_can_hold_is_refused_wherever_it_is_typed(
    team_id: str, admin_page: Client, simulator: RunningGateway
) -> None:
    why = "No gateway can be asked for a team of this id."

    first = admin_page.post("/start/", asked(simulator, team_id=team_id))
    tried = admin_page.post("/start/", asked(simulator)).content.decode()
    second = admin_page.post("/start/watch/", {**hidden(tried), "others": team_id})
    gateway = make_gateway()
    added = admin_page.post(
        "/admin/teams/team/add/",
        {"gateway": gateway.pk, "team_id": team_id, "name": "", **NO_MEMBERS},
    )

    for answer in (first, second, added):
        assert why in answer.content.decode()
    assert not Team.objects.exists()


def test_a_refused_key_is_told_with_what_to_do(
    admin_page: Client, simulator: RunningGateway
) -> None:
    tried = admin_page.post(
        "/start/", asked(simulator, team_id="team-3", key="sk-sim-wrong")
    ).content.decode()

    assert "Something is wrong" in tried
    assert "Invalid API key" in tried
    assert "sk-sim-wrong" not in tried


def test_a_gateway_that_fails_can_be_watched_all_the_same(
    admin_page: Client, simulator: RunningGateway
) -> None:
    simulator.set_fault(Fault(FaultKind.ERROR_JSON))
    tried = admin_page.post("/start/", asked(simulator)).content.decode()

    assert "Server error" in tried
    assert "type their ids below" in tried
    said = admin_page.post(
        "/start/watch/", {**hidden(tried), "others": "acme"}, follow=True
    ).content.decode()
    assert Team.objects.get().team_id == "acme"
    assert "did not tell whether it has “acme”" in said


def test_a_gateway_that_is_not_there_is_asked_once(admin_page: Client) -> None:
    gone = {"name": "Gone", "base_url": "http://127.0.0.1:9", "allow_private": "on"}

    tried = admin_page.post("/start/", gone).content.decode()

    assert "gave no answer" in tried
    assert tried.count("failed</span>") == 1
    assert not Gateway.objects.exists()


def test_a_gateway_that_calls_itself_ill_is_not_called_well(
    admin_page: Client,
) -> None:
    told = b'{"status": "degraded"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told)
    with rogue(sends(head + told)) as server:
        ill = {"name": "Ill", "base_url": server.url, "allow_private": "on"}
        tried = admin_page.post("/start/", ill).content.decode()

    assert "the health answer says degraded" in tried


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("recipients", "nobody", "Enter a valid email address."),
        ("others", "x" * 256, "255 characters at most"),
        ("others", "evil\u202e", "one line of printable characters"),
        ("teams", "evil\u202e", "one line of printable characters"),
    ],
)
def test_the_second_form_keeps_its_ticks_and_says_what_is_wrong(
    admin_page: Client, simulator: RunningGateway, field: str, value: str, said: str
) -> None:
    tried = admin_page.post("/start/", asked(simulator)).content.decode()
    sent = {**hidden(tried), "teams": ["team-2"], field: value}

    text = admin_page.post("/start/watch/", sent).content.decode()

    assert said in text
    if field != "teams":
        assert re.findall(r'value="(team-\d)" checked', text) == ["team-2"]
    assert not Gateway.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Taken"), ("base_url", "http://169.254.169.254"), ("key_sealed", "x")],
)
def test_what_was_tried_cannot_be_swapped_for_something_else(
    admin_page: Client, simulator: RunningGateway, field: str, value: str
) -> None:
    make_gateway(name="Taken")
    tried = admin_page.post("/start/", asked(simulator)).content.decode()

    text = admin_page.post(
        "/start/watch/", {**hidden(tried), field: value}
    ).content.decode()

    assert "Nothing was saved: try the gateway again." in text
    assert Gateway.objects.count() == 1


def test_a_carried_key_is_for_the_address_that_it_was_given_for(
    admin_page: Client, simulator: RunningGateway
) -> None:
    """C-06: whoever finds it in a page cannot have it sent elsewhere."""
    tried = admin_page.post(
        "/start/", asked(simulator, team_id="team-3", key=KEY)
    ).content.decode()
    sent = {**hidden(tried), "teams": ["team-1"], "base_url": "https://other.example"}

    text = admin_page.post("/start/watch/", sent).content.decode()

    assert "The key was lost on the way." in text
    assert not Gateway.objects.exists()


@pytest.mark.parametrize(("minutes", "is_kept"), [(29, True), (31, False)])
def test_a_carried_key_ends_after_half_an_hour(
    admin_page: Client,
    simulator: RunningGateway,
    clock: time_machine.Traveller,
    *,
    minutes: int,
    is_kept: bool,
) -> None:
    """C-01: nobody finds a key that still works in a page that was left open."""
    tried = admin_page.post(
        "/start/", asked(simulator, team_id="team-3", key=KEY)
    ).content.decode()
    clock.shift(timedelta(minutes=minutes))

    text = admin_page.post(
        "/start/watch/", {**hidden(tried), "teams": ["team-1"]}, follow=True
    ).content.decode()

    assert Gateway.objects.exists() is is_kept
    if not is_kept:
        assert "waited for more than 30 minutes" in text
        assert 'value="Production"' in text, "only the key is to be given again"
        assert 'value="team-3"' in text


def test_a_second_gateways_people_are_told_of_that_one_only(
    admin_page: Client, simulator: RunningGateway
) -> None:
    make_gateway(name="First")
    tried = admin_page.post("/start/", asked(simulator)).content.decode()

    admin_page.post("/start/watch/", {**hidden(tried), "recipients": "ops@b.co"})

    assert Recipient.objects.get().gateway == Gateway.objects.get(name="Production")
