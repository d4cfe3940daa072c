"""Managers run their own team: key, probes, members, recipients, limits."""

import re
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.alerts.models import Rule, Silence
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import change, watch_team
from dashboard.rows import locked
from dashboard.teams.keys import hint, resolve
from dashboard.teams.models import AuditEntry, Gateway, Membership, Role, Team
from tests.factories import NOW, make_outcome, make_team
from tests.web.people import UNTIL_ONE_WAITS, at_once, person, send

pytestmark = pytest.mark.django_db
CANARY = "sk-canary-0123456789-tail"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("part", ["member", "rule", "cost", "run", "silence"])
def test_who_is_removed_while_he_waits_changes_nothing(
    alice: Client, team: Team, part: str
) -> None:
    """C-07: he was let in as a manager, and is none when his turn comes."""
    held = threading.Event()
    person("bob")
    paid = Probe.objects.get(kind=ProbeKind.DEEP_JOB)
    cost: dict[str, object] = {"model": "chat-fast", "daily_credit_cap": 5}
    acts: dict[str, tuple[str, dict[str, object]]] = {
        "member": (reverse("team_settings", args=[team.pk]), {"user": "bob"}),
        "rule": (reverse("team_rule", args=[team.pk, "credits"]), {"warn_at": 0.5}),
        "cost": (reverse("accept", args=[paid.pk]), cost),
        "run": (reverse("run", args=[Probe.objects.all()[0].pk]), {}),
        "silence": (
            reverse("silences"),
            {"team": team.pk, "hours": 4, "kind": "", "reason": "not now"},
        ),
    }
    address, sent = acts[part]
    before = list(Probe.objects.order_by("pk").values())

    def remove() -> int:
        with transaction.atomic():
            locked(Probe, ["enabled"], [probe.pk for probe in Probe.objects.all()])
            locked(Team, ["status"], [team.pk])
            held.set()
            with connection.cursor() as cursor:
                cursor.execute(UNTIL_ONE_WAITS)
            return Membership.objects.all().delete()[0]

    def act() -> int:
        held.wait(5)
        told = {"part": part, "role": "manager", **sent}
        return alice.post(address, told).status_code

    assert at_once(remove, act) == [1, 404]
    assert not Membership.objects.exists()
    assert not Rule.objects.filter(team=team).exists()
    assert not Silence.objects.exists()
    assert list(Probe.objects.order_by("pk").values()) == before


class TestKey:
    def test_it_is_not_kept_for_an_address_that_nobody_saw(
        self, alice: Client, team: Team
    ) -> None:
        """C-06: the page was open while an administrator changed the gateway."""
        page = alice.get(reverse("team_settings", args=[team.pk]))
        place = page.context["forms"].key["place"].value()
        Gateway.objects.update(base_url="https://other.example.com")

        text = send(alice, team, "key", key=CANARY, place=place)

        assert "has another address" in text
        assert not Team.objects.get().has_key
        assert "other.example" not in text

    def test_it_is_tried_at_once(self, alice: Client, team: Team) -> None:
        """And not when the balance is due next, with a mistake in it till then."""
        later = NOW + timedelta(minutes=5)
        watch_team(team, NOW)
        Probe.objects.update(enabled=True, next_run=later)

        assert "the balance is read with it now" in send(alice, team, "key", key=CANARY)

        due = Probe.objects.filter(next_run__lte=timezone.now())
        assert [probe.kind for probe in due] == [ProbeKind.BALANCE]
        Probe.objects.update(enabled=False)
        assert "the next probes send it" in send(alice, team, "key", key=CANARY)

    def test_it_is_set_and_only_its_end_is_shown(
        self, alice: Client, team: Team
    ) -> None:
        """C-02."""
        text = send(alice, team, "key", key=CANARY)

        team.refresh_from_db()
        key = resolve(team)
        assert key is not None
        assert key.reveal() == CANARY
        assert "••••tail" in text
        assert CANARY not in text
        assert AuditEntry.objects.get(action="key_set").actor == "alice"

    def test_one_that_cannot_be_sent_is_refused_without_showing_it(
        self, alice: Client, team: Team
    ) -> None:
        """C-02."""
        text = send(alice, team, "key", key=f"{CANARY} x")

        assert "not printable" in text
        assert CANARY not in text

    @pytest.mark.parametrize("typed", ["env:HOME", "file:/etc/passwd"])
    def test_a_manager_may_not_refer_to_what_is_not_his(
        self, typed: str, alice: Client, admin_page: Client, team: Team
    ) -> None:
        """C-08."""
        assert "may not refer" in send(alice, team, "key", key=typed)
        assert hint(Team.objects.get()) == ""

        send(admin_page, team, "key", key=typed)
        assert hint(Team.objects.get()) == typed

    @pytest.mark.parametrize(
        ("seconds", "error", "told"),
        [
            (None, "", "waiting for the first read"),
            # Begun with the key of before.
            (-1, "", "waiting for the first read"),
            (1, "", "accepted the balance was read with it"),
            (1, "auth_failed", "key refused 9 s ago"),
            (1, "server_error", "not known the latest read: Server error"),
        ],
    )
    def test_the_page_says_what_came_of_it(
        self, alice: Client, team: Team, seconds: int | None, error: str, told: str
    ) -> None:
        send(alice, team, "key", key=CANARY)
        Team.objects.update(key_set_at=NOW - timedelta(seconds=10))
        at = None if seconds is None else NOW - timedelta(seconds=10 - seconds)
        balance = Probe.objects.filter(kind=ProbeKind.BALANCE)
        balance.update(last_at=at, last_error=error)
        address = reverse("team_settings", args=[team.pk])

        whole = alice.get(address).content.decode()
        part = alice.get(address, headers={"HX-Request": "true"}).content.decode()

        for text in (whole, part):
            assert told in " ".join(re.sub("<[^>]+>", " ", text).split())
        assert ("data-live" in whole) is ("waiting" in told)
        assert "<form" not in part

    def test_it_is_forgotten(self, alice: Client, team: Team) -> None:
        asked = send(alice, team, "key", key=CANARY)
        send(alice, team, "forget_key")

        assert not Team.objects.get().has_key
        # No one click does it: what cannot be undone is asked once more.
        assert "never comes back" in asked
        [forget] = re.findall(r"<details.*?</details>", asked, re.DOTALL)[:1]
        assert "Nothing brings it back" in forget
        assert forget.count("<button") == asked.count("Forget it for good") == 1


