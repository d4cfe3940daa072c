"""One incident: its chart and failed results, who was told, and the Markdown file."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.lifecycle import note
from dashboard.alerts.models import (
    Change,
    Delivery,
    EventKind,
    Incident,
    Notification,
    RuleKind,
    Silence,
)
from dashboard.alerts.services import evaluate
from dashboard.alerts.stories import story
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.rollups.services import fold
from dashboard.teams.models import Role
from dashboard.web.pages import evidence
from dashboard.web.views.incidents import MOST_NOTES
from tests.alerts.conftest import after, make_incident
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)
from tests.web.people import person

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def probe() -> Probe:
    return make_probe(make_team(name="Acme | <b>bold</b>"))


def fail(probe: Probe, number: int) -> None:
    found = [
        make_outcome(
            probe, -30 * place, error_class="server_error", detail="HTTP 500: | # boom"
        )
        for place in range(number)
    ]
    fold(found)


@pytest.fixture
def incident(probe: Probe, admin: User) -> Incident:
    fail(probe, 12)
    Outcome.objects.filter(started_at=NOW).update(status_code=500)
    made = make_incident(
        probe.gateway,
        probe.team,
        probe,
        summary="Team status of Acme: 3 of 5 runs failed",
        evidence={
            "since": "2026-03-02T11:54:00+00:00",
            "classes": {"server_error": 3},
            "text": "3 of 5 runs failed",
        },
    )
    note(made, EventKind.OPENED, NOW)
    note(made, EventKind.NOTE, NOW, "restarted | the gateway", admin)
    Notification.objects.create(
        incident=made,
        change=Change.OPENED,
        recipient="oncall@example.org",
        state=Delivery.SENT,
        subject="[Gatewatch] CRITICAL it fails",
        batch=uuid4(),
        created_at=NOW,
        due_at=NOW,
        sent_at=NOW,
        last_error="450 oncall@example.org is busy",
    )
    return made


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_shows_the_chart_with_its_time_marked_and_what_failed(
    admin_page: Client, incident: Incident
) -> None:
    answer = admin_page.get(f"/incidents/{incident.pk}/")

    page = answer.context["page"]
    (mark,) = page.chart.chart["marks"]
    assert mark["start"] == 1772452440000
    assert page.chart.has_data
    assert len(page.failed) == 10
    shown = answer.content.decode()
    assert 'id="data-evidence"' in shown
    assert "HTTP 500: | # boom" in shown
    # C-07: a mail may have told of another team, too, also of one that is gone.
    assert "[Gatewatch] CRITICAL it fails" not in shown


def test_what_failed_is_told_from_its_beginning(
    admin_page: Client, probe: Probe
) -> None:
    """An outage's first failures are what one asks for; a refused key is none of them."""
    fail(probe, 14)
    fold([make_outcome(probe, -15, error_class="auth_failed")])
    fold([make_outcome(probe, -20)])
    down = make_incident(
        probe.gateway,
        kind=RuleKind.GATEWAY_DOWN,
        opened_at=NOW,
        resolved_at=NOW + HOUR,
        evidence={"since": after(-30 * 13).isoformat()},
    )
    path = f"/incidents/{down.pk}/"

    page = admin_page.get(path).context["page"]
    starts = [
        each.started_at for each in evidence.samples(down, Probe.objects.all(), NOW)
    ]
    assert starts == [after(-30 * place) for place in (*range(5), *range(9, 14))]
    assert len(page.failed) == 10
    assert page.failed_words.startswith("The latest 5 and the first 5 results")
    export = text(admin_page, f"{path}export/")
    assert "The latest 5 and the first 5 results" in export
    assert "| Failed | 15 of 16 runs, of what you see |" in export
    Incident.objects.filter(pk=down.pk).update(probe=probe, kind=RuleKind.NO_DATA)
    assert "| Failed |" not in text(admin_page, f"{path}export/")  # it is of no results


