"""Digests, reports and the self-test: when they are due, and what they say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db.models.signals import post_init
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.alerts import regular
from dashboard.alerts.delivery import deliver
from dashboard.alerts.models import (
    Change,
    Delivery,
    Incident,
    Notification,
    Rule,
    RuleKind,
    Subscription,
)
from dashboard.alerts.regular import queue_due
from dashboard.alerts.reports import period_of, report
from dashboard.alerts.services import install_default_rules
from dashboard.rollups.services import fold
from dashboard.teams.models import Membership, Team
from tests.alerts.conftest import make_incident, make_recipient, tell
from tests.alerts.mailbox import Mailbox
from tests.factories import (
    make_gateway,
    make_outcome,
    make_probe,
    make_reading,
    make_team,
)

pytestmark = pytest.mark.django_db

# Monday 2 March 2026, 12:00 UTC.
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOME = "https://watch.example"


@pytest.fixture(autouse=True)
def _quiet(settings: Settings) -> None:
    settings.SELF_TEST = False
    settings.PUBLIC_URL = HOME


def reader(name: str = "rita", **fields: object) -> Subscription:
    user = User.objects.create_user(name, f"{name}@example.org")
    Membership.objects.create(user=user, team=make_team())
    return Subscription.objects.create(user=user, **{"daily": True, **fields})


def queued() -> list[tuple[str, str]]:
    rows = Notification.objects.filter(incident=None).order_by("pk")
    return list(rows.values_list("change", "level"))


def test_two_users_of_one_address_get_a_report_each(mailbox: Mailbox) -> None:
    """Else nobody is told of the second one's teams."""
    readers = [reader("rita"), reader("rolf")]
    for number, each in enumerate(readers):
        make_probe(make_team(name=f"Team {number}"))
        Membership.objects.create(
            user=each.user, team=Team.objects.get(name=f"Team {number}")
        )
    User.objects.update(email="both@example.org")

    assert [queue_due(NOON), queue_due(NOON + timedelta(hours=1))] == [2, 0]
    deliver(NOON + timedelta(hours=1))

    ends = [message["List-Unsubscribe"] for message in mailbox.messages]
    assert len(set(ends)) == 2


def letter() -> EmailMultiAlternatives:
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    return message


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("zone", "moment", "due"),
    [
        ("UTC", "2026-03-03T07:59+00:00", 0),
        ("UTC", "2026-03-03T08:00+00:00", 1),
        ("Asia/Tokyo", "2026-03-02T22:59+00:00", 0),
        ("Asia/Tokyo", "2026-03-02T23:00+00:00", 1),
        # Clocks go forward on this Sunday.
        ("Europe/Berlin", "2026-03-29T05:59+00:00", 0),
        ("Europe/Berlin", "2026-03-29T06:00+00:00", 1),
    ],
)
def test_a_digest_is_due_at_the_readers_own_hour(
    zone: str, moment: str, due: int
) -> None:
    reader(time_zone=zone)

    assert queue_due(at(moment)) == due


def test_each_comes_once_for_its_period_and_a_report_on_mondays() -> None:
    reader(weekly=True)

    counts = [queue_due(NOON + timedelta(hours=12 * half)) for half in range(15)]

    assert sum(counts) == 10
    changes = [change for change, _ in queued()]
    assert (changes.count("daily"), changes.count("weekly")) == (8, 2)
    assert ("weekly", "2026-W10") in queued()


def test_it_begins_on_the_day_on_which_it_was_asked_for_to() -> None:
    reader(weekly=True, daily_from=NOON.date() + timedelta(days=1))

    assert queue_due(NOON) == 1
    assert queue_due(NOON + timedelta(days=1)) == 1
    assert queued() == [("weekly", "2026-W10"), ("daily", "2026-03-03")]
    Subscription.objects.update(weekly_from=NOON.date() + timedelta(days=8))
    assert queue_due(NOON + timedelta(days=7)) == 1


