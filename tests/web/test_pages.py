"""The other pages: what they show, what their forms do, what never gets through."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail as outgoing
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.alerts.models import (
    Change,
    Delivery,
    Incident,
    Notification,
    RuleKind,
    Severity,
    Silence,
)
from dashboard.probes.models import (
    Breaker,
    BreakerEvent,
    Heartbeat,
    Outcome,
    Probe,
    ProbeKind,
)
from dashboard.probes.queries import breaker_keys
from dashboard.rollups.services import fold
from dashboard.teams.keys import set_key
from dashboard.teams.models import Team
from tests.factories import (
    NOW,
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert('gotcha')</script>"
CANARY = "sk-canary-0123456789-tail"


def page(client: Client, name: str, *args: int, query: str = "") -> str:
    response = client.get(reverse(name, args=args) + query)
    assert response.status_code == 200
    return response.content.decode()


def seen(probe: Probe, *outcomes: Outcome) -> None:
    """Fold outcomes, and note the latest one on the probe, as recording does."""
    fold(outcomes)
    probe.last_at = outcomes[-1].started_at
    probe.last_error = outcomes[-1].error_class
    probe.save()
    Heartbeat.objects.get_or_create(name="tick-0", defaults={"beat_at": NOW})


def make_incident(team: Team | None = None, **fields: object) -> Incident:
    defaults = {
        "kind": RuleKind.ERROR_RATE,
        "identity": f"error_rate:probe:{Incident.objects.count()}",
        "gateway": team.gateway if team else make_gateway(),
        "team": team,
        "severity": Severity.CRITICAL,
        "summary": "Half of everything fails",
        "opened_at": NOW - timedelta(minutes=10),
        "evaluated_at": NOW,
    }
    return Incident.objects.create(**{**defaults, **fields})


class TestProbe:
    def test_a_new_probe_waits(self, admin_page: Client) -> None:
        text = page(admin_page, "probe", make_probe().pk)

        assert "Waiting for the first result" in text
        assert "No data in this time" in text

    def test_it_tells_rates_percentiles_and_why_it_failed(
        self, admin_page: Client
    ) -> None:
        probe = make_probe()
        good = [make_outcome(probe, -60 * n) for n in range(40, 1, -1)]
        bad = make_outcome(
            probe, -30, error_class="server_error", status_code=500, detail=HOSTILE
        )
        seen(probe, *good, bad)

        text = page(admin_page, "probe", probe.pk, query="?range=1h")

        assert "2.5 %" in text
        assert "1 of 40 failed" in text
        assert "Look at the gateway&#x27;s own log" in text
        assert 'data-chart="data-latency"' in text
        assert HOSTILE not in text
        assert "&lt;script&gt;alert" in text

    @pytest.mark.parametrize("asked", ["1h", "6h", "24h", "7d", "30d", "90d", "x", ""])
    def test_any_range_in_the_address_is_answered(
        self, admin_page: Client, asked: str
    ) -> None:
        probe = make_probe()
        seen(probe, make_outcome(probe, -60))

        current = asked if asked in {"1h", "6h", "7d", "30d", "90d"} else "24h"
        text = page(admin_page, "probe", probe.pk, query=f"?range={asked}")

        assert f'href="?range={current}" aria-current="true"' in text

    @pytest.mark.parametrize("query", ["", "?compare=1", "?range=30d&state=failed"])
    @pytest.mark.parametrize("number", [3, 30])
    def test_it_asks_twelve_queries_at_most(
        self,
        admin_page: Client,
        number: int,
        query: str,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        probe = make_probe(team=make_team())
        seen(probe, *(make_outcome(probe, -60 * n) for n in range(number, 0, -1)))
        for _ in range(number):
            make_incident(probe.team, probe=probe)

        with django_assert_max_num_queries(12):
            page(admin_page, "probe", probe.pk, query=query)

    def test_it_compares_with_the_time_before(self, admin_page: Client) -> None:
        probe = make_probe()
        old = [make_outcome(probe, -5400 + n, error_class="timeout") for n in range(2)]
        new = [make_outcome(probe, -60 + n) for n in range(4)]
        seen(probe, *old, *new)

        text = page(admin_page, "probe", probe.pk, query="?range=1h&compare=1")

        assert "0 of 4 failed; before: 100 %" in text
        assert "the time before 2 of 2" in text

    def test_what_happened_is_shaded_in_the_charts_and_listed(
        self, admin_page: Client
    ) -> None:
        probe = make_probe(team=make_team())
        seen(probe, make_outcome(probe, -60))
        incident = make_incident(probe.team, probe=probe, summary="Half of it fails")
        make_incident(make_team(), summary="Somebody else's")
        Silence.objects.create(
            team=probe.team,
            starts_at=NOW - timedelta(hours=1),
            ends_at=NOW + timedelta(hours=1),
            reason="We move the database",
            maintenance=True,
        )
        for kind in (RuleKind.LATENCY, RuleKind.CREDITS):
            Silence.objects.create(
                team=probe.team,
                kind=kind,
                starts_at=NOW - timedelta(minutes=30),
                ends_at=NOW,
                reason=f"Known: {kind}",
            )

        response = admin_page.get(reverse("probe", args=[probe.pk]))

        chart = response.context["page"].charts[0]
        drawn = [(mark["kind"], mark["label"]) for mark in chart.chart["marks"]]
        assert drawn == [
            ("maintenance", "We move the database"),
            ("silence", "Slow answers: Known: latency"),
            ("incident", "Half of it fails"),
        ]
        text = response.content.decode()
        assert f'href="{reverse("incident", args=[incident.pk])}"' in text
        assert "We move the database" in text

    def test_a_breaker_is_reset_from_the_page_and_it_is_kept_who_did(
        self, admin_page: Client, admin: User
    ) -> None:
        probe = make_probe(team=make_team())
        key = next(iter(breaker_keys(probe).values()))
        breaker = Breaker.objects.create(
            key=key,
            gateway=probe.gateway,
            failures=5,
            opened_at=NOW.timestamp() - 10,
            open_until=NOW.timestamp() + 50,
        )
        sent = {"to": "", "probe": probe.pk}

        response = admin_page.post(reverse("force", args=[breaker.pk]), sent)
        text = page(admin_page, "probe", probe.pk)

        assert response["Location"] == reverse("probe", args=[probe.pk])
        assert BreakerEvent.objects.get().actor == admin
        assert "not closed once" in text

    def test_missing_results_are_a_gap_in_the_chart(self, admin_page: Client) -> None:
        probe = make_probe()
        seen(probe, make_outcome(probe, -3500), make_outcome(probe, -60))

        response = admin_page.get(reverse("probe", args=[probe.pk]) + "?range=1h")

        lines = response.context["page"].charts[0].chart["lines"]
        values = [value for _, value in lines[-1]["points"]]
        assert values.count(None) == len(values) - 2

    def test_an_open_breaker_tells_why_and_when_it_tries_again(
        self, admin_page: Client
    ) -> None:
        probe = make_probe(team=make_team())
        key = next(iter(breaker_keys(probe).values()))
        Breaker.objects.create(
            key=key,
            gateway=probe.gateway,
            failures=5,
            opened_at=NOW.timestamp() - 10,
            open_until=NOW.timestamp() + 50,
            reason="server_error",
        )

        text = page(admin_page, "probe", probe.pk)

        assert "Server error" in text
        assert "in 50 s" in text

    def test_probe_now_makes_it_due(self, admin_page: Client) -> None:
        probe = make_probe(next_run=NOW + timedelta(hours=1))

        response = admin_page.post(reverse("run", args=[probe.pk]), follow=True)

        assert "Asked for" in response.content.decode()
        assert Probe.objects.get().next_run == NOW

    def test_a_probe_that_is_off_is_not_run(self, admin_page: Client) -> None:
        probe = make_probe(enabled=False)

        response = admin_page.post(reverse("run", args=[probe.pk]), follow=True)

        assert "switched off" in response.content.decode()


class TestDeepProbe:
    def deep(self) -> Probe:
        team = make_team(model_aliases=["gpt-4o-mini"])
        set_key(team, CANARY, NOW)
        return make_probe(
            team=team,
            kind=ProbeKind.DEEP_JOB,
            period_s=900,
            enabled=False,
        )

    def test_it_tells_its_cost_before_anybody_switches_it_on(
        self, admin_page: Client
    ) -> None:
        text = page(admin_page, "probe", self.deep().pk)

        assert "96 credits a day" in text
        assert "gpt-4o-mini" in text
        assert 'value="96"' in text

    def test_accepting_the_cost_switches_it_on(
        self, admin_page: Client, admin: User
    ) -> None:
        probe = self.deep()

        admin_page.post(
            reverse("accept", args=[probe.pk]),
            {"model": "gpt-4o-mini", "daily_credit_cap": 50},
        )

        probe.refresh_from_db()
        assert probe.enabled
        assert (probe.model, probe.daily_credit_cap) == ("gpt-4o-mini", 50)
        assert probe.cost_accepted_by == admin

    @pytest.mark.parametrize(
        "sent",
        [
            {"model": "not-allowed", "daily_credit_cap": 50},
            {"model": "gpt-4o-mini", "daily_credit_cap": -1},
            {},
        ],
    )
    def test_a_wrong_form_leaves_it_off(
        self, admin_page: Client, sent: dict[str, object]
    ) -> None:
        probe = self.deep()

        response = admin_page.post(
            reverse("accept", args=[probe.pk]), sent, follow=True
        )

        probe.refresh_from_db()
        assert not probe.enabled
        said = [str(message) for message in response.context["messages"]]
        assert said
        assert all(text.startswith(("Model: ", "Credits a day")) for text in said)

    def test_without_a_key_or_models_it_says_what_is_lacking(
        self, admin_page: Client
    ) -> None:
        probe = make_probe(
            team=make_team(), kind=ProbeKind.DEEP_JOB, enabled=False, period_s=900
        )

        assert "no virtual key yet" in page(admin_page, "probe", probe.pk)

    def test_it_can_be_switched_off_again(self, admin_page: Client) -> None:
        probe = self.deep()
        Probe.objects.update(enabled=True)

        admin_page.post(reverse("stop", args=[probe.pk]))

        probe.refresh_from_db()
        assert not probe.enabled


class TestTeams:
    def test_a_team_tells_its_credits_and_its_key_by_its_end_only(
        self, admin_page: Client
    ) -> None:
        team = make_team(name=HOSTILE)
        set_key(team, CANARY, NOW)
        make_reading(team, -120, remaining=120.0)

        text = page(admin_page, "team", team.pk)

        assert "12 % left (120 of 1,000 credits)" in text
        assert "120 s ago" in text or "2 min ago" in text
        assert "too few readings" in text
        assert "••••tail" in text
        assert CANARY not in text
        assert HOSTILE not in text

    def test_a_team_without_key_says_what_waits_for_one(
        self, admin_page: Client
    ) -> None:
        text = page(admin_page, "team", make_team().pk)

        assert "balance and job probes wait for one" in text
        assert "no reading yet" in text

    def test_unknown_credits_are_not_zero(self, admin_page: Client) -> None:
        team = make_team()
        make_reading(team, remaining=None, allocated=None)

        assert "unknown" in page(admin_page, "team", team.pk)

    def test_the_team_that_runs_out_first_is_first(self, admin_page: Client) -> None:
        for name, left in (("Rich", 900.0), ("Poor", 10.0)):
            make_reading(make_team(name=name), remaining=left)

        text = page(admin_page, "teams")

        assert text.index("Poor") < text.index("Rich")

    def test_the_timeline_has_notes_and_mails(
        self, admin_page: Client, admin: User
    ) -> None:
        incident = make_incident(resolved_at=NOW)
        Notification.objects.create(
            incident=incident,
            change=Change.OPENED,
            recipient="ops@example.com",
            state=Delivery.SENT,
            created_at=NOW,
            due_at=NOW,
            sent_at=NOW,
        )
        address = reverse("note", args=[incident.pk])

        admin_page.post(address, {"text": f"  Restarted the proxy {HOSTILE} "})
        admin_page.post(address, {"text": "  "})

        assert incident.events.count() == 1
        text = page(admin_page, "incident", incident.pk)
        assert "Restarted the proxy" in text
        assert "opened, to ops@example.com" in text
        assert HOSTILE not in text

    def test_an_incident_names_what_it_speaks_for(self, admin_page: Client) -> None:
        greater = make_incident(summary="The gateway is down")
        make_incident(summary="A probe fails", inhibited_by=greater)

        assert "A probe fails" in page(admin_page, "incident", greater.pk)

    @pytest.mark.parametrize("number", [3, 30])
    def test_the_list_asks_a_constant_number_of_queries(
        self,
        admin_page: Client,
        number: int,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        gateway = make_gateway()
        for _ in range(number):
            make_reading(make_team(gateway))

        with django_assert_max_num_queries(8):
            page(admin_page, "teams")


class TestIncidents:
    def test_open_ones_come_first(self, admin_page: Client) -> None:
        make_incident(summary="Old and over", resolved_at=NOW)
        make_incident(summary="Still on", opened_at=NOW - timedelta(days=3))

        text = page(admin_page, "incidents")

        assert text.index("Still on") < text.index("Old and over")
        assert "Old and over" not in page(admin_page, "incidents", query="?state=open")

    def test_one_tells_its_evidence_and_who_was_told(self, admin_page: Client) -> None:
        incident = make_incident(
            value=0.5,
            limit=0.2,
            samples=90,
            error_class="server_error",
            evidence={"classes": {"server_error": 45}, "details": [HOSTILE]},
        )
        Notification.objects.create(
            incident=incident,
            change=Change.OPENED,
            recipient="ops@example.com",
            state=Delivery.SENT,
            created_at=NOW,
            due_at=NOW,
            sent_at=NOW,
        )

        text = page(admin_page, "incident", incident.pk)

        assert "50 %" in text
        assert "limit 20 %" in text
        assert "ops@example.com" in text
        assert HOSTILE not in text

    def test_a_value_is_told_in_its_unit(self, admin_page: Client) -> None:
        low = make_incident(kind=RuleKind.CREDITS, value=1200.0, limit=2000.0)
        down = make_incident(kind=RuleKind.GATEWAY_DOWN, value=0.75, limit=0.5)

        left, share = (page(admin_page, "incident", i.pk) for i in (low, down))

        assert "1,200 credits" in left
        assert "limit 2,000 credits" in left
        assert "75 %" in share
        assert "limit 50 %" in share

    def test_the_first_to_acknowledge_stays_named(
        self, admin_page: Client, admin: User
    ) -> None:
        incident = make_incident()
        address = reverse("acknowledge", args=[incident.pk])

        admin_page.post(address)
        other = Client()
        other.force_login(User.objects.create_superuser("second"))
        other.post(address)

        incident.refresh_from_db()
        assert incident.acknowledged_by == admin
        assert "Acknowledged by root" in page(admin_page, "incident", incident.pk)

    @pytest.mark.parametrize("number", [3, 30])
    def test_the_list_asks_a_constant_number_of_queries(
        self,
        admin_page: Client,
        number: int,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for _ in range(number):
            make_incident(make_team())

        with django_assert_max_num_queries(6):
            page(admin_page, "incidents")

    @pytest.mark.parametrize("query", ["?page=2", "?page=-1", "?page=x", "?state=x"])
    def test_odd_addresses_are_answered(self, admin_page: Client, query: str) -> None:
        page(admin_page, "incidents", query=query)


class TestMail:
    def queued(self, **fields: object) -> Notification:
        defaults = {
            "incident": make_incident(),
            "change": Change.OPENED,
            "recipient": "ops@example.com",
            "created_at": NOW,
            "due_at": NOW,
        }
        return Notification.objects.create(**{**defaults, **fields})

    def test_a_dead_mail_can_be_tried_again(self, admin_page: Client) -> None:
        dead = self.queued(state=Delivery.DEAD, attempts=9, last_error="550 no")

        assert "550 no" in page(admin_page, "mail")
        admin_page.post(reverse("retry", args=[dead.pk]))

        dead.refresh_from_db()
        assert (dead.state, dead.attempts) == (Delivery.QUEUED, 0)

    def test_a_sent_mail_can_be_read(self, admin_page: Client) -> None:
        self.queued(state=Delivery.SENT, subject="It broke", body=HOSTILE)

        text = page(admin_page, "mail")

        assert "It broke" in text
        assert HOSTILE not in text

    def test_without_a_mail_server_it_says_so(
        self, admin_page: Client, settings: Settings
    ) -> None:
        settings.EMAIL_CONFIGURED = False

        text = page(admin_page, "mail")

        assert "Mail is not set up" in text
        assert "EMAIL_URL=submission://" in text
        assert "Send a test" not in text

    def test_with_nothing_waiting_nothing_is_the_oldest(
        self, admin_page: Client
    ) -> None:
        self.queued(state=Delivery.SENT)

        assert "the oldest from" not in page(admin_page, "mail")

    def test_the_demo_does_not_tell_of_a_mail_server(
        self, admin_page: Client, settings: Settings
    ) -> None:
        settings.DEMO = True

        response = admin_page.post(
            reverse("test_mail"), {"to": "me@example.com"}, follow=True
        )

        assert "The demo sends nothing" in response.content.decode()

    def test_a_test_mail_goes_out(self, admin_page: Client) -> None:
        response = admin_page.post(
            reverse("test_mail"), {"to": "me@example.com"}, follow=True
        )

        assert "took it" in response.content.decode()
        assert outgoing.outbox[0].to == ["me@example.com"]

    def test_a_wrong_address_is_refused(self, admin_page: Client) -> None:
        response = admin_page.post(
            reverse("test_mail"), {"to": "a@b\nBcc: c@d"}, follow=True
        )

        assert "not a mail address" in response.content.decode()
        assert not outgoing.outbox

    def test_it_says_when_nobody_would_be_told(
        self, admin_page: Client, admin: User
    ) -> None:
        assert "Nobody is told" not in page(admin_page, "mail")

        User.objects.filter(pk=admin.pk).update(email="")

        assert "Nobody is told" in page(admin_page, "mail")
