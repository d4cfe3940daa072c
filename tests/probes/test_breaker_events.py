"""The diary of the breakers: what is kept of their changes, and a person's force."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from apiclient import Transition
from apiclient.breaker import BreakerRow, BreakerState
from dashboard.probes.breaker_events import (
    event_of,
    force,
    forget_events,
    record_events,
)
from dashboard.probes.breaker_store import DatabaseBreakers, TickBreakers, as_row
from dashboard.probes.models import Breaker, BreakerEvent
from tests.factories import NOW, make_gateway

pytestmark = pytest.mark.django_db

KEY = "gateway.example|acme|POST /api/jobs/create"
OPEN = BreakerRow(
    failures=5,
    open_until=NOW.timestamp() + 60,
    opened_at=NOW.timestamp(),
    generation=1,
    version=7,
    reason="server_error",
)


def told(before: BreakerState, after: BreakerState) -> Transition:
    return Transition(KEY, before, after, "server_error", 5)


def stored_open() -> Breaker:
    gateway = make_gateway()
    DatabaseBreakers(gateway.pk).swap(KEY, BreakerRow(), OPEN)
    return Breaker.objects.get()


@pytest.mark.parametrize(
    ("before", "after", "is_kept"),
    [
        (BreakerState.CLOSED, BreakerState.OPEN, True),
        (BreakerState.OPEN, BreakerState.HALF_OPEN, False),
        (BreakerState.HALF_OPEN, BreakerState.OPEN, False),
        (BreakerState.HALF_OPEN, BreakerState.CLOSED, True),
        (BreakerState.OPEN, BreakerState.CLOSED, True),
    ],
)
def test_openings_and_closings_are_kept_but_not_every_trial(
    before: BreakerState, after: BreakerState, *, is_kept: bool
) -> None:
    assert (event_of(1, told(before, after), NOW) is not None) is is_kept


def test_a_force_is_kept_with_who_and_when() -> None:
    breaker, root = stored_open(), User.objects.create_user("root")

    assert force(breaker, BreakerState.FORCED_OPEN, root, NOW)

    event = BreakerEvent.objects.get()
    assert (event.before, event.after) == ("open", "forced_open")
    assert (event.actor, event.at, event.reason) == (root, NOW, "server_error")
    breaker.refresh_from_db()
    assert breaker.forced == "forced_open"


def test_a_reset_closes_it_and_a_second_one_is_nothing_new() -> None:
    breaker, root = stored_open(), User.objects.create_user("root")

    assert force(breaker, None, root, NOW)
    breaker.refresh_from_db()
    assert not force(breaker, None, root, NOW)

    assert as_row(breaker).open_until == 0
    assert BreakerEvent.objects.count() == 1


def test_a_breaker_that_was_deleted_meanwhile_is_not_made_again() -> None:
    """C-22: it would be forced for the team that gets its id next."""
    breaker, root = stored_open(), User.objects.create_user("root")
    Breaker.objects.all().delete()

    assert not force(breaker, BreakerState.FORCED_OPEN, root, NOW)

    assert not Breaker.objects.exists()
    assert not BreakerEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_force_wins_over_what_a_worker_has_not_written_yet() -> None:
    breaker, root = stored_open(), User.objects.create_user("root")
    worker = TickBreakers(breaker.gateway_id)
    worker.refresh([breaker], {})
    ahead = BreakerRow(failures=9, generation=2, version=9)
    assert worker.swap(KEY, OPEN, ahead)

    force(breaker, BreakerState.FORCED_OPEN, root, NOW)
    worker.flush()
    worker.flush()

    breaker.refresh_from_db()
    assert breaker.forced == "forced_open"
    assert worker.load(KEY).forced == "forced_open"


def test_old_events_are_forgotten() -> None:
    gateway = make_gateway()
    for days in (1, 40):
        event = event_of(
            gateway.pk,
            told(BreakerState.CLOSED, BreakerState.OPEN),
            NOW - timedelta(days=days),
        )
        assert event is not None
        record_events([event])

    assert forget_events(NOW - timedelta(days=30)) == 1
    assert BreakerEvent.objects.count() == 1
