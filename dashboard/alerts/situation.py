"""Load what the rules need to know, in a constant number of queries."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from dashboard.alerts import silences
from dashboard.alerts.hindsight import look_since, past, window_s
from dashboard.alerts.models import Incident, Pending, Silence
from dashboard.alerts.rulebook import SLOW_KINDS, RuleBook, enabled_rules
from dashboard.alerts.rules import OPENINGS_WITHIN, Past, Sample, refuses_all
from dashboard.alerts.rules.verdict import is_own_fault, is_refusal
from dashboard.probes.models import Breaker, Outcome, Probe
from dashboard.probes.queries import BreakerView, breakers, openings
from dashboard.probes.rhythm import CLOCK_SLACK
from dashboard.teams.models import CreditReading
from dashboard.teams.queries import latest_readings


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything about some gateways' probes and teams at one moment.

    `probes` are the enabled ones to judge: those asked for, and all others of their
    teams. `latest` has each gateway's enabled probes, only where some health fails;
    `refusing` the gateways that refuse their health and all that was asked since; `past`
    the probes whose rule asks for more than its window; `silences` the active ones where
    some result is late or our own fault. `openings` counts by gateway and key how often
    each breaker opened lately; `pending` is by identity.
    """

    now: datetime
    book: RuleBook
    probes: tuple[Probe, ...]
    incidents: tuple[Incident, ...]
    pending: Mapping[str, Pending]
    samples: Mapping[int, list[Sample]] = field(default_factory=dict)
    windows_s: Mapping[int, int] = field(default_factory=dict)
    past: Mapping[int, Past] = field(default_factory=dict)
    latest: Mapping[int, list[Sample]] = field(default_factory=dict)
    refusing: frozenset[int] = frozenset()
    readings: Mapping[int, CreditReading] = field(default_factory=dict)
    breakers: tuple[BreakerView, ...] = ()
    openings: Mapping[tuple[int, str], int] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()

    @property
    def by_identity(self) -> dict[str, Incident]:
        return {incident.identity: incident for incident in self.incidents}


def load(probe_ids: Collection[int] | None, now: datetime) -> Situation:
    """Load what concerns these probes, or everything for None."""
    book = enabled_rules()
    probes = _probes(probe_ids)
    gateway_ids = {probe.gateway_id for probe in probes}
    windows_s = {probe.pk: window_s(book, probe) for probe in probes}
    incidents = _incidents(None if probe_ids is None else gateway_ids)
    found = _breakers(gateway_ids, now)
    untold = any(p.late_since or is_own_fault(p.last_error) for p in probes)
    refused = _refused_healths(probes)
    latest = _latest(probes, refused)
    return Situation(
        now=now,
        book=book,
        probes=probes,
        incidents=incidents,
        pending=_pending() if book.waits(but=SLOW_KINDS) else {},
        samples=_samples(look_since(probes, windows_s, now), now),
        windows_s=windows_s,
        past=past(book, probes, now),
        latest=latest,
        refusing=frozenset(
            pk for pk, health in refused.items() if refuses_all(health, latest[pk])
        ),
        readings=latest_readings(
            {p.team_id for p in probes if p.team_id is not None}, now + CLOCK_SLACK
        ),
        breakers=found,
        openings=openings(gateway_ids, now - OPENINGS_WITHIN, now) if found else {},
        silences=tuple(silences.active(now)) if untold else (),
    )


def load_all(now: datetime) -> Situation:
    """Load what is watched and what is open, for the rules that look far back."""
    return Situation(
        now=now,
        book=enabled_rules(),
        probes=_probes(None),
        incidents=_incidents(None),
        pending=_pending(),
    )


def _probes(probe_ids: Collection[int] | None) -> tuple[Probe, ...]:
    probes = Probe.objects.filter(enabled=True).select_related("gateway", "team")
    if probe_ids is not None:
        asked = Probe.objects.filter(pk__in=probe_ids)
        teams = asked.filter(team__isnull=False).values("team")
        probes = probes.filter(Q(pk__in=probe_ids) | Q(team__in=teams))
    return tuple(probes)


def _incidents(gateway_ids: Collection[int] | None) -> tuple[Incident, ...]:
    # Without what they are of: hardly a rule asks that, and the joins cost more to
    # write down than all the rest of the query.
    incidents = Incident.objects.filter(resolved_at=None)
    if gateway_ids is not None:
        incidents = incidents.filter(gateway__in=gateway_ids)
    return tuple(incidents)


def _pending() -> dict[str, Pending]:
    return {each.identity: each for each in Pending.objects.all()}


def _samples(since: Mapping[int, datetime], now: datetime) -> dict[int, list[Sample]]:
    samples: dict[int, list[Sample]] = {probe_id: [] for probe_id in since}
    by_start: dict[datetime, list[int]] = {}
    for probe_id, start in since.items():
        by_start.setdefault(start, []).append(probe_id)
    wanted = Q(pk__in=[])
    for start, probe_ids in by_start.items():
        wanted |= Q(probe__in=probe_ids, started_at__gt=start, started_at__lte=now)
    rows = Outcome.objects.filter(wanted, misdated=False, maintenance=False).order_by(
        "started_at"
    )
    for probe_id, at, error_class, detail in rows.values_list(
        "probe", "started_at", "error_class", "detail"
    ):
        samples[probe_id].append(Sample(at, error_class, detail))
    return samples


def _refused_healths(probes: Iterable[Probe]) -> dict[int, Sample]:
    """Return the latest of each health that is refused, as some of these probes are."""
    refused = {p.gateway_id for p in probes if is_refusal(p.last_error)}
    if not refused:
        return {}
    healths = Probe.objects.filter(
        enabled=True, team=None, gateway__in=refused
    ).values_list("gateway", "failing_since", "last_error")
    return {
        gateway_id: Sample(since, error_class)
        for gateway_id, since, error_class in healths
        if since is not None and is_refusal(error_class)
    }


def _latest(
    probes: Iterable[Probe], refused: Collection[int]
) -> dict[int, list[Sample]]:
    failing = {p.gateway_id for p in probes if p.team_id is None and p.last_error}
    failing |= set(refused)
    latest: dict[int, list[Sample]] = {pk: [] for pk in failing}
    if not failing:
        return latest
    rows = Probe.objects.filter(
        enabled=True, gateway__in=failing, last_at__isnull=False
    ).values_list("gateway", "last_at", "last_error", "failing_since")
    for gateway_id, at, error_class, since in rows:
        if at is not None:
            told = Sample(at, error_class, failing_since=since)
            latest.setdefault(gateway_id, []).append(told)
    return latest


def _breakers(gateway_ids: Collection[int], now: datetime) -> tuple[BreakerView, ...]:
    # Hardly ever one is open: one small query, before the three for the whole view.
    if not Breaker.objects.filter(gateway__in=gateway_ids, open_until__gt=0).exists():
        return ()
    return tuple(
        view
        for view in breakers(now)
        if view.gateway.pk in gateway_ids and view.opened_at is not None
    )
