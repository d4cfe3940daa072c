"""C-15, C-16, C-17: names and answers that want to be markup, formulas or headers."""

import csv
import io

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import Notification
from dashboard.alerts.services import evaluate, install_default_rules
from dashboard.probes.models import Outcome, Probe
from dashboard.rollups.services import fold
from dashboard.teams.models import Team
from tests.alerts.conftest import make_recipient
from tests.factories import NOW, make_gateway, make_outcome, make_probe, make_team

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FORMULAS = ("=1+1", "see;=1+1", 'see;"=1+1', "\uff1d1+1")
HEADER = "\r\nBcc: victim@example.com\r\n\r\nBody"


@pytest.fixture
def team() -> Team:
    """Return a team whose names came past every check, as from an older database."""
    install_default_rules()
    make_recipient()
    name = f"=cmd|'/c calc'!A1{SCRIPT}{HEADER}"
    team = make_team(
        make_gateway(name=f"@SUM{SCRIPT}"[:80]),
        team_id=f"+1{SCRIPT}",
        name=name[:120],
        organization_id=SCRIPT,
        budget_mode=SCRIPT[:40],
        model_aliases=[SCRIPT],
    )
    probe = make_probe(team)
    outcomes = [
        make_outcome(
            probe,
            -second,
            error_class="server_error",
            detail=f"{FORMULAS[second % len(FORMULAS)]}{SCRIPT}{HEADER}",
        )
        for second in range(6)
    ]
    fold(outcomes)
    Probe.objects.update(last_at=NOW, last_error="server_error", failing_since=NOW)
    evaluate({probe.pk}, NOW)
    return team


def addresses(team: Team) -> list[str]:
    names = [
        "overview",
        "teams",
        "credits",
        "incidents",
        "outcomes",
        "breakers",
        "mail",
    ]
    found = [reverse(name) for name in [*names, "silences", "audit", "status"]]
    found += [f"{reverse('search')}?q=script", f"{reverse('audit')}?q={SCRIPT}"]
    found += [reverse(name, args=[team.pk]) for name in ("team", "team_settings")]
    found.append(reverse("team_rule", args=[team.pk, "credits"]))
    found += [reverse("probe", args=[each.pk]) for each in Probe.objects.all()]
    found.append(reverse("outcome", args=[Outcome.objects.order_by("pk")[0].pk]))
    incidents = team.incidents.all()
    assert incidents
    found += [reverse("incident", args=[each.pk]) for each in incidents]
    found += [f"/admin/teams/team/{team.pk}/change/", "/admin/teams/team/"]
    return [*found, "/admin/probes/probe/", "/admin/alerts/incident/"]


def test_no_page_takes_it_for_markup(admin_page: Client, team: Team) -> None:
    for address in addresses(team):
        text = admin_page.get(address).content.decode()
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address


def test_no_cell_of_a_file_is_a_formula(admin_page: Client, team: Team) -> None:
    files = 0
    for address in addresses(team):
        mark = "&" if "?" in address else "?"
        answer = admin_page.get(f"{address}{mark}format=csv")
        if not answer.get("Content-Type", "").startswith("text/csv"):
            continue
        files += 1
        assert "\r" not in answer["Content-Disposition"]
        for divider in (",", ";", "\t"):
            text = io.StringIO(answer.content.decode(), newline="")
            for row in csv.reader(text, delimiter=divider):
                for cell in row:
                    number = cell.removeprefix("-").replace(".", "", 1).isdigit()
                    assert number or cell[:1] not in {*"=+-@\t\r\uff1d"}, address

    assert files >= 3


def test_no_mail_gets_another_header(team: Team) -> None:
    Notification.objects.update(due_at=NOW)

    deliver(NOW)

    assert mail.outbox
    for sent in mail.outbox:
        message = sent.message()
        assert message["Bcc"] is None
        assert "\n" not in str(message["Subject"]).replace("\n ", " ")
        assert sent.recipients() == ["ops@example.org"]
        html = "".join(str(body) for body, _ in getattr(sent, "alternatives", []))
        assert "<script>alert" not in html
        assert "<img src=x" not in html