def test_nobody_gets_what_he_did_not_ask_for(settings: Settings) -> None:
    reader("off", daily=False)
    # He would read that nothing is watched.
    reader("alone").user.memberships.all().delete()
    reader("gone").user.delete()
    without = reader("without")
    User.objects.filter(pk=without.user.pk).update(email="")
    inactive = reader("inactive")
    User.objects.filter(pk=inactive.user.pk).update(is_active=False)
    assert queue_due(NOON) == 0

    reader("rita")
    settings.EMAIL_CONFIGURED = False
    assert queue_due(NOON) == 0


@pytest.mark.parametrize(
    ("meanwhile", "sent"),
    [
        (lambda: Subscription.objects.update(daily=False), ["weekly"]),
        (lambda: User.objects.update(is_active=False), []),
        (lambda: User.objects.update(email="new@example.org"), []),
        (lambda: None, ["daily", "weekly"]),
    ],
    ids=["unsubscribed", "inactive", "moved", "as before"],
)
def test_a_queued_report_goes_only_to_who_wants_it_still(
    meanwhile: Callable[[], object], sent: list[str]
) -> None:
    reader(weekly=True)
    assert queue_due(NOON) == 2

    meanwhile()
    deliver(NOON)

    states = dict(Notification.objects.values_list("change", "state"))
    assert [name for name, state in sorted(states.items()) if state == "sent"] == sent
    assert set(states.values()) <= {Delivery.SENT, Delivery.DROPPED}
    assert len(mail.outbox) == len(sent)


def test_a_period_is_whole_days_of_the_readers_zone() -> None:
    wanted = reader(time_zone="Europe/Berlin")

    day = period_of(Change.DAILY, wanted, at("2026-03-30T07:00+00:00"))
    # The day on which the clocks went forward has 23 hours.
    assert (day.start, day.end) == (
        at("2026-03-29T00:00+01:00"),
        at("2026-03-30T00:00+02:00"),
    )
    assert day.words == "Sunday, 29 March 2026"
    week = period_of(Change.WEEKLY, wanted, at("2026-03-30T07:00+00:00"))
    assert week.start == at("2026-03-23T00:00+01:00")
    assert week.words == "23 March to 29 March 2026"


def live_through_a_day(team: Team, failures: int = 4) -> None:
    """Store a Sunday with four failures of forty, and a Saturday without any."""
    probe = make_probe(team)
    for day, bad in ((-2, 0), (-1, failures)):
        fold(
            [
                make_outcome(
                    probe,
                    day * 86_400 + 60 * place,
                    error_class="server_error" if place < bad else "",
                    latency_us=100_000 * -day,
                )
                for place in range(40)
            ]
        )


def test_two_gateways_teams_of_one_name_are_told_apart() -> None:
    wanted = reader()
    for gateway in ("Production", "Staging"):
        team = make_team(make_gateway(name=gateway), name="Acme")
        Membership.objects.create(user=wanted.user, team=team)
        live_through_a_day(team)
        make_reading(team)

    told = report(wanted.user, wanted, Change.DAILY, HOME, NOON)

    apart = {"Acme at Production", "Acme at Staging"}
    assert {line.name for line in told.places} == {f"Team {name}" for name in apart}
    assert {line.name for line in told.credits} == apart
    assert [line.samples for line in told.places] == [40, 40]


def test_no_name_mixes_one_teams_numbers_with_anothers() -> None:
    """A manager may call his team as he likes, also as a mail would tell another."""
    wanted = reader()
    production, staging = make_gateway(name="Production"), make_gateway(name="Staging")
    for gateway, team_id, name, failures in (
        (production, "a", "Acme", 0),
        (staging, "b", "Acme", 40),
        (production, "c", "Acme at Staging", 0),
        (production, "d", "Acme", 4),
    ):
        team = make_team(gateway, team_id=team_id, name=name)
        Membership.objects.create(user=wanted.user, team=team)
        live_through_a_day(team, failures)
        make_reading(team)

    told = report(wanted.user, wanted, Change.DAILY, HOME, NOON)

    available = {line.name: line.availability for line in told.places}
    assert available == {
        "Team Acme (a) at Production": "100.00 %",
        "Team Acme (b) at Staging": "0.00 %",
        "Team Acme at Staging (c) at Production": "100.00 %",
        "Team Acme (d) at Production": "90.00 %",
    }
    assert {f"Team {line.name}" for line in told.credits} == set(available)