def test_a_forecast_says_by_which_pace_it_is_judged(admin_page: Client) -> None:
    """A-43: its text tells the sooner end beside it, which judges nothing."""
    team = make_team()
    incident = make_incident(
        team.gateway, team, kind=RuleKind.CREDITS_FORECAST, value=5.2, limit=6.0
    )

    page = admin_page.get(f"/incidents/{incident.pk}/").context["page"]

    assert (page.value, page.limit) == ("5.2 h, at the day's pace", "6 h")
    assert story(incident, "", NOW).value == "5.2 h, at the day's pace"


def test_it_lasts_from_its_first_failure_on_wherever_it_is_told(
    admin_page: Client, incident: Incident
) -> None:
    """The page, the list, a chart's band and the mail agree; it opened 5 min later."""
    incident.opened_at = NOW - timedelta(minutes=1)
    incident.save()

    shown = admin_page.get(f"/incidents/{incident.pk}/").context["page"]
    (listed,) = admin_page.get("/incidents/").context["page"].rows
    chart = admin_page.get(f"/probes/{incident.probe_id}/").context["page"].charts[0]
    mailed = story(incident, "https://gatewatch.example", NOW)

    assert "11:54:00" in shown.began
    assert "11:59:00" in shown.opened
    assert listed.began == shown.began
    assert listed.lasted == shown.lasted == "6 min"
    assert chart.chart["marks"][0]["start"] == 1772452440000
    assert f"{mailed.since:%H:%M}" == "11:54"


def test_what_becomes_of_it_is_read_aloud(admin: User, incident: Incident) -> None:
    page = Client()
    page.force_login(admin)
    path = f"/incidents/{incident.pk}/"

    said = [_aloud(page, path)]
    page.post(f"{path}acknowledge/")
    said.append(_aloud(page, path))
    Incident.objects.update(resolved_at=NOW)
    said.append(_aloud(page, path))

    # Each fact once.
    assert said == ["critical", "critical; acknowledged", "resolved"]


def _aloud(client: Client, path: str) -> str:
    [said] = re.findall(r'id="aloud" role="status">(.*?)</p>', text(client, path))
    return str(said)


def test_it_tells_the_clock_so_that_a_page_at_night_is_found(
    admin_page: Client, incident: Incident
) -> None:
    """Its times, and those of the list, are those of a log and not "5 min ago"."""
    incident.resolved_at = NOW
    incident.save()

    shown = admin_page.get(f"/incidents/{incident.pk}/").context["page"]
    listed = text(admin_page, "/incidents/")

    assert ">11:54:00</time>" in shown.began
    assert ">12:00:00</time>" in shown.resolved
    assert {moment.at for moment in shown.timeline} == {shown.resolved}
    assert [person.at for person in shown.told] == [shown.resolved]
    assert ">11:54:00</time>" in listed
    assert "Began (UTC)" in listed


def test_one_outage_is_one_row_of_the_list(
    admin_page: Client, incident: Incident
) -> None:
    """A-57: what it speaks for is on its page; who may not see it sees the lesser."""
    down = make_incident(incident.gateway, kind=RuleKind.GATEWAY_DOWN, summary="down")
    stranger = make_team()
    lesser = make_incident(stranger.gateway, stranger, inhibited_by=down)
    incident.inhibited_by = down
    incident.save()

    listed = admin_page.get("/incidents/").context["page"]
    theirs = person("sue", stranger).client.get("/incidents/").context["page"]

    assert [row.title for row in listed.rows] == ["down"]
    assert listed.title == "1 open"
    shown = text(admin_page, f"/incidents/{down.pk}/")
    assert f'href="/incidents/{incident.pk}/"' in shown
    assert "a greater one speaks for it" in text(
        admin_page, f"/incidents/{incident.pk}/"
    )
    assert [row.url for row in theirs.rows] == [f"/incidents/{lesser.pk}/"]
    Incident.objects.filter(pk=down.pk).update(resolved_at=NOW)
    after = admin_page.get(f"/incidents/{incident.pk}/").context["page"]
    assert after.speaking == "spoke for it, and it has not failed since that ended"
    assert "nothing failed since the alarm that covered it ended" in after.badge.reason


