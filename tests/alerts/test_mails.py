"""What the mails say: A-60."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.alerts import lifecycle
from dashboard.alerts.delivery import deliver
from dashboard.alerts.mail import clean_subject
from dashboard.alerts.models import Incident, Notification, RuleKind, Severity
from dashboard.alerts.runs import RunCounter
from dashboard.alerts.services import evaluate, install_default_rules
from dashboard.alerts.stories import story
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.rollups.services import fold
from dashboard.teams.models import Team
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    install_default_rules()
    make_recipient()
    return make_team(make_gateway(name="Production"), name="Acme")


def spike(team: Team, detail: str = "HTTP 500: boom") -> Probe:
    probe = make_probe(team)
    for i in range(5):
        error = "server_error" if i < 4 else "timeout"
        make_outcome(probe, -60 * i, error_class=error, detail=detail)
    evaluate({probe.pk}, NOW)
    return probe


def letter() -> EmailMultiAlternatives:
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    return message


def html(message: EmailMultiAlternatives) -> str:
    ((content, kind),) = message.alternatives
    assert kind == "text/html"
    return str(content)


def test_an_alarm_says_what_where_since_when_and_what_to_do(
    team: Team, settings: Settings
) -> None:
    """A-60."""
    settings.PUBLIC_URL = "https://watch.example"
    spike(team)
    deliver(after(40))

    message = letter()
    incident = Incident.objects.get()
    assert message.subject == (
        "[Gatewatch] CRITICAL Team status of Acme (Production): 5 of 5 runs failed in "
        "5 min (100 %, limit 20 %): mostly server error since 11:56 UTC"
    )
    for text in (str(message.body), html(message)):
        assert "2026-03-02 11:56 UTC" in text
        assert "20 %" in text
        assert "5 in 5 min" in text
        assert "HTTP 500: boom" in text
        assert "Look at the gateway&#x27;s" in text or "Look at the gateway's" in text
        assert f"https://watch.example/incidents/{incident.pk}/" in text
    assert "4 x Server error" in str(message.body)
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"
    assert message.extra_headers["Message-ID"].endswith("@watch.example>")
    row = Notification.objects.get()
    assert (row.subject, row.body) == (message.subject, message.body)


def test_a_reminder_of_an_old_outage_names_its_day() -> None:
    """A-55, A-60: "since 12:00" alone would be today's."""
    make_recipient()
    incident = tell(make_incident(make_gateway(name="Production")))
    deliver(after(40))
    deliver_reminder = after(30 * 3600)
    lifecycle.remind([incident], deliver_reminder)
    deliver(deliver_reminder + timedelta(seconds=60))

    assert letter().subject == (
        "[Gatewatch] STILL CRITICAL Production: 3 of 5 runs failed since 2 Mar 12:00 UTC"
    )
    assert letter().extra_headers["In-Reply-To"]


def test_a_mail_says_who_may_acknowledge(team: Team, settings: Settings) -> None:
    """A-55, C-08: what is of a whole gateway no operator of a team may."""
    settings.MAIL_GROUP_INTERVAL_S = 0
    whole = "until a site administrator acknowledges it"
    both = (
        "until somebody, or for a whole gateway a site administrator, acknowledges it"
    )
    for at, places, said in (
        (0, [None], whole),
        (100, [team], "until somebody acknowledges it"),
        (200, [None, team], both),
    ):
        for place in places:
            tell(make_incident(team.gateway, place), after(at))
        deliver(after(at + 40))

        assert said in " ".join(str(letter().body).split())
        assert said in html(letter())


def test_a_recovery_says_how_long_it_lasted_and_what_it_cost(team: Team) -> None:
    probe = spike(team)
    deliver(after(40))
    for i in range(1, 8):
        make_outcome(probe, 60 * i)
    # In no number, so not in this one.
    make_outcome(probe, 90, error_class="server_error", maintenance=True)
    make_outcome(probe, 91, error_class="server_error", misdated=True)
    evaluate({probe.pk}, after(420))
    deliver(after(460))

    message = letter()
    assert str(message.subject).startswith(
        "[Gatewatch] RESOLVED Team status of Acme (Production) after 11 min, it was: 5 of"
    )
    assert "Failed:     5 of 12 runs" in str(message.body)
    assert "5 of 12 runs" in html(message)


