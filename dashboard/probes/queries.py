"""Read probes, their breakers and what they spend."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

from django.db.models import Count, Q, Sum

from apiclient.base_url import parse_base_url
from apiclient.breaker import (
    BreakerPolicy,
    BreakerState,
    breaker_key,
    host_key,
    state,
)
from dashboard.probes.breaker_store import as_row
from dashboard.probes.kinds import KINDS, NEED_KEY, PAID
from dashboard.probes.models import (
    Breaker,
    BreakerEvent,
    Heartbeat,
    Outcome,
    Probe,
    ProbeKind,
)
from dashboard.teams.models import Gateway

_POLICY = BreakerPolicy()
# With fewer failures than that one was opened by the share of its latest calls.
IN_A_ROW = _POLICY.threshold
_Owners: TypeAlias = dict[tuple[int, str], tuple[Probe | None, str]]


def spent_by_team(team_ids: Collection[int], now: datetime) -> dict[int, float]:
    """Return the credits that each team's probes cost since midnight UTC."""
    rows = (
        Outcome.objects.filter(
            probe__team__in=team_ids, started_at__gte=_midnight(now), credits__gt=0
        )
        .values_list("probe__team")
        .annotate(total=Sum("credits"))
    )
    return {team_id: total for team_id, total in rows if team_id is not None}


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def spent_today(probe_ids: Collection[int], now: datetime) -> dict[int, float]:
    """Return the credits that each probe's runs cost since midnight UTC."""
    rows = (
        Outcome.objects.filter(probe__in=probe_ids, started_at__gte=_midnight(now))
        .values("probe")
        .annotate(total=Sum("credits", default=0.0))
    )
    return {row["probe"]: row["total"] for row in rows}


def uncharged_runs(team_ids: Collection[int], since: datetime) -> dict[int, int]:
    """Return how many completed jobs with a call each team was not charged for.

    The gateway skips a charge that is larger than what is left: a hint to look at the
    credits, and no alarm.
    """
    rows = (
        Outcome.objects.filter(
            probe__team__in=team_ids,
            probe__kind__in=[kind for kind in PAID if KINDS[kind].credits_per_run],
            started_at__gte=since,
            error_class="",
            credits=None,
        )
        .values_list("probe__team")
        .annotate(runs=Count("pk"))
    )
    return {team_id: runs for team_id, runs in rows if team_id is not None}


@dataclass(frozen=True, slots=True)
class BreakerView:
    """One breaker as people see it; `probe` is None for a whole host's."""

    pk: int
    key: str
    gateway: Gateway
    probe: Probe | None
    endpoint: str
    state: BreakerState
    failures: int
    opened_at: datetime | None
    next_try_at: datetime | None
    reason: str
    # The earliest that the latest failure can have been which keeps it open.
    failed_after: datetime | None = None


def breakers(now: datetime) -> list[BreakerView]:
    """Return every stored breaker of what is watched now; three queries.

    A breaker that never failed has no row, and is closed.
    """
    without_key = Q(kind__in=NEED_KEY) & Q(team__key_sealed="")
    probes = Probe.objects.filter(enabled=True).exclude(without_key)
    probes = probes.select_related("gateway", "team")
    return _views(_owners(Gateway.objects.all(), probes), now)


def breakers_of(probes: Collection[Probe], now: datetime) -> list[BreakerView]:
    """Return the stored breakers of these probes and of their gateways; one query."""
    gateways = {probe.gateway_id: probe.gateway for probe in probes}
    return _views(_owners(gateways.values(), probes), now)


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """One change of a breaker's state; `actor` is "" where it changed by itself."""

    gateway: Gateway
    probe: Probe | None
    endpoint: str
    at: datetime
    before: BreakerState
    after: BreakerState
    reason: str
    failures: int
    actor: str


