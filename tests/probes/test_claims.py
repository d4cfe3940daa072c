from collections.abc import Sequence
from datetime import timedelta

import pytest

from dashboard.probes import claims, services
from dashboard.probes.kinds import CHEAP, PAID
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.teams import keys
from tests.factories import NOW, make_gateway, make_probe, make_team

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def claim(now: object = NOW, **more: object) -> list[Probe]:
    arguments = {"most": 10, **more}
    return claims.claim_due(CHEAP, now, **arguments)  # type: ignore[arg-type]


def test_a_due_probe_is_claimed_once() -> None:
    probe = make_probe(next_run=NOW)

    assert claim() == [probe]
    assert claim() == []


def test_a_claimed_probe_keeps_its_rhythm() -> None:
    probe = make_probe(next_run=NOW - timedelta(seconds=3), period_s=60)

    claim()

    probe.refresh_from_db()
    assert probe.next_run == NOW + timedelta(seconds=57)


def test_missed_runs_are_not_made_up_for() -> None:
    probe = make_probe(next_run=NOW - timedelta(hours=3, seconds=10), period_s=60)

    claim()

    probe.refresh_from_db()
    assert probe.next_run == NOW + timedelta(seconds=50)


def test_a_run_that_is_very_late_counts_for_the_next_one() -> None:
    probe = make_probe(next_run=NOW - timedelta(seconds=58), period_s=60)

    claim()

    probe.refresh_from_db()
    assert probe.next_run == NOW + timedelta(seconds=62)


def test_a_clock_that_went_back_leaves_nobody_unwatched() -> None:
    ahead = NOW + timedelta(hours=1)
    stuck = make_probe(period_s=60, next_run=ahead, leased_until=ahead)
    seldom = make_probe(period_s=3600, next_run=ahead)

    assert claims.follow_clock(NOW) == 1

    assert claim() == [stuck]
    seldom.refresh_from_db()
    assert seldom.next_run == ahead


def test_a_run_in_flight_is_not_started_again_until_its_lease_ends() -> None:
    make_probe(next_run=NOW, period_s=5)
    claim()

    assert claim(NOW + timedelta(seconds=6)) == []
    # 5 s deadline and 20 s margin: the worker that had it must be dead.
    assert len(claim(NOW + timedelta(seconds=26))) == 1


def test_what_was_given_back_comes_before_what_ran() -> None:
    probes = [make_probe(make_team(), next_run=NOW) for _ in range(3)]
    claims.give_back(claim()[1:])
    again = claim(NOW + MINUTE)
    Probe.objects.filter(pk=probes[1].pk).update(last_at=NOW)
    Probe.objects.filter(pk=probes[2].pk).update(last_at=NOW - MINUTE)
    claims.give_back(again)

    assert again == [*probes[1:], probes[0]]
    assert claim(NOW + MINUTE) == [probes[0], probes[2], probes[1]]


def test_what_somebody_has_claimed_since_is_not_given_back() -> None:
    make_probe(next_run=NOW)
    [ours] = claim()
    theirs = claim(NOW + 2 * MINUTE)

    claims.give_back([ours])

    assert Probe.objects.get().leased_until == theirs[0].leased_until


def test_a_full_gateway_waits_and_another_does_not() -> None:
    dead, alive = make_gateway(), make_gateway()
    make_probe(gateway=dead)
    other = make_probe(gateway=alive)

    assert claim(running={dead.pk: 3}, most_per_gateway=3) == [other]


def test_one_claim_gives_a_gateway_no_more_than_its_share() -> None:
    busy, calm = make_gateway(), make_gateway()
    first, second = (make_probe(make_team(busy), next_run=NOW) for _ in range(2))
    other = make_probe(gateway=calm, next_run=NOW)

    claimed = claim(running={busy.pk: 2}, most_per_gateway=3)

    assert sorted(probe.pk for probe in claimed) == [first.pk, other.pk]
    second.refresh_from_db()
    assert (second.next_run, second.leased_until) == (NOW, None)


def test_each_gateway_gets_half_of_what_the_others_leave() -> None:
    first, second = make_gateway(), make_gateway()
    for gateway in [first] * 8 + [second] * 8:
        make_probe(make_team(gateway), next_run=NOW)

    claimed = claim(most=8, most_per_gateway=8)
    more = claim(most=4, running={first.pk: 4}, most_per_gateway=8)

    assert [probe.gateway_id for probe in claimed] == [first.pk] * 4
    assert [probe.gateway_id for probe in more] == [second.pk] * 2


def test_probes_that_are_off_or_not_due_stay() -> None:
    make_probe(enabled=False)
    make_probe(next_run=NOW + MINUTE)

    assert claim() == []


def test_a_probe_can_be_claimed_a_little_ahead_of_its_moment() -> None:
    soon = NOW + timedelta(seconds=0.4)
    probe = make_probe(next_run=soon, period_s=60)
    make_probe(next_run=NOW + timedelta(seconds=0.6))

    [claimed] = claim(until=NOW + timedelta(seconds=0.5))

    assert claimed == probe
    assert claims.starts_at(claimed) == soon
    assert claimed.next_run == soon + MINUTE


def test_a_late_probe_starts_at_once() -> None:
    make_probe(next_run=NOW - timedelta(seconds=50), period_s=60)

    [claimed] = claim()

    assert claims.starts_at(claimed) == NOW


def test_a_probe_that_needs_a_key_waits_for_one() -> None:
    team = make_team()
    balance = make_probe(team, kind=ProbeKind.BALANCE)
    assert claim() == []

    keys.set_key(team, "sk-something", NOW)

    assert claim() == [balance]


