"""What happens to an incident after it opened: reminders, acknowledgement, timeline."""

from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.alerts import lifecycle
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import (
    Change,
    Event,
    EventKind,
    Incident,
    Notification,
    Rule,
    RuleKind,
)
from dashboard.alerts.services import evaluate_all, install_default_rules
from dashboard.probes.models import Probe
from dashboard.teams.models import Team
from tests.alerts.conftest import after, make_incident, make_recipient, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import (
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db
HOUR = 3600


@pytest.fixture(autouse=True)
def _alone(settings: Settings) -> None:
    """Judge credits only, and send what is due at once."""
    settings.MAIL_GROUP_WAIT_S = settings.MAIL_GROUP_INTERVAL_S = 0
    install_default_rules()
    Rule.objects.exclude(kind=RuleKind.CREDITS).update(enabled=False)
    make_recipient()


class World:
    """One team whose credits are read each hour; mails go to a real server."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.team: Team = make_team()
        self.probe: Probe = make_probe(self.team)

    def at(self, hour: float, remaining: float) -> None:
        seconds = hour * HOUR
        make_reading(self.team, seconds, remaining=remaining)
        make_outcome(self.probe, seconds)
        Probe.objects.filter(pk=self.probe.pk).update(last_at=after(seconds))
        evaluate_all(after(seconds))
        deliver(after(seconds + 1))

    @property
    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.mailbox.messages]

    @property
    def incident(self) -> Incident:
        return Incident.objects.get()


@pytest.fixture
def world(mailbox: Mailbox) -> World:
    return World(mailbox)


def user() -> User:
    return User.objects.create_superuser("ann", "ann@example.org")


@pytest.mark.slow
def test_an_alarm_is_repeated_every_four_hours(world: World) -> None:
    """A-55: until it is over."""
    for quarter in range(9 * 4):
        world.at(quarter / 4, 150)
    world.at(9, 900)

    first, *reminders, last = world.subjects
    assert "WARNING" in first
    assert [subject.split(" ")[1:3] for subject in reminders] == [
        ["STILL", "WARNING"],
        ["STILL", "WARNING"],
    ]
    assert "RESOLVED" in last


def test_a_reminder_is_part_of_the_thread_and_says_how_to_end_them(
    world: World,
) -> None:
    """A-54, A-55."""
    world.at(0, 150)
    world.at(4.1, 150)

    first, reminder = world.mailbox.messages
    assert reminder["In-Reply-To"] == first["Message-ID"]
    body = reminder.get_body(("plain",))
    assert body is not None
    assert "again every 4 h until somebody acknowledges" in body.get_content()


def test_reminders_can_be_switched_off(world: World, settings: Settings) -> None:
    settings.MAIL_REPEAT_S = 0
    for hour in range(12):
        world.at(hour, 150)

    assert len(world.subjects) == 1


def test_acknowledged_it_is_not_repeated_until_it_is_worse(world: World) -> None:
    """A-58: who, when and a note; A-55: worse is told at once, and counts anew."""
    world.at(0, 150)
    assert lifecycle.acknowledge(world.incident, user(), after(60), "I add some")
    for hour in range(1, 9):
        world.at(hour, 150)
    assert len(world.subjects) == 1

    world.at(9, 50)

    assert "CRITICAL" in world.subjects[1]
    assert world.incident.acknowledged_at is None
    world.at(12, 50)
    assert len(world.subjects) == 2
    world.at(13.1, 50)
    assert "STILL CRITICAL" in world.subjects[2]


def test_easing_is_not_mailed(world: World) -> None:
    """A-55."""
    world.at(0, 90)
    world.at(1, 120)

    assert len(world.subjects) == 1


def test_two_evaluators_queue_one_reminder(world: World) -> None:
    """A-50."""
    world.at(0, 150)
    for _ in range(2):
        lifecycle.remind([world.incident], after(5 * HOUR))

    assert Notification.objects.filter(change=Change.REPEATED).count() == 1


def test_a_reminder_that_waits_is_withdrawn_with_the_end(world: World) -> None:
    """A-54: nobody hears that it lasts after it is over."""
    world.at(0, 150)
    lifecycle.remind([world.incident], after(5 * HOUR))
    world.at(5.1, 900)

    assert len(world.subjects) == 2
    assert "RESOLVED" in world.subjects[1]


def timeline(incident: Incident) -> list[tuple[str, datetime]]:
    return list(Event.objects.filter(incident=incident).values_list("kind", "at"))


def test_the_timeline_tells_everything_in_order(world: World) -> None:
    world.at(0, 150)
    lifecycle.acknowledge(world.incident, user(), after(60), "I am on it")
    lifecycle.note(world.incident, EventKind.NOTE, after(120), "asked finance")
    world.at(1, 50)
    world.at(2, 900)

    assert timeline(world.incident) == [
        ("opened", after(0)),
        ("acknowledged", after(60)),
        ("note", after(120)),
        ("escalated", after(HOUR)),
        ("resolved", after(2 * HOUR)),
    ]


def test_what_got_worse_while_another_spoke_for_it_is_told_after_all(
    world: World,
) -> None:
    """A-57: an escalation is not lost with its inhibitor."""
    world.at(0, 150)
    greater = Incident.objects.create(
        kind=RuleKind.GATEWAY_DOWN,
        identity="gateway_down:test",
        gateway=world.team.gateway,
        severity="critical",
        summary="down",
        opened_at=after(60),
        evaluated_at=after(60),
    )
    Incident.objects.filter(kind=RuleKind.CREDITS).update(inhibited_by=greater)
    make_reading(world.team, HOUR, remaining=50)
    incident = Incident.objects.get(kind=RuleKind.CREDITS)
    incident.level, incident.severity = "critical", "critical"
    incident.save()
    greater.resolved_at = after(HOUR)
    greater.save()

    world.at(1.5, 50)

    assert "CRITICAL" in world.subjects[-1]


def test_thousands_are_reminded_of_and_ended_in_as_many_queries_as_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """A-04, A-54, A-55: two thousand teams of one gateway recover in the same round."""
    gateway = make_gateway()
    one, *others = [tell(make_incident(gateway)) for _ in range(8)]
    Notification.objects.update(state="sent", sent_at=after(0))

    def live(incidents: list[Incident]) -> None:
        lifecycle.remind(incidents, after(5 * HOUR))
        lifecycle.resolve(incidents, after(6 * HOUR))

    with CaptureQueriesContext(connection) as asked:
        live([one])
    with django_assert_num_queries(len(asked)):
        live(others)

    for change, state in ((Change.REPEATED, "dropped"), (Change.RESOLVED, "queued")):
        rows = Notification.objects.filter(change=change, state=state)
        assert set(rows.values_list("incident", flat=True)) == {
            each.pk for each in (one, *others)
        }
    assert Event.objects.filter(kind=EventKind.RESOLVED).count() == 8
    lifecycle.resolve(others, after(7 * HOUR))
    assert Event.objects.filter(kind=EventKind.RESOLVED).count() == 8
