"""A probe's page: its numbers, its charts, and what may be done there."""

from datetime import timedelta
from secrets import token_urlsafe

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.alerts.models import (
    Rule,
    RuleKind,
    Silence,
)
from dashboard.alerts.services import install_default_rules
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
from dashboard.teams.models import AuditEntry, Team
from dashboard.web.pages.costs import when_reached
from tests.alerts.conftest import make_incident
from tests.factories import (
    NOW,
    make_outcome,
    make_probe,
    make_team,
)
from tests.web.looking import CANARY, HOSTILE, page

pytestmark = pytest.mark.django_db


def seen(probe: Probe, *outcomes: Outcome) -> None:
    """Fold outcomes, and note the latest one on the probe, as recording does."""
    fold(outcomes)
    probe.last_at = outcomes[-1].started_at
    probe.last_error = outcomes[-1].error_class
    probe.save()
    Heartbeat.objects.get_or_create(name="tick-0", defaults={"beat_at": NOW})


class TestProbe:
    def test_a_new_probe_waits(self, admin_page: Client) -> None:
        text = page(admin_page, "probe", make_probe().pk)

        assert "Waiting for the first result" in text
        assert "No data in this time" in text

    def test_one_that_waits_for_its_teams_key_leads_to_where_it_is_set(
        self, alice: Client, team: Team
    ) -> None:
        probe = Probe.objects.get(team=team, kind=ProbeKind.BALANCE)

        text = page(alice, "probe", probe.pk)

        key = f"{reverse('team_settings', args=[team.pk])}#key"
        assert f'<a href="{key}">Set the key</a>' in text
        assert "it waits for the team&#x27;s key" in text
        assert "Probe now" not in text

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
    def test_it_asks_fifteen_queries_at_most(
        self,
        admin_page: Client,
        number: int,
        query: str,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        probe = make_probe(team=make_team())
        seen(probe, *(make_outcome(probe, -60 * n) for n in range(number, 0, -1)))
        for _ in range(number):
            make_incident(probe.gateway, probe.team, probe)

        install_default_rules()

        with django_assert_max_num_queries(15):
            page(admin_page, "probe", probe.pk, query=query)

    def test_why_it_failed_comes_before_the_charts(self, admin_page: Client) -> None:
        """And a breaker that is closed takes no room."""
        probe = make_probe()
        seen(probe, make_outcome(probe, -60, error_class="timeout"))

        text = page(admin_page, "probe", probe.pk)

        assert text.index("Why it failed") < text.index("Latency of successes")
        assert "Breaker over time" in text
        assert "Circuit breaker" not in text

    def test_it_says_when_slowness_can_be_judged(self, admin_page: Client) -> None:
        """A-20: twenty runs, which is twenty minutes by default."""
        install_default_rules()
        probe = make_probe()
        good = [make_outcome(probe, -60 * n) for n in range(20, 0, -1)]

        seen(probe, *good[12:])
        assert "needs 12 more runs, about 12 min" in page(admin_page, "probe", probe.pk)
        seen(probe, *good[:12])
        judged = page(admin_page, "probe", probe.pk)
        assert "not judged yet" not in judged
        assert "slow where the p95 of its last 30 min is above 15 s." in judged
        Rule.objects.filter(kind=RuleKind.LATENCY).update(warn_at=800)
        assert "is above 800 ms." in page(admin_page, "probe", probe.pk)
        waiting = make_probe(make_team(), kind=ProbeKind.BALANCE)
        assert "not judged yet" not in page(admin_page, "probe", waiting.pk)

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
        incident = make_incident(
            probe.gateway,
            probe.team,
            probe,
            summary="Half of it fails",
            opened_at=NOW - timedelta(minutes=10),
        )
        make_incident(summary="Somebody else's")
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
        team = make_team(model_aliases=["gpt-4o-mini", "m" * 121])
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

    def test_what_is_called_now_stays_where_only_the_cap_is_changed(
        self, admin_page: Client
    ) -> None:
        """C-18: though the gateway lists it no more; and another model is told."""
        probe = self.deep()
        address = reverse("accept", args=[probe.pk])
        asked = {"model": "gpt-4o-mini", "daily_credit_cap": 50}
        admin_page.post(address, asked)
        Team.objects.update(model_aliases=["other"])

        shown = page(admin_page, "probe", probe.pk)
        admin_page.post(address, {**asked, "daily_credit_cap": 60})
        admin_page.post(address, {"model": "other", "daily_credit_cap": 60})

        assert '<option value="gpt-4o-mini" selected>' in shown
        *_, lower, other = AuditEntry.objects.order_by("pk")
        assert lower.detail.endswith("at most 60 credits a day, 50 before")
        assert other.detail.endswith("; model from gpt-4o-mini to other")

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
            # A gateway may tell longer names than are kept; PostgreSQL refuses the row.
            {"model": "m" * 121, "daily_credit_cap": 50},
            {"model": "gpt-4o-mini", "daily_credit_cap": -1},
            {"model": "gpt-4o-mini", "daily_credit_cap": 0},
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

    def test_a_cap_of_less_than_one_run_is_refused(
        self, alice: Client, team: Team
    ) -> None:
        Team.objects.update(
            key_sealed="x", budget_mode="consumption_tokens", tokens_per_credit=5
        )
        address = reverse("accept", args=[self.of(team).pk])
        sent = {"model": "chat-fast", "daily_credit_cap": 9}

        said = alice.post(address, sent, follow=True).content.decode()
        assert "One run may cost 10 credits: with less it never runs." in said
        assert not Probe.objects.get(pk=self.of(team).pk).enabled

        alice.post(address, {**sent, "daily_credit_cap": 10})
        assert Probe.objects.get(pk=self.of(team).pk).enabled

    def test_what_a_low_cap_comes_to_is_said_at_once(
        self, alice: Client, team: Team
    ) -> None:
        Team.objects.update(key_sealed="x")
        shown, address = self.of(team).pk, reverse("accept", args=[self.of(team).pk])
        sent = {"model": "chat-fast", "daily_credit_cap": 20}

        before = page(alice, "probe", shown)
        low = alice.post(address, sent, follow=True).content.decode()
        Team.objects.update(daily_credit_cap=0)
        of_team = alice.post(address, sent, follow=True).content.decode()
        Probe.objects.filter(pk=shown).update(
            capped_on=NOW.date(), last_at=NOW, last_error="config_error"
        )
        reached = page(alice, "probe", shown)

        assert "With fewer than 96 it stops before the day is over" in before
        assert "it stops at about 05:00 UTC each day" in low
        assert (
            "It waits until midnight UTC: the team&#x27;s cap of 0 credits" in of_team
        )
        assert "The team&#x27;s cap of 0 credits a day is reached" in reached

    @pytest.mark.parametrize(
        ("cap", "told"),
        [
            (96, ""),
            (95, "at about 23:45 UTC each day"),
            (1, "at about 00:15 UTC each day"),
        ],
    )
    def test_a_cap_lasts_until_a_time_of_the_day(self, cap: int, told: str) -> None:
        assert when_reached(cap, 96) == told

    def test_a_reached_cap_says_what_to_do_and_is_changed_where_it_is_shown(
        self, alice: Client, team: Team
    ) -> None:
        """C-18: and a change of one that is on is no run more, nor switches one on."""
        later = NOW + timedelta(minutes=9)
        probes = Probe.objects.filter(pk=self.of(team).pk)
        probes.update(
            enabled=True,
            daily_credit_cap=1,
            capped_on=NOW.date(),
            last_at=NOW,
            last_error="config_error",
            next_run=later,
        )
        Team.objects.update(key_sealed="x")
        address = reverse("accept", args=[self.of(team).pk])
        sent = {"model": "chat-fast", "daily_credit_cap": 40, "change": 1}

        before = page(alice, "probe", self.of(team).pk)
        after = alice.post(address, sent, follow=True).content.decode()

        assert "goes on after midnight UTC" in before
        assert "Mend the probe" not in before
        assert "Change the model or the cap" in before
        assert "it goes on." in after
        assert (self.of(team).daily_credit_cap, self.of(team).next_run) == (40, later)
        line = AuditEntry.objects.get(action="probe")
        assert line.detail == "cost accepted, at most 40 credits a day, 1 before"
        probes.update(enabled=False)
        said = alice.post(address, sent, follow=True).content.decode()
        assert "switched off meanwhile" in said
        assert not self.of(team).enabled

    @staticmethod
    def of(team: Team) -> Probe:
        return Probe.objects.get(team=team, kind=ProbeKind.DEEP_JOB)

    def test_what_is_no_model_is_kept_in_no_message(self, admin_page: Client) -> None:
        """C-20: a megabyte each time, in the session until somebody looks at a page."""
        address = reverse("accept", args=[self.deep().pk])

        for number in range(3):
            said = f"{number}no-model{token_urlsafe(30_000)}"
            admin_page.post(address, {"model": said})

        assert all(len(each.session_data) < 2000 for each in Session.objects.all())
        assert "no-model" not in str(admin_page.get("/").content)

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