def test_who_is_told_of_one_team_is_told_what_an_outage_cost_it(team: Team) -> None:
    """A-57: not of all teams, of which hundreds would have to be counted for each of them."""
    for each in (team, make_team(team.gateway), make_team(team.gateway)):
        make_outcome(make_probe(each), 1, error_class="server_error")
    down = make_incident(
        team.gateway, kind=RuleKind.GATEWAY_DOWN, resolved_at=after(60)
    )

    told = [story(down, "", after(60), of_teams=of) for of in (None, {team.pk})]

    assert [(each.failed, each.runs) for each in told] == [(3, 3), (1, 1)]
    assert [each.of_own_teams for each in told] == [False, True]


def test_the_runs_of_a_long_outage_are_counted_by_hours_and_once_for_all(
    team: Team, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """A-60: of a gateway that was down for a weekend each reader counted a million."""
    probe = make_probe(team)
    classes = ("server_error", "", "breaker_held")
    runs = [
        make_outcome(probe, 600 * place, error_class=classes[place % 3])
        for place in range(24)
    ]
    make_outcome(probe, 601, error_class="server_error", misdated=True)
    fold(runs)
    # Only what is before and after whole hours is asked for by itself.
    later = Outcome.objects.filter(started_at__gte=after(3600))
    later.filter(started_at__lt=after(7200)).delete()
    down = make_incident(
        team.gateway,
        kind=RuleKind.GATEWAY_DOWN,
        opened_at=after(600),
        resolved_at=after(7800),
    )
    counter = RunCounter()

    assert counter.of(down) == counter.of(down, {team.pk}) == (9, 4)
    with django_assert_num_queries(0):
        counter.of(down)


def test_a_refused_keys_next_step_says_who_may_take_it(team: Team) -> None:
    """A-60: its readers are operators as well, who may not set a key."""
    refused = make_incident(
        team.gateway, team, kind=RuleKind.AUTH_FAILED, error_class="auth_failed"
    )
    tell(refused)
    deliver(after(40))

    told = (
        "Next step:  A manager of the team, or a site administrator, sets its new key."
    )
    assert told in str(letter().body)


def test_credits_say_how_long_they_last(team: Team) -> None:
    probe = make_probe(team, kind=ProbeKind.BALANCE, period_s=300)
    for hour in range(5):
        make_reading(
            team,
            -3600 * (4 - hour),
            allocated=10_000,
            remaining=1_300 - 25 * hour,
        )
    evaluate({probe.pk}, NOW)
    deliver(after(40))

    assert letter().subject == (
        "[Gatewatch] WARNING Acme (Production): credits low, 12 % left (1,200 of 10,000 credits), "
        "about 2 d at the pace of the last 4 h since 12:00 UTC"
    )
    assert "Value:      1,200 credits, limit 2,000 credits" in str(letter().body)


def test_credits_that_go_fast_are_told_by_the_soonest_end_and_its_pace(
    team: Team,
) -> None:
    """A-43: the mean of a day is no pace of a burn that began a few minutes ago."""
    probe = make_probe(team, kind=ProbeKind.BALANCE, period_s=300)
    for minute in range(-24 * 60, 1, 10):
        left = 1_300 if minute < -20 else 1_300 - 10 * (minute + 20)
        make_reading(team, 60 * minute, allocated=10_000, remaining=left)
    evaluate({probe.pk}, NOW)
    deliver(after(40))

    assert "1,100 of 10,000 credits), about 6 h at the pace of the last hour since" in (
        letter().subject
    )


def test_what_the_gateway_says_is_escaped(team: Team) -> None:
    Team.objects.filter(pk=team.pk).update(name="<b>&Co\r\nBcc: x@example.org")
    spike(Team.objects.get(), detail="<script>alert(1)</script>")
    deliver(after(40))

    message = letter()
    assert "<script>" not in html(message)
    assert "&lt;script&gt;" in html(message)
    assert "<script>alert(1)</script>" in str(message.body)
    assert "\n" not in message.subject
    assert "\r" not in message.subject
    assert message.recipients() == ["ops@example.org"]


def test_no_key_is_in_any_mail(team: Team) -> None:
    """Details come redacted; nothing else of a team's secrets is looked at."""
    team.key_sealed = "canary-7f3a"
    team.save()
    spike(team)
    deliver(after(40))

    assert "canary-7f3a" not in letter().message().as_string()


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("a\r\nBcc: b", "a Bcc: b"),
        ("  a\tb  ", "a b"),
        ("x" * 151, "x" * 149 + "…"),
        ("x" * 150, "x" * 150),
        ("a\u2028b\x00c", "a b c"),
        ("a\u202eb\x9bc\ufeffd", "a b c d"),
        ("=?utf-8?q?=0D=0ABcc:_v?= down", "= ?utf-8?q?=0D=0ABcc:_v?= down"),
    ],
)
def test_a_subject_is_one_short_line(text: str, subject: str) -> None:
    assert clean_subject(text) == subject


