"""How many runs there were, and failed, while an incident lasted."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from dashboard.alerts.models import Incident, RuleKind
from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.taxonomy import counted
from dashboard.rollups.windows import Counts, in_whole_hours


class RunCounter:
    """Counts the runs of incidents that are over, each once for all its readers.

    Those of a whole gateway may be millions, and hundreds may be told who read all of it.
    """

    def __init__(self) -> None:
        self._known: dict[int, Counts] = {}

    def of(
        self, incident: Incident, of_teams: Collection[int] | None = None
    ) -> Counts | None:
        """Return how many there were, of a whole gateway or of some teams' probes.

        None while it is open, and where it is of no probes, or of no results.
        """
        probes = _probes(incident)
        if incident.resolved_at is None or probes is None:
            return None
        if of_teams is not None:
            return _while_it_lasted(incident, probes.filter(team__in=of_teams))
        if incident.pk not in self._known:
            self._known[incident.pk] = _while_it_lasted(incident, probes)
        return self._known[incident.pk]


def _while_it_lasted(incident: Incident, probes: QuerySet[Probe]) -> Counts:
    assert incident.resolved_at is not None
    probe_ids = list(probes.order_by().values_list("pk", flat=True))
    return between(probe_ids, incident.began_at, incident.resolved_at)


def _probes(incident: Incident) -> QuerySet[Probe] | None:
    if incident.kind == RuleKind.GATEWAY_DOWN:
        return Probe.objects.filter(gateway=incident.gateway_id)
    if incident.probe_id is not None and incident.kind != RuleKind.NO_DATA:
        return Probe.objects.filter(pk=incident.probe_id)
    return None


def between(probe_ids: Collection[int], start: datetime, end: datetime) -> Counts:
    """Count whole hours by their rollups, and what is before and after one by one."""
    first, last = buckets.ceil(start, HOUR_S), buckets.floor(end, HOUR_S)
    if first >= last:
        return _one_by_one(probe_ids, Q(started_at__gte=start, started_at__lte=end))
    parts = (
        _one_by_one(probe_ids, Q(started_at__gte=start, started_at__lt=first)),
        in_whole_hours(probe_ids, first, last),
        _one_by_one(probe_ids, Q(started_at__gte=last, started_at__lte=end)),
    )
    return Counts(*map(sum, zip(*parts, strict=True)))


def _one_by_one(probe_ids: Collection[int], when: Q) -> Counts:
    outcomes = Outcome.objects.filter(
        when, probe__in=probe_ids, maintenance=False, misdated=False
    )
    numbers = outcomes.order_by().values_list("error_class").annotate(Count("pk"))
    told = {name: number for name, number in numbers if counted(name)}
    return Counts(sum(told.values()), sum(told.values()) - told.get("", 0))
