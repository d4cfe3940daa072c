from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from django_q.models import OrmQ

from dashboard.pipeline.shift import Shift, revive
from dashboard.probes.models import Heartbeat

pytestmark = pytest.mark.django_db
TICK = "dashboard.pipeline.tick"


def queued() -> list[str]:
    return [row.task["func"] for row in OrmQ.objects.all()]


def test_only_one_shift_begins() -> None:
    with Shift("tick-0", TICK) as first:
        with Shift("tick-0", TICK) as second:
            assert first.begun
            assert not second.begun
        assert first.renew(), "a shift that never began must not end the other's lease"

    with Shift("tick-0", TICK) as third:
        assert third.begun


def test_a_shift_hands_over_to_its_successor() -> None:
    with Shift("tick-0", TICK) as shift:
        shift.hand_over()

        assert queued() == [TICK]
        with Shift("tick-0", TICK) as successor:
            assert successor.begun


def test_a_chain_that_broke_is_revived_once() -> None:
    with Shift("tick-0", TICK):
        revive("tick-0", TICK, timezone.now())
        assert queued() == []
    long_after = timezone.now() + timedelta(minutes=1)

    revive("tick-0", TICK, long_after)
    revive("tick-0", TICK, long_after + timedelta(seconds=2))

    assert queued() == [TICK]
    assert Heartbeat.objects.get(name="tick-0").queued_at == long_after


@pytest.mark.django_db(transaction=True)
def test_a_shift_outlives_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = [0.0]
    monkeypatch.setattr(Shift, "monotonic", lambda _: seconds[0])
    with Shift("tick-0", TICK) as shift:
        seconds[0] += 10
        with connection.execute_wrapper(away):
            assert shift.renew(), "nobody else can have taken the lease"
            shift.hand_over()

    assert queued() == []


def away(*_: object) -> None:
    raise OperationalError