def test_several_probes_are_one_headline() -> None:
    make_recipient()
    gateway = make_gateway(name="Production")
    # Two are called alike, and are three with the other nevertheless.
    for team_id, name in (("a", ""), ("b", ""), ("c", "b")):
        probe = make_probe(make_team(gateway, team_id=team_id, name=name))
        tell(make_incident(gateway, probe.team, probe))
    deliver(after(40))

    assert letter().subject == (
        "[Gatewatch] CRITICAL Production: 3 probes failing (server error) "
        "since 12:00 UTC"
    )
    assert all(f"Team status of {name}" in html(letter()) for name in "ab")


def test_a_long_story_is_cut_and_the_time_after_it_is_kept() -> None:
    make_recipient()
    gateway = make_gateway(name="Production")
    probe = make_probe(make_team(gateway, team_id="acme"))
    tell(make_incident(gateway, probe.team, probe, evidence={"text": "x" * 300}))
    deliver(after(40))

    assert letter().subject.endswith("xxx… since 12:00 UTC")
    assert len(letter().subject) == 150


def test_unlike_alarms_are_counted_and_the_worst_is_named() -> None:
    make_recipient()
    gateway = make_gateway(name="Production")
    low: dict[str, Any] = {
        "kind": RuleKind.CREDITS,
        "severity": Severity.WARNING,
        "error_class": "",
    }
    team = make_team(gateway, team_id="acme")
    tell(make_incident(gateway, team, **low, evidence={"text": "12 % left"}))
    suspended = make_incident(
        gateway,
        make_team(gateway, team_id="beta"),
        kind=RuleKind.TEAM_STATE,
        evidence={"text": "the team is suspended"},
    )
    tell(suspended)
    deliver(after(40))

    assert letter().subject == (
        "[Gatewatch] CRITICAL Production: 2 alarms, first beta: the team is suspended "
        "since 12:00 UTC"
    )


def test_several_alarms_of_one_team_are_named_by_it_and_lead_to_each(
    settings: Settings,
) -> None:
    """A-60."""
    settings.PUBLIC_URL = "https://watch.example"
    make_recipient()
    team = make_team(make_gateway(name="Production"), name="Acme")
    low: dict[str, Any] = {"severity": Severity.WARNING, "evidence": {"text": "low"}}
    several = [
        tell(make_incident(team.gateway, team, kind=kind, **low))
        for kind in (RuleKind.CREDITS, RuleKind.CREDITS_FORECAST)
    ]
    deliver(after(40))

    told = "2 alarms, first Acme: low since 12:00 UTC"
    assert letter().subject == f"[Gatewatch] WARNING Acme (Production): {told}"
    for each in several:
        link = f"https://watch.example/incidents/{each.pk}/"
        assert link in str(letter().body)
        assert f'href="{link}"' in html(letter())


def test_a_recovered_breaker_is_told(team: Team) -> None:
    incident = make_incident(
        team.gateway, team, make_probe(team), kind=RuleKind.BREAKER_OPEN
    )
    tell(incident)
    deliver(after(40))
    lifecycle.resolve([incident], after(60))
    deliver(after(100))

    assert len(mail.outbox) == 2


def test_an_alarm_carries_the_figures_of_those_it_speaks_for() -> None:
    make_recipient()
    gateway = make_gateway()
    down = tell(make_incident(gateway, kind=RuleKind.GATEWAY_DOWN))
    make_incident(gateway, inhibited_by=down, summary="Balance: 4 of 5 runs failed")
    deliver(after(40))

    assert "With it:    Balance: 4 of 5 runs failed" in str(letter().body)
    assert "<li>Balance: 4 of 5 runs failed</li>" in html(letter())
