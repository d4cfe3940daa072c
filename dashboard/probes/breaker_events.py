"""The diary of the breakers: when each opened and closed, and who forced it.

Trials that failed are left out: while a gateway is down each breaker makes one a minute.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from apiclient import Transition
from apiclient.breaker import BreakerState, forced, state
from dashboard.probes.breaker_store import DatabaseBreakers, as_row
from dashboard.probes.models import Breaker, BreakerEvent, Probe
from dashboard.probes.queries import breaker_keys

# Of two rows the later version wins, and a worker may be some versions ahead with what
# it has not written yet: a person's decision is put further ahead than that.
_AHEAD = 10_000
_TRIES = 8
_OPEN = {BreakerState.OPEN, BreakerState.HALF_OPEN}


def event_of(gateway_id: int, told: Transition, at: datetime) -> BreakerEvent | None:
    """Return the row of a change that the client told; None for one that is left out."""
    if told.before in _OPEN and told.after in _OPEN:
        return None
    return BreakerEvent(
        gateway_id=gateway_id,
        key=told.key,
        at=at,
        before=told.before.value,
        after=told.after.value,
        reason=told.reason[: BreakerEvent.REASON_LENGTH],
        failures=told.failures,
    )


def record_events(events: Collection[BreakerEvent]) -> None:
    """Store what runs told, in the transaction of their outcomes."""
    for event in events:
        # A try that was rolled back left a number that another row may have by now.
        event.pk = None
    BreakerEvent.objects.bulk_create(events)


@transaction.atomic
def force(
    breaker: Breaker, to: BreakerState | None, actor: User, now: datetime
) -> bool:
    """Force the breaker open or closed, or let it go (None): it is closed then.

    Who did it is kept with the change. False when nothing changed, or when workers wrote
    it too often meanwhile.
    """
    store = DatabaseBreakers(breaker.gateway_id)
    row = as_row(breaker)
    for _ in range(_TRIES):
        before, new = state(row, now.timestamp()), forced(row, to)
        after = state(new, now.timestamp())
        if before is after:
            return False
        if store.swap(breaker.key, row, replace(new, version=new.version + _AHEAD)):
            BreakerEvent.objects.create(
                gateway_id=breaker.gateway_id,
                key=breaker.key,
                at=now,
                before=before.value,
                after=after.value,
                reason=row.reason[: BreakerEvent.REASON_LENGTH],
                failures=row.failures,
                actor=actor,
            )
            return True
        stored = Breaker.objects.filter(pk=breaker.pk).first()
        if stored is None:
            # Its team was deleted meanwhile: it is not made again for the next of that id.
            return False
        row = as_row(stored)
    return False


def forget_events(before: datetime) -> int:
    """Delete what is older than `before`; return how many rows."""
    return BreakerEvent.objects.filter(at__lt=before).delete()[0]


def forget_breakers(probes: QuerySet[Probe]) -> None:
    """Delete the breakers of probes that go, and what is known of their changes.

    Both are kept by the id that the gateway calls the team, which others may have next.
    The probes are locked first and the breakers by their keys, as by the recorder.
    """
    taken = probes.select_related("gateway", "team").select_for_update(of=("self",))
    keys = {
        (each.gateway_id, key)
        for each in taken.order_by("pk")
        for key in breaker_keys(each).values()
    }
    # Not as a database would sort them.
    for gateway_id, key in sorted(keys):
        Breaker.objects.filter(gateway=gateway_id, key=key).delete()
        BreakerEvent.objects.filter(gateway=gateway_id, key=key).delete()


def state_named(word: str) -> BreakerState | None:
    """Return the state that `word` names, None for ""."""
    return BreakerState(word) if word else None