def breaker_changes(
    probes: Collection[Probe], since: datetime, most: int, until: datetime | None = None
) -> list[BreakerChange]:
    """Return the latest changes of these probes' and their gateways' breakers.

    One query, whatever the number of probes.
    """
    gateways = {probe.gateway_id: probe.gateway for probe in probes}
    owners = _owners(gateways.values(), probes)
    rows = BreakerEvent.objects.filter(
        gateway__in=gateways, key__in={key for _, key in owners}, at__gte=since
    ).select_related("actor")
    if until is not None:
        rows = rows.filter(at__lte=until)
    return [
        BreakerChange(
            gateway=gateways[row.gateway_id],
            probe=owners[row.gateway_id, row.key][0],
            endpoint=owners[row.gateway_id, row.key][1],
            at=row.at,
            before=BreakerState(row.before),
            after=BreakerState(row.after),
            reason=row.reason,
            failures=row.failures,
            actor=str(row.actor or ""),
        )
        for row in rows[:most]
        if (row.gateway_id, row.key) in owners
    ]


def openings(
    gateway_ids: Collection[int], since: datetime, now: datetime
) -> dict[tuple[int, str], int]:
    """Return how often breakers went from closed to open, by gateway and key."""
    rows = BreakerEvent.objects.filter(
        gateway__in=gateway_ids,
        at__gt=since,
        at__lte=now,
        before=BreakerState.CLOSED,
        after=BreakerState.OPEN,
    )
    counted = rows.order_by().values_list("gateway", "key").annotate(times=Count("pk"))
    return {(gateway_id, key): times for gateway_id, key, times in counted}


def _views(owners: _Owners, now: datetime) -> list[BreakerView]:
    gateways = {gateway_id for gateway_id, _ in owners}
    rows = Breaker.objects.filter(gateway__in=gateways).select_related("gateway")
    return [
        _view(row, *owners[row.gateway_id, row.key], now)
        for row in rows
        if (row.gateway_id, row.key) in owners
    ]


def _owners(gateways: Iterable[Gateway], probes: Iterable[Probe]) -> _Owners:
    """Return whose each breaker key is: its probe (None: the host) and its endpoint."""
    owners: _Owners = {}
    for gateway in gateways:
        owners[gateway.pk, gateway_key(gateway)] = (None, "all endpoints")
    for probe in probes:
        for endpoint, key in breaker_keys(probe).items():
            # The cheaper probe owns an endpoint that two share.
            owners.setdefault((probe.gateway_id, key), (probe, endpoint))
    return owners


def gateway_key(gateway: Gateway) -> str:
    """Return the key of the breaker of a gateway's whole host."""
    return host_key(_host(gateway.base_url))


def breaker_keys(probe: Probe) -> dict[str, str]:
    """Return the breaker key of each endpoint that a probe calls, the main one first."""
    host = _host(probe.gateway.base_url)
    team_id = probe.team.team_id if probe.team else ""
    return {
        endpoint: breaker_key(host, team_id, *endpoint.split(" ", 1))
        for endpoint in KINDS[ProbeKind(probe.kind)].endpoints
    }


@lru_cache(maxsize=1000)
def _host(base_url: str) -> str:
    return parse_base_url(base_url).netloc


def _view(
    row: Breaker, probe: Probe | None, endpoint: str, now: datetime
) -> BreakerView:
    is_open = row.open_until > 0
    return BreakerView(
        pk=row.pk,
        key=row.key,
        gateway=row.gateway,
        probe=probe,
        endpoint=endpoint,
        state=state(as_row(row), now.timestamp()),
        failures=row.failures,
        opened_at=_moment(row.opened_at) if is_open else None,
        next_try_at=_moment(row.open_until) if is_open else None,
        reason=row.reason,
        failed_after=_moment(_failed_after(row)) if is_open else None,
    )


def _failed_after(row: Breaker) -> float:
    """Return the opening, or when it opened anew by a trial that failed, at the earliest.

    A trial of a cheap probe opens it anew and is not counted by `reopened`.
    """
    longest_s = (
        _POLICY.open_for(row.reopened, 1.0) if row.reopened else _POLICY.longest_s
    )
    return max(row.opened_at, row.open_until - longest_s)


def _moment(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


# The prober beats every 3 s; a job cluster that hangs is restarted within a minute.
SILENT_AFTER = timedelta(minutes=2)


def last_tick(now: datetime) -> float | None:
    """Return how many seconds ago the prober last worked; None when it never did."""
    beat = (
        Heartbeat.objects.filter(name__startswith="tick-", beat_at__isnull=False)
        .order_by("-beat_at")
        .values_list("beat_at", flat=True)
        .first()
    )
    return None if beat is None else (now - beat).total_seconds()
