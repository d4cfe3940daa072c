"""The product on one page: claim, probe, record, fold, evaluate; deliver.

    tick     every probe of the next minute, each at its due moment
    deep     the paid probes, in a lane of their own
    deliver  the outbox
    read_statements  what the gateway tells of credits, each team's once an hour

Each is a shift: a job that holds a lease, so that only one works. The tick and the
deliveries last a minute and queue their successor as they end; the schedule
(dashboard.schedules) only starts a chain that broke, as they do for each other within
seconds. A round of the deep lane is started by the schedule each minute, or by the round
before, where it left something to do.
"""

import gc
import logging
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from math import inf

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection
from django.utils import timezone

from dashboard.alerts import delivery, regular, retention
from dashboard.alerts import services as alerts
from dashboard.pipeline import posting
from dashboard.pipeline.answers import Answer
from dashboard.pipeline.asks import prepare, put
from dashboard.pipeline.dead_mans_ping import ping_when_due
from dashboard.pipeline.prober import Prober
from dashboard.pipeline.recorder import Recorder
from dashboard.pipeline.shift import Shift, revive
from dashboard.pipeline.statements import DEADLINE_S, read_statement
from dashboard.probes import services as probes
from dashboard.probes.breaker_events import forget_events
from dashboard.probes.claims import LEASE_MARGIN, follow_clock
from dashboard.probes.kinds import CHEAP, PAID
from dashboard.probes.models import Probe
from dashboard.rollups import services as rollups
from dashboard.rollups.retention import kept_from
from dashboard.teams import audit, credit_hours, statements

logger = logging.getLogger(__name__)

EVALUATE_EVERY_S = 15.0
# Once in a tick, so once a minute.
LOOK_SLOWLY_AFTER_S = 16.0
# The outbox is looked at this often; one indexed query.
DELIVER_EVERY_S = 2.0
# So many objects may come to be before those of them that nobody needs are looked for;
# hardly any that a probe leaves needs the collector to go.
_MOST_NEW_OBJECTS = 20_000
# One round of statements; every five minutes, that is 240 teams an hour.
MOST_STATEMENTS = 20
STATEMENTS_S = 50.0
# A gateway that takes longer for one team is asked for no other in the same round.
_PATIENCE_S = 2.0


def tick(seconds: float | None = None) -> int:
    """Run what falls due in the next `seconds`; return how many outcomes were stored."""
    for slot in range(settings.TICK_SLOTS):
        with Shift(f"tick-{slot}", "dashboard.pipeline.tick") as shift:
            if shift.begun:
                return _tick(shift, settings.TICK_S if seconds is None else seconds)
    return 0


