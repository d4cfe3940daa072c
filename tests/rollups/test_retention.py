"""Each level is kept for its own time, in whole days."""

from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from dashboard.alerts import lifecycle
from dashboard.alerts.models import (
    Change,
    Event,
    EventKind,
    Incident,
    Notification,
)
from dashboard.pipeline import keep_house
from dashboard.probes.models import Outcome
from dashboard.rollups import retention
from dashboard.rollups.models import Level, Rollup
from dashboard.rollups.services import fold, prune
from dashboard.teams import audit
from dashboard.teams.models import AuditAction, CreditReading
from tests.alerts.conftest import make_incident, make_recipient, tell
from tests.factories import NOW, make_outcome, make_probe, make_reading, make_team

pytestmark = pytest.mark.django_db

DAY_S = 86400


@pytest.fixture(autouse=True)
def _retention(settings: Settings) -> None:
    settings.RETENTION_DAYS = {
        "raw": 3,
        "minute": 1,
        "hour": 5,
        "day": 7,
        "incident": 366,
    }


def test_each_level_loses_only_what_is_older_than_its_retention() -> None:
    team = make_team()
    probe = make_probe(team)
    for day in range(10):
        fold([make_outcome(probe, seconds=-day * DAY_S)])
        make_reading(team, seconds=-day * DAY_S)

    deleted = prune(NOW)

    assert deleted == {"raw": 6, "readings": 6, "minute": 8, "hour": 4, "day": 2}
    assert Outcome.objects.count() == CreditReading.objects.count() == 4
    left = Counter(Rollup.objects.values_list("level", flat=True))
    assert left == {Level.MINUTE: 2, Level.HOUR: 6, Level.DAY: 8}


def test_a_day_is_kept_whole() -> None:
    probe = make_probe()
    first_kept = NOW.replace(hour=0) - timedelta(days=3)
    kept = make_outcome(probe, started_at=first_kept)
    make_outcome(probe, started_at=first_kept - timedelta(microseconds=1))

    prune(NOW)

    assert list(Outcome.objects.all()) == [kept]


def test_more_than_a_batch_is_deleted() -> None:
    probe = make_probe()
    Outcome.objects.bulk_create(
        Outcome(
            probe=probe,
            started_at=NOW - timedelta(days=9, seconds=number),
            latency_us=1000,
            elapsed_us=1000,
            attempts=1,
        )
        for number in range(2001)
    )

    assert prune(NOW)["raw"] == 2001
    assert prune(NOW)["raw"] == 0


def test_a_batch_that_held_the_lock_too_long_makes_the_next_one_smaller() -> None:
    assert retention._next_size(1000, held_s=0.045) == 500
    assert retention._next_size(1000, held_s=0.015) == 1000
    assert retention._next_size(1000, held_s=0.001) == 2000
    assert retention._next_size(2000, held_s=0.001) == 2000
    assert retention._next_size(15, held_s=9.0) == 10


def test_the_command_says_what_it_deleted() -> None:
    make_outcome(make_probe())
    out = StringIO()

    call_command("prune", stdout=out)

    assert out.getvalue().startswith("Deleted: 1 raw, ")


def test_logs_sessions_and_regular_mails_end_too() -> None:
    """Each is written for ever."""
    now = timezone.now()
    fresh, old = now - timedelta(days=365), now - timedelta(days=367)
    for at in (fresh, old):
        audit.note(AuditAction.OTHER, "x", now=at)
        told = {"change": Change.DAILY, "recipient": "a@example.org", "due_at": at}
        Notification.objects.create(level=f"{at:%Y-%m-%d}", created_at=at, **told)
    for key, days in (("ended", -1), ("lasts", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=now + timedelta(days=days)
        )

    deleted = keep_house()

    assert deleted["audit entries"] == deleted["regular mails"] == 1
    assert deleted["ended sessions"] == 1
    assert Notification.objects.get().created_at == fresh
    assert Session.objects.get().session_key == "lasts"


def test_an_incident_goes_with_all_that_was_told_of_it_once_it_ended_long_ago() -> None:
    """What is open stays, however old, and so do its mails."""
    now = timezone.now()
    make_recipient()
    long_ago, since = now - timedelta(days=400), now - timedelta(days=367)
    ended = make_incident(opened_at=long_ago, resolved_at=since, summary="ended")
    make_incident(opened_at=since, resolved_at=since, inhibited_by=ended)
    make_incident(opened_at=long_ago, summary="open")
    make_incident(opened_at=long_ago, resolved_at=now, summary="just ended")
    for incident in Incident.objects.all():
        lifecycle.note(incident, EventKind.OPENED, incident.opened_at)
        tell(incident, incident.opened_at)

    deleted = keep_house()

    assert (deleted["incidents"], deleted["regular mails"]) == (2, 0)
    left = Incident.objects.order_by("pk")
    assert [each.summary for each in left] == ["open", "just ended"]
    for rows in (Notification.objects.all(), Event.objects.all()):
        assert list(rows.order_by("pk").values_list("incident", flat=True)) == [
            each.pk for each in left
        ]