def test_default_probes_are_made_once_and_paid_ones_are_off() -> None:
    team = make_team()

    for _ in range(2):
        services.watch_gateway(team.gateway, NOW)
        services.watch_team(team, NOW)

    rows = Probe.objects.values_list("kind", "period_s", "enabled")
    assert set(rows) == {
        ("health", 60, True),
        ("team_status", 60, True),
        ("balance", 300, True),
        ("key_check", 900, False),
        ("deep_job", 900, False),
        ("stream_job", 900, False),
    }
    assert Probe.objects.count() == 6


def test_teams_that_are_added_together_are_not_probed_together() -> None:
    """B-16."""
    gateway = make_gateway()
    for _ in range(10):
        services.watch_team(make_team(gateway), NOW)

    probes = Probe.objects.filter(kind=ProbeKind.TEAM_STATUS)
    moments = probes.values_list("next_run", flat=True)
    assert len(set(moments)) == 10
    assert max(moments) < NOW + timedelta(seconds=12)


def test_accepting_the_cost_switches_a_deep_probe_on(django_user_model: type) -> None:
    user = django_user_model.objects.create_user("alice")  # type: ignore[attr-defined]
    team = make_team()
    keys.set_key(team, "sk-something", NOW)
    services.watch_team(team, NOW)
    probe = Probe.objects.get(kind=ProbeKind.DEEP_JOB)
    assert claims.claim_due(PAID, NOW + MINUTE, most=5) == []
    # A run ended since the page was read.
    Probe.objects.update(last_error="timeout")

    services.accept_cost(
        probe, user=user, model="chat-fast", daily_credit_cap=96, now=NOW
    )

    assert claims.claim_due(PAID, NOW + MINUTE, most=5) == [probe]
    assert Probe.objects.get(pk=probe.pk).last_error == "timeout"


class TestRecord:
    def outcome(self, probe: Probe, seconds: float = 0, error: str = "") -> Outcome:
        return Outcome(
            probe_id=probe.pk,
            started_at=NOW + timedelta(seconds=seconds),
            latency_us=1000,
            elapsed_us=1000,
            attempts=1,
            error_class=error,
        )

    def test_the_latest_outcome_stands_on_the_probe(self) -> None:
        probe = make_probe(leased_until=NOW + MINUTE)

        services.record([self.outcome(probe, 5, "timeout"), self.outcome(probe)], NOW)

        probe.refresh_from_db()
        assert probe.leased_until is None
        assert (probe.last_at, probe.last_error) == (
            NOW + timedelta(seconds=5),
            "timeout",
        )
        assert probe.failing_since == probe.last_at

    @pytest.mark.parametrize(
        ("errors", "since"),
        [
            (["timeout", "timeout"], 0),
            (["timeout", ""], None),
            (["", "timeout"], 1),
            (["timeout", "internal_error"], 0),
            (["internal_error"], None),
            (["breaker_held"], None),
        ],
    )
    def test_failing_since_counts_only_what_the_gateway_did(
        self, errors: Sequence[str], since: int | None
    ) -> None:
        probe = make_probe()
        for second, error in enumerate(errors):
            services.record([self.outcome(probe, second, error)], NOW)

        probe.refresh_from_db()
        expected = None if since is None else NOW + timedelta(seconds=since)
        assert probe.failing_since == expected

    def test_an_outcome_of_a_deleted_probe_is_left_out(self) -> None:
        probe, other = make_probe(), make_probe()
        gone = self.outcome(other)
        other.delete()

        assert len(services.record([self.outcome(probe), gone], NOW)) == 1
        assert Outcome.objects.count() == 1

    def test_what_a_lost_commit_already_stored_is_not_doubled(self) -> None:
        probe = make_probe()
        services.record([self.outcome(probe)], NOW)

        again = services.record(
            [self.outcome(probe), self.outcome(probe, 5)], NOW, stored_before=True
        )

        assert [outcome.started_at for outcome in again] == [NOW + timedelta(seconds=5)]
        assert Outcome.objects.count() == 2

    def test_an_outcome_that_comes_late_does_not_pass_for_the_latest(self) -> None:
        probe = make_probe(leased_until=NOW + MINUTE)
        services.record([self.outcome(probe, 0)], NOW)

        services.record([self.outcome(probe, -30, "timeout")], NOW)

        probe.refresh_from_db()
        assert (probe.last_at, probe.last_error) == (NOW, "")
        assert probe.failing_since is None
        assert Outcome.objects.count() == 2

    @pytest.mark.parametrize(("ahead_s", "misdated"), [(60, False), (61, True)])
    def test_what_is_dated_in_the_future_is_stored_with_a_mark(
        self,
        ahead_s: int,
        misdated: bool,  # noqa: FBT001
    ) -> None:
        """A-03."""
        probe = make_probe(leased_until=NOW + MINUTE)

        services.record([self.outcome(probe, ahead_s, "timeout")], NOW)

        probe.refresh_from_db()
        assert Outcome.objects.get().misdated is misdated
        assert probe.leased_until is None
        assert probe.last_error == ("" if misdated else "timeout")

    def test_after_the_clock_went_back_results_are_the_latest_again(self) -> None:
        probe = make_probe(last_at=NOW + timedelta(hours=1), last_error="timeout")

        services.record([self.outcome(probe)], NOW)

        probe.refresh_from_db()
        assert (probe.last_at, probe.last_error) == (NOW, "")