def test_a_digest_tells_of_the_day_of_the_readers_teams_only() -> None:
    team, strange = make_team(name="Acme"), make_team(name="Strange")
    wanted = reader()
    Membership.objects.create(user=wanted.user, team=team)
    live_through_a_day(team)
    make_reading(team, remaining=120.0)
    make_reading(strange)
    yesterday = NOON - timedelta(days=1)
    make_incident(team.gateway, team, opened_at=yesterday, summary="Acme fails")
    make_incident(strange.gateway, strange, opened_at=yesterday, summary="Secret")
    queue_due(NOON)

    assert deliver(NOON) == 1

    message = letter()
    assert message.subject == (
        "[Gatewatch] Yesterday: 90.00 % available, 1 incident, 1 still open"
    )
    ((html, _),) = message.alternatives
    for text in (str(message.body), str(html)):
        assert "Sunday, 1 March 2026 (UTC)" in text
        assert "Acme fails" in text
        assert "90.00 % available" in text
        assert "-10.00 points" in text
        assert "-50 %" in text
        assert "Server error. Look at the gateway" in text or ">4" in text
        assert "120 of 1,000" in text
        assert "read 2026-03-02 12:00 UTC" in text
        assert "Secret" not in text
        assert "Strange" not in text


def test_a_mail_that_is_late_tells_of_the_day_that_it_was_to_tell_of() -> None:
    reader()
    queue_due(NOON)
    deliver(NOON + timedelta(hours=20))

    assert "Sunday, 1 March 2026" in str(letter().body)


def test_one_click_ends_it(settings: Settings) -> None:
    """RFC 8058: the headers name an address to which one POST is enough."""
    wanted = reader()
    queue_due(NOON)
    deliver(NOON)

    headers = letter().extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = headers["List-Unsubscribe"].strip("<>")
    token = address.removeprefix(f"{HOME}/unsubscribe/").rstrip("/")
    assert regular.subscription_of(token) == (wanted, Change.DAILY)
    assert regular.subscription_of(token[:-1] + "x") is None
    assert address in str(letter().body)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one since then"
    assert regular.subscription_of(token) == (wanted, Change.DAILY)


def test_alarms_have_no_such_link() -> None:
    make_recipient()
    tell(make_incident())
    deliver(NOON + timedelta(minutes=1))

    assert "List-Unsubscribe" not in letter().extra_headers


def test_a_report_asks_a_constant_number_of_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    gateway = make_gateway()
    for _ in range(12):
        live_through_a_day(make_team(gateway))
        make_reading(Team.objects.latest("pk"))
    wanted = reader()
    User.objects.filter(pk=wanted.user.pk).update(is_superuser=True)
    user = User.objects.get(pk=wanted.user.pk)

    with django_assert_max_num_queries(20):
        told = report(user, wanted, Change.DAILY, HOME, NOON)

    assert len(told.places) == 12
    assert len(told.credits) == 12