def test_credits_show_their_way_down(admin_page: Client) -> None:
    team = make_team()
    for hour in range(5):
        make_reading(team, -3600 * hour, remaining=100.0 + hour)
    incident = make_incident(
        team.gateway, team, kind=RuleKind.CREDITS, error_class="", evidence={}
    )

    page = admin_page.get(f"/incidents/{incident.pk}/").context["page"]

    assert page.chart.title == "Credits left"
    assert len(page.chart.rows) == 5
    assert page.chart.chart["marks"][0]["label"] == incident.summary


def test_a_certificate_has_no_chart(admin_page: Client) -> None:
    incident = make_incident(kind=RuleKind.CERTIFICATE, error_class="", evidence={})

    assert admin_page.get(f"/incidents/{incident.pk}/").context["page"].chart is None


def test_a_viewer_reads_no_addresses(incident: Incident) -> None:
    """Neither on the page nor in the file, nor in what a mail server said of them."""
    vera = person("vera", incident.team, Role.VIEWER).client
    olga = person("olga", incident.team, Role.OPERATOR).client

    for path in (f"/incidents/{incident.pk}/", f"/incidents/{incident.pk}/export/"):
        assert "oncall@example.org" in text(olga, path).replace("\\@", "@")
        assert "oncall@" not in text(vera, path)
        assert "o…@example.org" in text(vera, path).replace("\\@\u200b", "@")

    # Of a whole gateway's the readers of other teams are told, too.
    Incident.objects.filter(pk=incident.pk).update(team=None, probe=None)
    for path in (f"/incidents/{incident.pk}/", f"/incidents/{incident.pk}/export/"):
        assert "o…" in text(vera, path)
        assert "example.org" not in text(vera, path)
    Incident.objects.filter(pk=incident.pk).update(team=incident.team)

    incident.notifications.update(channel="apprise", recipient="pager@example.net")
    for path in (f"/incidents/{incident.pk}/", f"/incidents/{incident.pk}/export/"):
        assert "pager@example.net" in text(olga, path)
        assert "example.net" not in text(vera, path)


def test_the_file_begins_a_post_mortem(admin_page: Client, incident: Incident) -> None:
    """Remote text is no markup in it: no table cell, no heading, no HTML."""
    answer = admin_page.get(f"/incidents/{incident.pk}/export/")

    name = f"incident-{incident.pk}-20260302.md"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Content-Type"].startswith("text/markdown")
    lines = answer.content.decode().splitlines()
    assert lines[0] == f"# Incident {incident.pk}: {incident.get_kind_display()}"
    assert "| What | `Team status of Acme: 3 of 5 runs failed` |" in lines
    assert "| Since | 2026-03-02 11:54:00 UTC |" in lines
    assert "| Lasted | 6 min |" in lines
    assert "| Team | `Acme ¦ <b>bold</b>` |" in lines
    at = "2026-03-02 12:00:00 UTC"
    assert f"| {at} | Note | `root` | `restarted ¦ the gateway` |" in lines
    assert f"| {at} | Told | `oncall@example.org` | Opened |" in lines
    assert f"| `oncall@example.org` | Mail | Opened | Sent | {at} |" in lines
    (first, *_) = [line for line in lines if "boom" in line]
    assert first.endswith("| Server error | 500 |  | `HTTP 500: ¦ # boom` |")
    assert sum("boom" in line for line in lines) == 10
    assert "## What we change" in lines


def test_a_gateways_file_names_what_it_speaks_for_as_far_as_one_may_see(
    admin_page: Client,
) -> None:
    """C-07: and who silenced it."""
    gateway = make_gateway()
    acme, beta = (make_team(gateway, name=name) for name in ("Acme", "Beta"))
    down = make_incident(
        gateway,
        kind=RuleKind.GATEWAY_DOWN,
        evidence={"classes": {"server_error": 2}, "since": (NOW - HOUR).isoformat()},
    )
    probes = [make_probe(acme), make_probe(beta)]
    for probe in probes:
        fail(probe, 1)
        summary = f"{probe}: 3 of 5 runs failed"
        make_incident(gateway, probe.team, probe, summary=summary, inhibited_by=down)
    olga = person("olga", acme, Role.OPERATOR)
    Silence.objects.create(
        gateway=gateway,
        author=User.objects.get(username=olga.name),
        reason="known",
        starts_at=NOW - HOUR,
        ends_at=NOW + HOUR,
    )
    evaluate({probes[0].pk}, NOW)

    path = f"/incidents/{down.pk}/export/"
    everything, hers = text(admin_page, path), text(olga.client, path)

    assert "| Teams whose probes failed | `Acme`, `Beta` |" in everything
    assert "| Teams whose probes failed | `Acme` |" in hers
    assert "## Alarms that it speaks for" in hers
    assert "`Team status of Acme: 3 of 5 runs failed`" in hers
    assert "`Team status of Beta: 3 of 5 runs failed`" in everything
    assert "Beta" not in hers
    assert "the latest result of each probe" in hers
    assert "| Silenced | `olga` | `until " in hers
    moments = olga.client.get(f"/incidents/{down.pk}/").context["page"].timeline
    assert ("Silenced", "olga") in [(each.what, each.who) for each in moments]


