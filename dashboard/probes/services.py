"""Write probes and what they saw: default probes, pauses, caps, outcomes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from dashboard.probes.kinds import CHEAP, KINDS, NEED_KEY, TEAM_KINDS
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.paces import changed_pace
from dashboard.probes.prices import expected_price
from dashboard.probes.queries import spent_by_team, spent_today
from dashboard.probes.rests import NEVER_ON, switched
from dashboard.probes.rhythm import CLOCK_SLACK, REFUSED, REFUSED_PERIOD_S
from dashboard.probes.taxonomy import counted
from dashboard.rows import insert, locked, take, update
from dashboard.teams.models import Gateway, Team


def watch_gateway(gateway: Gateway, now: datetime) -> None:
    """Make the gateway's default probe, its health, unless it is there."""
    _watch(gateway, None, (ProbeKind.HEALTH,), now)


def watch_team(team: Team, now: datetime) -> None:
    """Make the team's default probes that are missing; paid ones stay switched off."""
    _watch(team.gateway, team, TEAM_KINDS, now)


def _watch(
    gateway: Gateway, team: Team | None, kinds: Sequence[ProbeKind], now: datetime
) -> None:
    # Many teams may be added at once: for good they begin at different moments of the
    # first ten seconds, so that the gateway does not see all their probes together.
    phase_s = (team.pk if team else 0) % 20 / 2
    there = set(
        Probe.objects.filter(gateway=gateway, team=team).values_list("kind", flat=True)
    )
    for place, kind in enumerate(kinds):
        if kind in there:
            continue
        Probe.objects.get_or_create(
            gateway=gateway,
            team=team,
            kind=kind,
            defaults={
                "period_s": KINDS[kind].period_s,
                "enabled": not KINDS[kind].paid,
                "rests": NEVER_ON if KINDS[kind].paid else [],
                "next_run": now + timedelta(seconds=phase_s + place),
            },
        )


def request_run(probes: QuerySet[Probe], now: datetime) -> int:
    """Make these probes due at once; return how many are switched on."""
    return probes.filter(enabled=True).update(next_run=now)


def accept_cost(
    probe: Probe, *, user: User, model: str, daily_credit_cap: int, now: datetime
) -> None:
    """Switch a paid probe on; `user` accepts what it costs, up to the cap a UTC day.

    One that is on keeps its rhythm: another cap is no reason for one run more.
    """
    # Not the whole row: a run that ends meanwhile writes what it saw into it.
    Probe.objects.filter(pk=probe.pk).update(
        model=model,
        daily_credit_cap=daily_credit_cap,
        cost_accepted_at=now,
        cost_accepted_by=user,
        enabled=True,
        paused=False,
        rests=switched(probe.rests, now, on=True),
        **({} if probe.enabled else {"next_run": now}),
    )


def change(probe: Probe, *, period_s: int, enabled: bool, now: datetime) -> list[str]:
    """Set how often a probe runs, and whether; return what changed."""
    changed = []
    if probe.period_s != period_s:
        changed.append(f"period from {probe.period_s} s to {period_s} s")
    if probe.enabled != enabled:
        changed.append("switched on" if enabled else "switched off")
    soon = now + timedelta(seconds=period_s)
    next_run = now if enabled and not probe.enabled else min(probe.next_run, soon)
    if changed:
        Probe.objects.filter(pk=probe.pk).update(
            period_s=period_s,
            paces=changed_pace(probe.paces, probe.period_s, period_s, now),
            enabled=enabled,
            rests=switched(probe.rests, now, on=enabled),
            next_run=next_run,
            # Switched by hand, it is no matter of the pause any more.
            paused=probe.paused and probe.enabled == enabled,
        )
    return changed


@transaction.atomic
def pause(team: Team, now: datetime) -> int:
    """Stop the team's probes, and remember which ran; return how many did."""
    running = Probe.objects.filter(team=team, enabled=True)
    _note_switch(running, now, on=False)
    return running.update(enabled=False, paused=True)


def _note_switch(probes: QuerySet[Probe], now: datetime, *, on: bool) -> None:
    # In the order of the recorder, who may hold some of them.
    for pk, rests in probes.order_by("pk").values_list("pk", "rests"):
        Probe.objects.filter(pk=pk).update(rests=switched(rests, now, on=on))


@transaction.atomic
def resume(team: Team, now: datetime) -> int:
    """Start what a pause stopped; return how many paid ones wait for consent again.

    Free probes that were off before the pause stay off. Where all are off and no pause
    is remembered, all free ones start.
    """
    own = Probe.objects.filter(team=team)
    stopped = own.filter(paused=True)
    if not own.filter(Q(enabled=True) | Q(paused=True)).exists():
        stopped = own
    free = stopped.filter(kind__in=CHEAP)
    _note_switch(free, now, on=True)
    free.update(enabled=True, paused=False, next_run=now)
    waiting = own.filter(paused=True).update(paused=False)
    watch_team(team, now)
    return waiting