@cache
def spare_collector() -> None:
    """Let the garbage collector leave alone what this process loaded, once.

    Walking it all again and again was a third of what probing costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST_NEW_OBJECTS, 10, 10)


def _tick(shift: Shift, seconds: float) -> int:
    spare_collector()
    follow_clock(timezone.now())
    recorder = Recorder()
    with Prober(recorder, CHEAP) as prober:
        ends_at = shift.monotonic() + seconds
        evaluate_at = shift.monotonic() + EVALUATE_EVERY_S
        looks_slowly_at = shift.monotonic() + LOOK_SLOWLY_AFTER_S
        while shift.monotonic() < ends_at and shift.renew():
            try:
                prober.start_due(timezone.now())
                recorder.flush_when_due(timezone.now())
                # One long work in a turn, so that probes are claimed in between.
                if shift.monotonic() >= evaluate_at:
                    evaluate_at += EVALUATE_EVERY_S
                    alerts.evaluate_all(timezone.now())
                    recorder.all_judged()
                    revive("deliver", "dashboard.pipeline.deliver", timezone.now())
                    ping_when_due(timezone.now())
                elif shift.monotonic() >= looks_slowly_at:
                    looks_slowly_at = inf
                    _look_slowly(timezone.now())
                wait_s = prober.seconds_to_next()
            except DatabaseError:
                # What is buffered is kept; a fresh connection tries again.
                logger.exception("tick.database_error")
                connection.close()
                wait_s = 1.0
            prober.wait(min(wait_s, max(0.0, ends_at - shift.monotonic())))
        # The next tick claims from now on; this one only waits for what is in flight.
        shift.hand_over()
        prober.drain()
    deliver_due()
    return recorder.stored


def _look_slowly(now: datetime) -> None:
    credit_hours.fold(now)
    alerts.evaluate_slow(now)
    regular.queue_due(now)


def deep() -> int:
    """Run the paid probes that are due, one at a time for each gateway.

    A gateway that hangs must not keep the others' waiting: for a while the next of each
    is begun as one ends. What that cost is stored before, as the caps count it.
    """
    longest_s = settings.DEEP_DEADLINE_S + LEASE_MARGIN.total_seconds()
    with Shift("deep", "dashboard.pipeline.deep", lease_s=longest_s) as shift:
        if not shift.begun:
            return 0
        recorder = Recorder()
        with Prober(recorder, PAID, most_per_gateway=1, most_ahead=0) as prober:
            ends_at = shift.monotonic() + settings.DEEP_S
            try:
                prober.start_due(timezone.now())
                while prober.is_busy and shift.monotonic() < ends_at and shift.renew():
                    prober.wait(prober.seconds_to_next())
                    recorder.flush(timezone.now())
                    prober.start_due(timezone.now())
                is_over = not prober.is_busy
            finally:
                # What a run has cost is stored, whatever else failed.
                prober.drain()
            if not is_over:
                shift.hand_over()
        return recorder.stored


def read_statements() -> int:
    """Read the statements of a few teams that are due; return of how many.

    A gateway that hangs costs each round ten seconds: its other teams wait for the next.
    """
    with Shift(
        "statements",
        "dashboard.pipeline.read_statements",
        lease_s=STATEMENTS_S + 2 * DEADLINE_S,
    ) as shift:
        if not shift.begun:
            return 0
        ends_at = shift.monotonic() + STATEMENTS_S
        read, slow = 0, set[int]()
        while read < MOST_STATEMENTS and shift.monotonic() < ends_at and shift.renew():
            now, began = timezone.now(), shift.monotonic()
            team = next(iter(statements.due(now, 1, but=slow)), None)
            if team is None:
                break
            statements.keep(team, read_statement(team, now), now)
            read += 1
            if shift.monotonic() - began > _PATIENCE_S:
                slow.add(team.gateway_id)
        return read


def deliver(seconds: float | None = None) -> int:
    """Send what is due in the outbox, again and again for `seconds`; return the mails."""
    sent = 0
    with Shift("deliver", "dashboard.pipeline.deliver") as shift:
        if not shift.begun:
            return 0
        ends_at = shift.monotonic() + (settings.TICK_S if seconds is None else seconds)
        while shift.renew():
            try:
                sent += deliver_due()
                revive("tick-0", "dashboard.pipeline.tick", timezone.now())
            except DatabaseError:
                # What waits in the outbox waits on; a fresh connection tries again.
                logger.exception("deliver.database_error")
                connection.close()
            if shift.monotonic() >= ends_at:
                shift.hand_over()
                break
            shift.sleep(DELIVER_EVERY_S)
    return sent


def deliver_due() -> int:
    return delivery.deliver(timezone.now(), post=posting.post)


def probe_now(wanted: Sequence[Probe], now: datetime) -> list[Answer]:
    """Run these probes at once, whatever is due or open, and record what they saw.

    Each is recorded before the next, whose team may have spent its cap with it.
    """
    recorder = Recorder()
    answers = []
    for probe in wanted:
        breakers = recorder.breakers([probe.gateway_id])[probe.gateway_id]
        spent = probes.spent([probe], now)[probe.pk]
        answer = put(prepare(probe, spent), breakers)
        recorder.add(answer)
        recorder.flush(timezone.now())
        answers.append(answer)
    return answers


def keep_house() -> dict[str, int]:
    """Delete what is older than its retention, once a day; return how many of each."""
    now = timezone.now()
    return {
        **rollups.prune(now),
        "breaker changes": forget_events(kept_from("raw", now)),
        "audit entries": audit.prune(now),
        **retention.prune(now),
        "ended sessions": Session.objects.filter(expire_date__lt=now).delete()[0],
    }
