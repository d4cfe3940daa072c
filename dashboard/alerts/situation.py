"""Load what the rules need to know, in a constant number of queries."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from dashboard.alerts import targets
from dashboard.alerts.models import Incident, RuleKind
from dashboard.alerts.rulebook import RuleBook, enabled_rules
from dashboard.alerts.rules import Sample
from dashboard.probes.models import Breaker, Outcome, Probe
from dashboard.probes.queries import BreakerView, breakers
from dashboard.teams.models import CreditReading
from dashboard.teams.queries import latest_readings

# A probe that runs seldom gets a window that its least samples fit into, up to this.
_LONGEST_WINDOW_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything about some gateways' probes and teams at one moment.

    `probes` are the enabled ones to judge: those asked for, and all others of their
    teams. `latest` has each gateway's enabled probes, only where some health fails.
    """

    now: datetime
    book: RuleBook
    probes: tuple[Probe, ...]
    samples: Mapping[int, list[Sample]]
    windows_s: Mapping[int, int]
    latest: Mapping[int, list[Sample]]
    readings: Mapping[int, CreditReading]
    breakers: tuple[BreakerView, ...]
    incidents: tuple[Incident, ...]

    @property
    def by_identity(self) -> dict[str, Incident]:
        return {incident.identity: incident for incident in self.incidents}


def load(probe_ids: Collection[int] | None, now: datetime) -> Situation:
    """Load what concerns these probes, or everything for None."""
    book = enabled_rules()
    probes = _probes(probe_ids)
    gateway_ids = {probe.gateway_id for probe in probes}
    windows_s = {probe.pk: _window_s(book, probe) for probe in probes}
    incidents = Incident.objects.filter(resolved_at=None).select_related(
        "gateway", "team", "probe__gateway", "probe__team"
    )
    if probe_ids is not None:
        incidents = incidents.filter(gateway__in=gateway_ids)
    return Situation(
        now=now,
        book=book,
        probes=probes,
        samples=_samples(windows_s, now),
        windows_s=windows_s,
        latest=_latest(probes),
        readings=latest_readings({p.team_id for p in probes if p.team_id is not None}),
        breakers=_breakers(gateway_ids, now),
        incidents=tuple(incidents),
    )


def _probes(probe_ids: Collection[int] | None) -> tuple[Probe, ...]:
    probes = Probe.objects.filter(enabled=True).select_related("gateway", "team")
    if probe_ids is not None:
        asked = Probe.objects.filter(pk__in=probe_ids)
        teams = asked.filter(team__isnull=False).values("team")
        probes = probes.filter(Q(pk__in=probe_ids) | Q(team__in=teams))
    return tuple(probes)


def _window_s(book: RuleBook, probe: Probe) -> int:
    rule = book.rule_for(targets.of_probe(RuleKind.ERROR_RATE, probe))
    if rule is None:
        # A team's state is judged by its latest answers all the same.
        return min(3 * probe.period_s, _LONGEST_WINDOW_S)
    needed_s = min(probe.period_s * rule.min_samples, _LONGEST_WINDOW_S)
    return max(rule.window_s, needed_s)


def _samples(windows_s: Mapping[int, int], now: datetime) -> dict[int, list[Sample]]:
    samples: dict[int, list[Sample]] = {probe_id: [] for probe_id in windows_s}
    by_window: dict[int, list[int]] = {}
    for probe_id, window_s in windows_s.items():
        by_window.setdefault(window_s, []).append(probe_id)
    wanted = Q(pk__in=[])
    for window_s, probe_ids in by_window.items():
        start = now - timedelta(seconds=window_s)
        wanted |= Q(probe__in=probe_ids, started_at__gt=start, started_at__lte=now)
    rows = Outcome.objects.filter(wanted, misdated=False).order_by("started_at")
    for probe_id, at, error_class, detail in rows.values_list(
        "probe", "started_at", "error_class", "detail"
    ):
        samples[probe_id].append(Sample(at, error_class, detail))
    return samples


def _latest(probes: Iterable[Probe]) -> dict[int, list[Sample]]:
    failing = {p.gateway_id for p in probes if p.team_id is None and p.last_error}
    latest: dict[int, list[Sample]] = {}
    if not failing:
        return latest
    rows = Probe.objects.filter(
        enabled=True, gateway__in=failing, last_at__isnull=False
    ).values_list("gateway", "last_at", "last_error")
    for gateway_id, at, error_class in rows:
        if at is not None:
            latest.setdefault(gateway_id, []).append(Sample(at, error_class))
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