def test_who_may_not_act_reads_who_may_and_what_is_his() -> None:
    """A-58, C-08: an operator paged for a whole gateway knew neither."""
    team = make_team()
    own = make_probe(team)
    make_probe(team, kind=ProbeKind.DEEP_JOB, enabled=True)
    theirs = make_probe(make_team(team.gateway))
    down = make_incident(team.gateway, kind=RuleKind.GATEWAY_DOWN)
    for address in ("olga@example.com", "nobody@example.com"):
        Notification.objects.create(
            incident=down,
            change=Change.OPENED,
            recipient=address,
            state=Delivery.SENT,
            sent_at=NOW,
            due_at=NOW,
            created_at=NOW,
        )
    olga = person("olga", team, Role.OPERATOR).client
    vera = person("vera", team, Role.VIEWER).client
    path = f"/incidents/{down.pk}/"

    page = olga.get(path).context["page"]
    assert "a site administrator acknowledges or silences it" in text(olga, path)
    assert [each.run_url for each in page.own_probes] == [f"/probes/{own.pk}/run/"]
    assert f'action="/probes/{own.pk}/run/"' in text(olga, path)
    assert f"/probes/{theirs.pk}/" not in text(olga, path)
    assert [each.recipient for each in page.told] == ["n…", "olga@example.com"]
    export = text(olga, f"{path}export/").replace("\\@\u200b", "@")
    assert "olga@example.com" in export
    assert "nobody@" not in export
    assert vera.get(path).context["page"].own_probes == []

    of_team = f"/incidents/{make_incident(team.gateway, team).pk}/"
    assert "An operator or a manager of the team acknowledges" in text(vera, of_team)
    assert olga.get(of_team).context["page"].handled_by == ""


def test_a_colleague_takes_over_what_somebody_acknowledged(
    admin_page: Client, incident: Incident
) -> None:
    """A-58."""
    path = f"/incidents/{incident.pk}/"
    assert incident.team is not None
    olga = person("olga", incident.team, Role.OPERATOR).client
    vera = person("vera", incident.team, Role.VIEWER).client
    admin_page.post(f"{path}acknowledge/")

    offered = ["Take over" in text(client, path) for client in (admin_page, olga, vera)]
    olga.post(f"{path}acknowledge/", {"over": "1"})
    olga.post(f"{path}acknowledge/", {"over": "1"})
    late = admin_page.post(f"{path}acknowledge/", follow=True)
    refused = vera.post(f"{path}acknowledge/", {"over": "1"})

    assert offered == [False, True, False]
    assert "Too late: olga is on it." in late.content.decode()
    assert refused.status_code == 404
    assert "Acknowledged by olga" in text(admin_page, path)
    own = incident.events.filter(kind=EventKind.ACKNOWLEDGED).order_by("pk")
    assert [each.text for each in own] == ["", "taken over from root"]
    Incident.objects.update(resolved_at=NOW)
    assert "Take over" not in text(admin_page, path)
    ended = admin_page.post(f"{path}acknowledge/", {"over": "1"}, follow=True)
    assert "Too late: it is over." in ended.content.decode()
    # It got worse meanwhile, and nobody is on it: he is, then.
    nobody = dict.fromkeys(["resolved_at", "acknowledged_at", "acknowledged_by"])
    Incident.objects.update(**nobody)
    admin_page.post(f"{path}acknowledge/", {"over": "1"})
    assert "Acknowledged by root" in text(admin_page, path)


