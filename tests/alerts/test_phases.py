"""Pending, easing, flapping: what is remembered from one evaluation to the next."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from pytest_django import Settings

from dashboard.alerts.delivery import deliver
from dashboard.alerts.lifecycle import acknowledge
from dashboard.alerts.models import Event, Incident, Pending, Rule, RuleKind
from dashboard.alerts.rules import CALM, Act, Phase, Step, act
from dashboard.alerts.services import evaluate, evaluate_all, install_default_rules
from dashboard.probes.models import Heartbeat, Outcome, Probe
from tests.alerts.conftest import after, make_recipient
from tests.factories import NOW, make_outcome, make_probe, make_reading, make_team

WAIT_S = 60


@pytest.mark.parametrize(
    ("step", "phase", "done"),
    [
        (Step.FIRE, Phase(), Act.WAIT),
        (Step.FIRE, Phase(since=NOW - timedelta(seconds=59)), Act.WAIT),
        (Step.FIRE, Phase(since=NOW - timedelta(seconds=60)), Act.OPEN),
        (Step.HOLD, Phase(since=NOW - timedelta(seconds=60)), Act.NOTHING),
        (Step.CLEAR, Phase(since=NOW), Act.FORGET),
        (Step.CLEAR, Phase(), Act.NOTHING),
        (Step.FIRE, Phase(is_open=True), Act.KEEP),
        (Step.CLEAR, Phase(is_open=True), Act.EASE),
        (Step.CLEAR, Phase(True, NOW - timedelta(seconds=59)), Act.EASE),
        (Step.CLEAR, Phase(True, NOW - timedelta(seconds=60)), Act.RESOLVE),
        (Step.HOLD, Phase(True, NOW), Act.FORGET),
        (Step.HOLD, Phase(is_open=True), Act.NOTHING),
    ],
)
def test_what_a_verdict_does(step: Step, phase: Phase, done: Act) -> None:
    """A-51."""
    assert act(step, phase, WAIT_S, NOW) is done


def test_without_a_wait_it_opens_and_ends_at_once() -> None:
    assert act(Step.FIRE, Phase(), 0, NOW) is Act.OPEN
    assert act(Step.CLEAR, Phase(is_open=True), 0, NOW) is Act.RESOLVE


class World:
    """One team whose credits are read and judged every 15 s; mails go at once."""

    every_s = 15

    def __init__(self) -> None:
        self.team = make_team()
        self.probe = make_probe(self.team)
        self.seconds = 0

    def live(self, seconds: int, remaining: float, *, deliveries: bool = True) -> None:
        for _ in range(seconds // self.every_s):
            self.seconds += self.every_s
            now = after(self.seconds)
            make_reading(self.team, self.seconds, remaining=remaining)
            Probe.objects.filter(pk=self.probe.pk).update(last_at=now)
            evaluate_all(now)
            if deliveries:
                deliver(now)

    def flap(self, times: int) -> None:
        """Come and go, each time for long enough that the recovery goes out."""
        for _ in range(times):
            self.live(60, 150)
            self.live(120, 900)

    @property
    def subjects(self) -> list[str]:
        return [str(message.subject).split(" ", 2)[1] for message in mail.outbox]


def states() -> list[bool]:
    return [i.is_open for i in Incident.objects.order_by("opened_at")]


@pytest.mark.django_db
class TestOnTheDatabase:
    @pytest.fixture
    def world(self, settings: Settings) -> World:
        settings.MAIL_GROUP_WAIT_S = settings.MAIL_GROUP_INTERVAL_S = 0
        install_default_rules()
        Rule.objects.exclude(kind=RuleKind.CREDITS).update(enabled=False)
        make_recipient()
        return World()

    @pytest.fixture
    def slow_world(self, world: World) -> World:
        """Judge every 30 s: seldomer would pass for a pause."""
        world.every_s = 30
        return world

    def test_it_is_pending_until_it_has_held_long_enough(self, world: World) -> None:
        """A-51."""
        Rule.objects.filter(kind=RuleKind.CREDITS).update(for_s=60)
        world.live(60, 150)
        assert states() == []
        assert Pending.objects.get().since == after(15)

        world.live(15, 150)

        assert states() == [True]
        assert not Pending.objects.exists()

    def test_what_was_good_meanwhile_is_pending_anew(self, world: World) -> None:
        """A-51."""
        Rule.objects.filter(kind=RuleKind.CREDITS).update(for_s=60)
        world.live(60, 150)
        world.live(15, 900)
        assert not Pending.objects.exists()
        world.live(60, 150)

        assert states() == []

    @pytest.mark.parametrize("judge", ["flush", "round"])
    def test_time_in_which_nobody_judged_is_no_evidence(
        self, world: World, judge: str
    ) -> None:
        """A-51, A-83: pending restarts after a pause, whoever looks first."""
        Rule.objects.filter(kind=RuleKind.CREDITS).update(for_s=60)
        world.live(30, 150)
        world.seconds += 3600
        make_reading(world.team, world.seconds, remaining=150)
        if judge == "flush":
            evaluate({world.probe.pk}, after(world.seconds))
        else:
            evaluate_all(after(world.seconds))
        assert states() == []
        assert Pending.objects.get().since == after(world.seconds)

        world.live(75, 150)
        assert states() == [True]

    def test_it_ends_when_it_has_been_good_long_enough(self, world: World) -> None:
        """A-51: and a pause says nothing of that either."""
        Rule.objects.filter(kind=RuleKind.CREDITS).update(keep_s=60)
        world.live(15, 150)
        world.live(60, 900)
        assert states() == [True]
        world.seconds += 3600
        world.live(60, 900)
        assert states() == [True]
        world.live(15, 900)

        assert states() == [False]

    def test_it_goes_on_when_it_fires_again_meanwhile(self, world: World) -> None:
        """A-51: one alarm, not two."""
        Rule.objects.filter(kind=RuleKind.CREDITS).update(keep_s=60)
        world.live(15, 150)
        world.live(45, 900)
        world.live(15, 150)
        world.live(60, 900)

        assert states() == [True]
        assert world.subjects == ["WARNING"]

    @pytest.mark.slow
    def test_one_that_flaps_is_told_once_more_and_then_at_its_end(
        self, slow_world: World
    ) -> None:
        """A-53: quiet until it has been calm for half an hour."""
        slow_world.flap(6)
        noisy = ["WARNING", "RESOLVED", "WARNING", "RESOLVED", "WARNING"]
        assert slow_world.subjects == noisy
        assert "comes and goes" in mail.outbox[-1].body

        slow_world.live(int(CALM.total_seconds()) + 120, 900)

        assert slow_world.subjects == [*noisy, "RESOLVED"]
        assert states() == [False, False, False]
        kinds = Event.objects.values_list("kind", flat=True)
        assert list(kinds).count("flapping") == 1

    @pytest.mark.slow
    def test_one_that_flapped_and_stays_is_told_so_once(
        self, slow_world: World
    ) -> None:
        """A-53: one final notice of its state."""
        slow_world.flap(3)
        before = len(mail.outbox)
        slow_world.live(int(CALM.total_seconds()) + 120, 150)

        assert slow_world.subjects[before:] == ["STILL"]
        assert Incident.objects.get(resolved_at=None).flapping_since is None
        slow_world.live(600, 150)
        assert len(mail.outbox) == before + 1

    @pytest.mark.slow
    def test_one_that_stays_is_not_told_to_who_is_on_it(
        self, slow_world: World
    ) -> None:
        """A-58."""
        slow_world.flap(3)
        before = len(mail.outbox)
        user = User.objects.create(username="ann")
        incident = Incident.objects.get(resolved_at=None)
        acknowledge(incident, user, after(slow_world.seconds))
        slow_world.live(int(CALM.total_seconds()) + 120, 150)

        assert len(mail.outbox) == before
        assert Incident.objects.get(resolved_at=None).flapping_since is None

    @pytest.mark.slow
    def test_nobody_is_reminded_of_what_is_good_again(
        self, world: World, settings: Settings
    ) -> None:
        """A-55: while it is only waited for its end."""
        settings.MAIL_REPEAT_S = 120
        Rule.objects.filter(kind=RuleKind.CREDITS).update(keep_s=300)
        world.live(60, 150)
        world.live(240, 900)
        assert world.subjects == ["WARNING"]
        world.live(135, 150)

        assert world.subjects == ["WARNING", "STILL"]

    @pytest.mark.slow
    def test_four_changes_in_half_an_hour_are_not_yet_flapping(
        self, slow_world: World
    ) -> None:
        """A-53: at its limit."""
        slow_world.flap(2)
        slow_world.live(1800, 900)
        slow_world.live(60, 150)

        assert Incident.objects.get(resolved_at=None).flapping_since is None

    def test_worse_is_told_at_once_though_it_flaps(self, slow_world: World) -> None:
        """A-55."""
        slow_world.flap(3)
        slow_world.live(60, 50)

        assert slow_world.subjects[-1] == "CRITICAL"

    def test_the_clock_went_back(self, world: World) -> None:
        """A-03: one round is skipped and logged, and the next one judges."""
        Rule.objects.filter(kind=RuleKind.CREDITS).update(for_s=60)
        world.live(150, 150)
        assert states() == [True]
        world.live(30, 50)
        level = Incident.objects.get().level

        world.seconds -= 3600
        world.live(15, 0)
        assert Incident.objects.get().level == level
        world.live(30, 0)

        assert Incident.objects.get().level == "exhausted"
        assert Heartbeat.objects.get(name="evaluate").beat_at == after(world.seconds)


@pytest.mark.django_db
class TestLateRows:
    @pytest.fixture
    def probe(self) -> Probe:
        install_default_rules()
        make_recipient()
        return make_probe(make_team(), last_at=NOW)

    @pytest.mark.parametrize(
        ("ago", "opens"), [(lambda i: 3600 + 60 * i, False), (lambda i: 60 * i, True)]
    )
    def test_late_rows_raise_no_alarm_of_the_past(
        self, probe: Probe, ago: Callable[[int], int], *, opens: bool
    ) -> None:
        """A-02: what happened an hour ago changes charts, not the alarms of then."""
        for i in range(5):
            make_outcome(probe, -ago(i), error_class="server_error")
        evaluate({probe.pk}, NOW)

        assert Incident.objects.exists() is opens

    def test_late_good_rows_do_not_rewrite_what_was_told(self, probe: Probe) -> None:
        """A-02."""
        for i in range(5):
            make_outcome(probe, -60 * i, error_class="server_error")
        evaluate({probe.pk}, NOW)
        before = Incident.objects.values().get()
        for i in range(30):
            make_outcome(probe, -3600 - i)
        evaluate({probe.pk}, after(1))

        assert Incident.objects.values().get() == before

    def test_rows_from_the_future_are_left_out(self, probe: Probe) -> None:
        """A-03."""
        for i in range(5):
            make_outcome(probe, 61 + 60 * i, error_class="server_error", misdated=True)
        evaluate({probe.pk}, NOW)
        evaluate({probe.pk}, after(400))

        assert not Incident.objects.exists()
        assert Outcome.objects.filter(misdated=True).count() == 5

    def test_credits_from_the_future_are_left_out(self, probe: Probe) -> None:
        """A-03: after the clock went back the latest reading is not yet true."""
        assert probe.team is not None
        make_reading(probe.team, 3600, remaining=900)
        make_reading(probe.team, -30, remaining=50)
        evaluate({probe.pk}, NOW)

        assert Incident.objects.get().level == "critical"
