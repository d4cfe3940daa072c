from datetime import timedelta
from uuid import uuid4

import pytest

from dashboard.probes import heartbeats
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_a_lease_has_one_holder_until_it_ends() -> None:
    first, second = uuid4(), uuid4()

    assert heartbeats.lease("tick-0", first, NOW, 15)
    assert not heartbeats.lease("tick-0", second, NOW, 15)
    assert heartbeats.lease("tick-0", first, NOW + timedelta(seconds=3), 15)
    assert not heartbeats.lease("tick-0", second, NOW + timedelta(seconds=17), 15)
    assert heartbeats.lease("tick-0", second, NOW + timedelta(seconds=18), 15)
    assert not heartbeats.lease("tick-0", first, NOW + timedelta(seconds=19), 15)


def test_a_lease_from_before_the_clock_went_back_is_free() -> None:
    first, second = uuid4(), uuid4()
    heartbeats.lease("tick-0", first, NOW + timedelta(hours=1), 15)

    assert heartbeats.lease("tick-0", second, NOW, 15)
    assert not heartbeats.lease("tick-0", first, NOW - timedelta(seconds=30), 15)


def test_a_released_lease_is_free_at_once() -> None:
    first, second = uuid4(), uuid4()
    heartbeats.lease("tick-0", first, NOW, 15)

    heartbeats.release("tick-0", second)
    assert not heartbeats.lease("tick-0", second, NOW, 15)
    heartbeats.release("tick-0", first)
    assert heartbeats.lease("tick-0", second, NOW, 15)


def test_a_job_is_deserted_once_its_lease_and_our_patience_end() -> None:
    later = NOW + timedelta(seconds=20)
    assert not heartbeats.is_deserted("tick-0", NOW), (
        "it never ran: the schedule's matter"
    )
    heartbeats.lease("tick-0", uuid4(), NOW, 15)

    assert not heartbeats.is_deserted("tick-0", NOW + timedelta(seconds=14))
    assert heartbeats.is_deserted("tick-0", later)
    heartbeats.note_queued("tick-0", later)
    assert not heartbeats.is_deserted("tick-0", later + timedelta(seconds=9))
    assert heartbeats.is_deserted("tick-0", later + timedelta(seconds=11))