def test_what_people_write_down_is_one_plain_line_everywhere(
    admin_page: Client, incident: Incident
) -> None:
    """C-15, C-18: neither a terminal nor Markdown obeys it."""
    wanted = {"text": "\x1b[2J \u202eoops\r\n~~@all~~ ``a`b | http://x.example gh-1"}
    admin_page.post(f"/incidents/{incident.pk}/note/", wanted)

    assert incident.events.get(text__contains="oops").text.isprintable()
    told = text(admin_page, f"/incidents/{incident.pk}/export/")
    assert "| `[2J oops ~~@all~~ ''a'b ¦ http://x.example gh-1` |" in told


def test_of_the_many_who_were_told_it_names_the_first_the_failed_and_the_latest(
    monkeypatch: pytest.MonkeyPatch, admin_page: Client, incident: Incident
) -> None:
    """C-20: an outage of days is told to a thousand people, six times a day."""
    for module in ("incident", "post_mortem"):
        monkeypatch.setattr(f"dashboard.web.pages.{module}.MOST_TOLD", 3)
    incident.notifications.all().delete()
    for number in range(7):
        Notification.objects.create(
            incident=incident,
            change=Change.OPENED,
            recipient=f"reader-{number}@example.org",
            created_at=after(number),
            due_at=after(number),
            state=Delivery.DEAD if number == 3 else Delivery.SENT,
        )

    page = text(admin_page, f"/incidents/{incident.pk}/")
    file = text(admin_page, f"/incidents/{incident.pk}/export/")

    for shown in (page, file):
        named = [number for number in range(7) if f"reader-{number}@" in shown]
        assert named == [0, 3, 5, 6]
        assert "And others in between" in shown


def test_an_incident_has_so_many_notes_and_no_more(
    admin_page: Client, incident: Incident
) -> None:
    """C-20: each is on its page, and in its file."""
    for place in range(MOST_NOTES):
        note(incident, EventKind.NOTE, NOW, f"note {place}")

    wanted = {"text": "one more"}
    answer = admin_page.post(f"/incidents/{incident.pk}/note/", wanted, follow=True)

    assert "Not kept: this has 200 notes already." in answer.content.decode()
    assert not incident.events.filter(text="one more").exists()


def test_an_incident_changes_hands_so_many_times_and_no_more(
    admin_page: Client, incident: Incident
) -> None:
    """C-20: each time is on its page, in its file, and in what renews itself."""
    acknowledge = f"/incidents/{incident.pk}/acknowledge/"
    admin_page.post(acknowledge)
    for _ in range(MOST_NOTES - 1):
        note(incident, EventKind.ACKNOWLEDGED, NOW, "taken over from root")
    assert incident.team is not None
    olga = person("olga", incident.team, Role.OPERATOR).client

    answer = olga.post(acknowledge, {"over": "1"}, follow=True)

    assert "Not kept: it changed hands 200 times already." in answer.content.decode()
    incident.refresh_from_db()
    assert str(incident.acknowledged_by) == "root"


def test_it_asks_a_constant_number_of_queries(
    admin_page: Client,
    incident: Incident,
    probe: Probe,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for place in range(30):
        Notification.objects.create(
            incident=incident,
            change=Change.REPEATED,
            number=place,
            recipient="oncall@example.org",
            created_at=NOW,
            due_at=NOW,
        )
        note(incident, EventKind.NOTE, NOW, f"note {place}")

    with django_assert_max_num_queries(17):
        text(admin_page, f"/incidents/{incident.pk}/")


def test_an_alarm_that_is_good_again_says_so_beside_its_old_number() -> None:
    """A-53: coming and going it stays open; its text is of its latest firing."""
    team = make_team()
    make_probe(team)
    incident = make_incident(
        team.gateway,
        team,
        summary="credits: 1 % left",
        clear_since=after(540),
        flapping_since=after(540),
    )
    client = person("gil", team).client
    good = "good again since 2 Mar 12:09; comes and goes, ends after 30 min of calm"

    for address in ("/incidents/", f"/incidents/{incident.pk}/", "/"):
        assert good in client.get(address).content.decode()
