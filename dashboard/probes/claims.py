"""Which probes run now, and which worker runs them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType

from django.db import transaction
from django.db.models import F, Q, QuerySet

from dashboard.probes.kinds import NEED_KEY
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.rhythm import CLOCK_SLACK, deadline_s, period_now_s
from dashboard.rows import save_fields

# How much longer than its deadline a run may take before another worker may start it.
LEASE_MARGIN = timedelta(seconds=20)


def claim_due(
    kinds: Sequence[ProbeKind],
    now: datetime,
    *,
    most: int,
    until: datetime | None = None,
    running: Mapping[int, int] = MappingProxyType({}),
    most_per_gateway: int | None = None,
) -> list[Probe]:
    """Claim up to `most` probes for this worker and set when each is due again.

    They are due now, or fall due by `until`; the caller starts each when it `starts_at`.
    With `most_per_gateway` no gateway gets more than that, together with those that are
    `running` there, by its id; nor more than its `share` of what the others leave.
    Two workers never get the same run: on PostgreSQL each skips the rows that the other
    has locked; SQLite ignores the row locks and takes its one write lock instead.
    Missed runs are not made up for: a gap in the outcomes is the truth.
    """
    full = [
        gateway_id
        for gateway_id, count in running.items()
        if most_per_gateway is not None
        and count >= share(most + count, most_per_gateway)
    ]
    with transaction.atomic():
        due = _runnable(tuple(kinds)).filter(
            Q(leased_until=None) | Q(leased_until__lte=now),
            next_run__lte=until or now,
        )
        if full:
            due = due.exclude(gateway__in=full)
        probes = list(due[:most])
        if most_per_gateway is not None:
            probes = _fair(probes, running, most, most_per_gateway)
        for probe in probes:
            start = max(now, probe.next_run)
            probe.leased_until = start + _lease_length(probe)
            probe.next_run = _after(probe.next_run, probe.period_s, start)
        save_fields(probes, ["leased_until", "next_run"])
    return probes


def share(left: int, most: int) -> int:
    """Return how many one gateway may have where the others leave `left`: half of them.

    At least one, and at most `most`. So any number of gateways that hang leave something
    to the next, which nobody knows to hang before it was asked.
    """
    return min(most, max(1, left // 2))


def _fair(
    probes: Iterable[Probe], running: Mapping[int, int], room: int, most: int
) -> list[Probe]:
    """Leave out what would give a gateway more than its share, in all `most` at most."""
    counts = Counter(running)
    chosen: list[Probe] = []
    for probe in probes:
        count = counts[probe.gateway_id]
        if count < share(room - len(chosen) + count, most):
            counts[probe.gateway_id] += 1
            chosen.append(probe)
    return chosen


@transaction.atomic
def give_back(claimed: Iterable[Probe]) -> None:
    """Let runs that never began be claimed again, as due as they were.

    So they come before those that did: where a gateway hangs, all its probes take turns.
    What others hold, or have claimed or changed meanwhile, stays as it is.
    """
    leases = {probe.pk: probe.leased_until for probe in claimed}
    rows = Probe.objects.select_for_update(skip_locked=True, no_key=True)
    own = [
        row
        for row in rows.filter(pk__in=leases).order_by("pk")
        if row.leased_until is not None and row.leased_until == leases[row.pk]
    ]
    for row in own:
        row.next_run = min(row.next_run, starts_at(row))
        row.leased_until = None
    save_fields(own, ["next_run", "leased_until"])


def starts_at(claimed: Probe) -> datetime:
    """Return when a claimed run is to start: its lease is counted from then."""
    assert claimed.leased_until is not None
    return claimed.leased_until - _lease_length(claimed)


def _lease_length(probe: Probe) -> timedelta:
    return timedelta(seconds=deadline_s(probe)) + LEASE_MARGIN


@cache
def _runnable(kinds: tuple[ProbeKind, ...]) -> QuerySet[Probe]:
    """Return what may run; each caller narrows it.

    What is due first comes first, and of what is as due what ran the longest ago.
    """
    without_key = Q(kind__in=NEED_KEY) & Q(team__key_sealed="")
    return (
        Probe.objects.filter(enabled=True, kind__in=kinds)
        .exclude(without_key)
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("gateway", "team")
        .order_by("next_run", F("last_at").asc(nulls_first=True))
    )


def _after(due: datetime, period_s: int, now: datetime) -> datetime:
    """Return the moment of the probe's rhythm that follows a run at `now`.

    A late run counts for the moment that it is nearest to: two runs are never closer
    than half a period.
    """
    missed = round((now - due) / timedelta(seconds=period_s))
    return due + timedelta(seconds=period_s * (missed + 1))


def follow_clock(now: datetime) -> int:
    """Make due what is further ahead than its period can put it; return how many.

    After the clock went back by an hour nobody would be watched for an hour. So is a
    probe whose refused key was replaced.
    """
    rows = Probe.objects.filter(enabled=True, next_run__gt=now + CLOCK_SLACK)
    stuck = [
        probe.pk
        for probe in rows.select_related("team")
        if probe.next_run
        > now + timedelta(seconds=2 * period_now_s(probe)) + CLOCK_SLACK
    ]
    found = Probe.objects.filter(pk__in=stuck)
    return found.update(next_run=now, leased_until=None) if stuck else 0
