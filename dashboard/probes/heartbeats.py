"""Leases and turns of the periodic jobs: who works, and when each worked last."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from dashboard.probes.models import Heartbeat
from dashboard.probes.rhythm import CLOCK_SLACK

# How long a queued job may take to begin before another one is queued.
QUEUE_PATIENCE = timedelta(seconds=10)
# No work: the two ends of the time that is told in which there was none, for so long.
REST_TOLD_FOR = timedelta(days=1)
REST_BEGAN, REST_ENDED = "rest began", "rest ended"


def lease(name: str, holder: UUID, now: datetime, seconds: float) -> bool:
    """Take or renew the lease of a periodic job; False when another holder has it."""
    Heartbeat.objects.get_or_create(name=name)
    free = Q(leased_until=None) | Q(leased_until__lte=now) | Q(holder=holder)
    # One that ends later than it can was taken before the clock went back.
    free |= Q(leased_until__gt=now + timedelta(seconds=seconds) + CLOCK_SLACK)
    taken = Heartbeat.objects.filter(free, name=name).update(
        beat_at=now, leased_until=now + timedelta(seconds=seconds), holder=holder
    )
    return taken == 1


def release(name: str, holder: UUID) -> None:
    """End the lease, so that the next run need not wait until it runs out."""
    Heartbeat.objects.filter(name=name, holder=holder).update(
        leased_until=None, holder=None
    )


def note_queued(name: str, now: datetime) -> None:
    Heartbeat.objects.filter(name=name).update(queued_at=now)


def beat(name: str, now: datetime) -> datetime | None:
    """Note that a periodic piece of work is done now; return when it was before."""
    row, _ = Heartbeat.objects.get_or_create(name=name)
    Heartbeat.objects.filter(name=name).update(beat_at=now)
    return row.beat_at


def note_rest(start: datetime, end: datetime) -> None:
    """Note that nothing was judged between these two.

    A shorter rest does not take the place of one that is still told.
    """
    kept = told_rest(end)
    if kept and kept[1] - kept[0] > end - start:
        return
    for name, at in ((REST_BEGAN, start), (REST_ENDED, end)):
        Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": at})


def told_rest(now: datetime) -> tuple[datetime, datetime] | None:
    """Return when Gatewatch did nothing for longest within a day, and until when."""
    at = dict(
        Heartbeat.objects.filter(name__in=(REST_BEGAN, REST_ENDED)).values_list(
            "name", "beat_at"
        )
    )
    began, ended = at.get(REST_BEGAN), at.get(REST_ENDED)
    if not began or not ended or now - ended > REST_TOLD_FOR:
        return None
    # One that ends ahead was noted before the clock went back.
    return (began, ended) if ended <= now + CLOCK_SLACK else None


def take_turn(name: str, now: datetime, every: timedelta) -> bool:
    """Say whether `name` is due again, and note that it is done now; one caller wins."""
    Heartbeat.objects.get_or_create(name=name)
    due = Q(beat_at=None) | Q(beat_at__lte=now - every)
    # One that lies ahead was noted before the clock went back.
    due |= Q(beat_at__gt=now + CLOCK_SLACK)
    return bool(Heartbeat.objects.filter(due, name=name).update(beat_at=now))


def is_deserted(name: str, now: datetime) -> bool:
    """Say whether a periodic job has no holder though nothing was queued just now."""
    recently = now - QUEUE_PATIENCE
    return Heartbeat.objects.filter(
        Q(leased_until=None) | Q(leased_until__lte=now),
        Q(queued_at=None) | Q(queued_at__lte=recently),
        name=name,
    ).exists()