class TestProbes:
    def fields(self, **changed: object) -> dict[str, object]:
        told: dict[str, object] = {}
        for probe in Probe.objects.all():
            told[f"probe-{probe.pk}-period_s"] = probe.period_s
            if probe.enabled:
                told[f"probe-{probe.pk}-enabled"] = "on"
        return {**told, **changed}

    def test_a_period_and_a_switch_are_set_and_noted(
        self, alice: Client, team: Team
    ) -> None:
        status = Probe.objects.get(kind=ProbeKind.TEAM_STATUS)
        fields = self.fields(**{f"probe-{status.pk}-period_s": 30})
        del fields[f"probe-{status.pk}-enabled"]

        send(alice, team, "probes", **fields)

        status.refresh_from_db()
        assert (status.period_s, status.enabled) == (30, False)
        entry = AuditEntry.objects.get(action="probe")
        assert entry.detail == "period from 60 s to 30 s, switched off"

    def test_a_period_too_short_changes_nothing(
        self, alice: Client, team: Team
    ) -> None:
        """C-20."""
        status = Probe.objects.get(kind=ProbeKind.TEAM_STATUS)

        text = send(
            alice, team, "probes", **self.fields(**{f"probe-{status.pk}-period_s": 1})
        )

        assert "greater than or equal to 5" in text
        assert not AuditEntry.objects.filter(action="probe").exists()

    def test_a_paid_one_is_neither_switched_on_nor_made_dearer_here(
        self, alice: Client, team: Team
    ) -> None:
        """C-21: consent is given where the cost stands."""
        deep = Probe.objects.get(kind=ProbeKind.DEEP_JOB)
        streamed = Probe.objects.get(kind=ProbeKind.STREAM_JOB)
        Probe.objects.filter(pk=streamed.pk).update(enabled=True)
        forged = {
            f"probe-{deep.pk}-enabled": "on",
            f"probe-{streamed.pk}-period_s": 5,
        }

        send(alice, team, "probes", **self.fields(**forged))

        deep.refresh_from_db()
        streamed.refresh_from_db()
        assert not deep.enabled
        assert (streamed.enabled, streamed.period_s) == (True, 900)

    def test_what_it_costs_a_day_is_said_before(
        self, alice: Client, team: Team
    ) -> None:
        text = alice.get(reverse("team_settings", args=[team.pk])).content.decode()

        assert "96 credits a day at one each, and at most 4,800 tokens" in text

    def test_a_pause_stops_all_and_what_was_off_stays_off_after_it(
        self, alice: Client, team: Team
    ) -> None:
        own = Probe.objects.filter(team=team)
        own.filter(kind=ProbeKind.BALANCE).update(enabled=False)
        own.filter(kind=ProbeKind.DEEP_JOB).update(enabled=True, cost_accepted_at=NOW)

        before = alice.get(reverse("team_settings", args=[team.pk])).content.decode()
        paused = send(alice, team, "pause")
        assert not own.filter(enabled=True).exists()
        assert "Resume watching" in paused
        assert "1 paid probe waits until the cost is accepted once more" in before
        resumed = send(alice, team, "resume")

        assert [probe.kind for probe in own.filter(enabled=True)] == ["team_status"]
        assert "1 paid probe waits: accept the cost once more" in resumed
        assert not own.filter(paused=True).exists()

    def test_what_is_switched_by_hand_is_no_matter_of_the_pause(
        self, alice: Client, team: Team
    ) -> None:
        balance = Probe.objects.get(kind=ProbeKind.BALANCE)
        send(alice, team, "pause")
        balance.refresh_from_db()
        change(balance, period_s=300, enabled=True, now=NOW)
        balance.refresh_from_db()
        change(balance, period_s=300, enabled=False, now=NOW)

        send(alice, team, "resume")

        balance.refresh_from_db()
        assert not balance.enabled

    def test_where_no_pause_is_remembered_all_free_ones_are_resumed(
        self, alice: Client, team: Team
    ) -> None:
        Probe.objects.filter(team=team).update(enabled=False)

        send(alice, team, "resume")

        on = Probe.objects.filter(team=team, enabled=True)
        assert {probe.kind for probe in on} == {"team_status", "balance"}

    def test_a_probe_of_another_team_is_out_of_reach(
        self, alice: Client, team: Team
    ) -> None:
        """C-21."""
        other = make_team(team.gateway)
        watch_team(other, NOW)
        theirs = Probe.objects.get(team=other, kind=ProbeKind.BALANCE)

        send(alice, team, "probes", **self.fields(**{f"probe-{theirs.pk}-period_s": 7}))

        theirs.refresh_from_db()
        assert theirs.period_s == 300