@dataclass(frozen=True, slots=True)
class Spent:
    """Credits since midnight UTC: a probe's own, and those of all its team's probes."""

    own: float = 0.0
    team: float = 0.0


def spent(probes: Collection[Probe], now: datetime) -> dict[int, Spent]:
    """Return what each of these probes, and its team, have spent today; two queries."""
    own = spent_today([probe.pk for probe in probes], now)
    teams = spent_by_team({p.team_id for p in probes if p.team_id is not None}, now)
    return {
        probe.pk: Spent(own.get(probe.pk, 0.0), teams.get(probe.team_id or 0, 0.0))
        for probe in probes
    }


def why_capped(probe: Probe, spent: Spent) -> str:
    """Return which cap keeps the probe from running today, "" when none does.

    Asked before anything is sent: a run that could go beyond a cap is not begun.
    """
    cost = expected_price(probe)
    if not cost:
        return ""
    own = probe.daily_credit_cap or 0
    team = probe.team.daily_credit_cap if probe.team else None
    for cap, used, whose in ((own, spent.own, ""), (team, spent.team, "the team's ")):
        if cap is not None and used + cost > cap:
            return (
                f"{whose}cap of {cap} credits a day is reached: "
                f"{used:g} spent since midnight UTC"
            )
    return ""


def note_capped(probe_ids: Collection[int], now: datetime) -> None:
    """Note that a cap stopped these probes for today."""
    Probe.objects.filter(pk__in=probe_ids).update(capped_on=now.astimezone(UTC).date())


def switch_off(probe: Probe, now: datetime) -> None:
    Probe.objects.filter(pk=probe.pk).update(
        enabled=False, paused=False, rests=switched(probe.rests, now, on=False)
    )


def record(
    outcomes: Sequence[Outcome], now: datetime, *, stored_before: bool = False
) -> list[Outcome]:
    """Store outcomes and end their runs' leases; return those that were stored.

    The caller folds and evaluates them in the same transaction, all but the `misdated`
    ones. Outcomes of probes that were deleted meanwhile are left out, and, when this may
    have been `stored_before` (its commit was never confirmed), those that are there
    already.
    """
    probe_ids = {outcome.probe_id for outcome in outcomes}
    rows = locked(Probe, _Latest.__slots__, probe_ids)
    latest = {pk: _Latest(*columns) for pk, columns in rows.items()}
    kept = [outcome for outcome in outcomes if outcome.probe_id in latest]
    if stored_before:
        kept = _without_stored(kept)
    for outcome in kept:
        outcome.misdated = outcome.started_at > now + CLOCK_SLACK
    insert(kept)
    for outcome in sorted(kept, key=attrgetter("started_at")):
        latest[outcome.probe_id].note(outcome, now)
    # A result also ends its run's lease, and any lateness.
    update(
        Probe,
        (*_Latest.__slots__, "leased_until", "late_since"),
        {pk: (*_columns_of(row), None, None) for pk, row in latest.items()},
    )
    return kept


@dataclass(slots=True)
class _Latest:
    """What stands of the latest outcome on a probe's row."""

    kind: str
    next_run: datetime
    last_at: datetime | None
    last_error: str
    last_latency_us: int | None
    failing_since: datetime | None

    def note(self, outcome: Outcome, now: datetime) -> None:
        again = outcome.error_class == self.last_error == REFUSED
        if again and self.kind in NEED_KEY:
            slowly = outcome.started_at + timedelta(seconds=REFUSED_PERIOD_S)
            self.next_run = max(self.next_run, slowly)
        # One that is ahead of the clock was noted before the clock went back.
        is_overtaken = (
            self.last_at is not None
            and outcome.started_at < self.last_at <= now + CLOCK_SLACK
        )
        if outcome.misdated or is_overtaken:
            return
        self.last_at = outcome.started_at
        self.last_error = outcome.error_class
        self.last_latency_us = outcome.latency_us
        if not outcome.error_class:
            self.failing_since = None
        elif counted(outcome.error_class):
            self.failing_since = self.failing_since or outcome.started_at


# Not `astuple`, which copies each value deeply.
_columns_of = attrgetter(*_Latest.__slots__)


def _without_stored(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return [
        outcome
        for outcome in outcomes
        if not Outcome.objects.filter(
            probe=outcome.probe_id, started_at=outcome.started_at
        ).exists()
    ]


def note_late(probe_ids: Collection[int], now: datetime) -> None:
    """Note that the results of these probes are late since now."""
    update(Probe, ["late_since"], {pk: [now] for pk in probe_ids})


def forgive_late(now: datetime) -> None:
    """Count all lateness from now on: nothing ran meanwhile, by our own doing."""
    late = take(Probe.objects.filter(late_since__isnull=False))
    Probe.objects.filter(pk__in=late).update(late_since=now)