@pytest.mark.parametrize(
    ("an_hour", "runway"),
    [
        (5.0, "about 20 h at the pace of the last 24 h"),
        # A burn that began 40 minutes ago; its page says so as well.
        (
            300.0,
            "about 59 min at the pace of the last hour, 13 h at that of the last 24 h",
        ),
    ],
)
def test_credits_last_as_long_as_at_the_fastest_pace_that_counts(
    an_hour: float, runway: str
) -> None:
    team, wanted = make_team(), reader()
    Membership.objects.create(user=wanted.user, team=team)
    for minute in range(24 * 60, 0, -10):
        left = 100 + 5 * minute / 60 + (an_hour - 5) * min(minute, 40) / 60
        make_reading(team, read_at=NOON - timedelta(minutes=minute), remaining=left)

    told = report(wanted.user, wanted, Change.DAILY, HOME, NOON)

    assert [line.runway for line in told.credits] == [runway]
    assert told.credits[0].read_at == NOON - timedelta(minutes=10)


def test_a_report_counts_incidents_and_reads_those_that_it_shows() -> None:
    """A gateway whose alarms come and go has a hundred thousand of them in a week."""
    gateway, ended = make_gateway(), NOON - timedelta(hours=20)
    for number in range(14):
        make_incident(
            gateway,
            opened_at=ended - timedelta(minutes=number),
            resolved_at=ended if number % 2 else None,
            summary=f"number {number}",
        )
    wanted = reader()
    User.objects.filter(pk=wanted.user.pk).update(is_superuser=True)
    user = User.objects.get(pk=wanted.user.pk)
    read: list[object] = []

    def note(sender: object, **_: object) -> None:
        read.append(sender)

    post_init.connect(note, sender=Incident)
    try:
        told = report(user, wanted, Change.DAILY, HOME, NOON)
    finally:
        post_init.disconnect(note, sender=Incident)

    assert len(read) == len(told.incidents) == 10
    assert (told.opened, told.still_open) == (14, 7)
    assert [each.is_open for each in told.incidents] == [True] * 7 + [False] * 3
    assert [each.summary for each in told.incidents[7:]] == [
        "number 1",
        "number 3",
        "number 5",
    ]


def test_a_made_up_alarm_goes_through_the_whole_chain(
    mailbox: Mailbox, settings: Settings
) -> None:
    """A-82: the rule fires, the outbox takes it, the mail arrives; its time is kept."""
    settings.SELF_TEST = True
    User.objects.create_superuser("root", "root@example.org", "x")
    install_default_rules()

    assert queue_due(NOON.replace(hour=6)) == 0
    assert queue_due(NOON) == 1
    assert queue_due(NOON + timedelta(hours=3)) == 0
    assert deliver(NOON + timedelta(seconds=4), monotonic=lambda: 0.0) == 1

    row = Notification.objects.get()
    assert row.sent_at == NOON + timedelta(seconds=4)
    (message,) = mailbox.messages
    assert message["To"] == "root@example.org"
    assert "an alarm would reach you" in message["Subject"]
    assert not Incident.objects.exists()
    assert queue_due(NOON + timedelta(days=1)) == 1


def test_a_rule_that_says_nothing_sends_no_self_test(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A mail in spite of it would prove a chain that is broken."""
    settings.SELF_TEST_TO = ["ops@example.org"]
    install_default_rules()
    Rule.objects.filter(kind=RuleKind.ERROR_RATE).update(min_samples=1000)

    assert regular.queue_self_test(NOON) == 0
    assert "self_test.rule_is_silent" in caplog.text


def test_a_teams_own_rule_silences_no_self_test(settings: Settings) -> None:
    """Its managers say how many runs it needs, and its name may come first."""
    settings.SELF_TEST_TO = ["ops@example.org"]
    install_default_rules()
    Rule.objects.create(
        name="A", kind=RuleKind.ERROR_RATE, team=make_team(), min_samples=1000
    )

    assert regular.queue_self_test(NOON) == 1


def test_the_self_test_can_be_asked_for_again_and_again(settings: Settings) -> None:
    settings.SELF_TEST_TO = ["ops@example.org"]

    assert regular.queue_self_test(NOON) == 1
    assert regular.queue_self_test(NOON + timedelta(seconds=1)) == 1
    assert deliver(NOON + timedelta(seconds=2)) == 2