def test_a_cap_that_stops_its_probes_at_once_says_so(alice: Client, team: Team) -> None:
    deep = Probe.objects.get(kind=ProbeKind.DEEP_JOB)
    Probe.objects.filter(pk=deep.pk).update(enabled=True)
    make_outcome(deep, credits=30.0)

    asked = alice.get(reverse("team_settings", args=[team.pk])).content.decode()
    low = send(alice, team, "details", daily_credit_cap=48)
    spent = send(alice, team, "details", daily_credit_cap=20)

    assert "30 credits spent by its probes today (UTC)" in asked
    assert "switched on cost 96 a day" in asked
    assert "Its paid probes stop at about 12:00 UTC each day." in low
    assert "30 credits are spent today, so its paid probes wait" in spent


def test_what_a_manager_may_not_do_is_said_with_who_does_it(
    alice: Client, admin_page: Client, team: Team
) -> None:
    address = reverse("team_settings", args=[team.pk])
    told = "A site administrator sets up the rest"

    assert told in alice.get(address).content.decode()
    assert told not in admin_page.get(address).content.decode()


def test_a_team_cannot_be_moved_or_renamed_into_another(
    alice: Client, team: Team
) -> None:
    """C-21: only its name here and its cap are its managers'."""
    send(
        alice,
        team,
        "details",
        name="Acme",
        daily_credit_cap=20,
        team_id="globex",
        gateway=99,
        key_sealed="x",
    )

    team.refresh_from_db()
    assert (team.name, team.daily_credit_cap) == ("Acme", 20)
    assert (team.team_id, team.key_sealed) == ("acme", "")


def test_an_unknown_part_changes_nothing(alice: Client, team: Team) -> None:
    before = list(Team.objects.values())

    send(alice, team, "__init__")

    assert list(Team.objects.values()) == before


def test_the_page_asks_the_same_for_many_members(
    alice: Client, team: Team, django_assert_max_num_queries: object
) -> None:
    """C-20."""
    for number in range(30):
        person(f"user{number}", team, Role.VIEWER)
    with django_assert_max_num_queries(40):  # type: ignore[operator]
        alice.get(reverse("team_settings", args=[team.pk]))


def test_jobs_that_took_no_credit_are_a_hint_on_the_teams_page(
    alice: Client, team: Team
) -> None:
    address = reverse("team", args=[team.pk])
    assert "Credit not applied" not in alice.get(address).content.decode()

    deep = Probe.objects.get(kind=ProbeKind.DEEP_JOB)
    Probe.objects.filter(pk=deep.pk).update(enabled=True, cost_accepted_at=NOW)
    make_outcome(deep, -60)

    assert "1 completed job of the last day took no credit" in (
        alice.get(address).content.decode()
    )
