"""Deleting what has a history, which by itself nobody may change."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from dashboard.alerts.models import Incident
from dashboard.probes.breaker_events import forget_breakers
from dashboard.probes.models import Outcome, Probe
from dashboard.teams.models import Gateway, Team
from dashboard.web.admin.audited import AuditedAdmin


class DeletesItsHistory(AuditedAdmin):
    """Delete results and incidents with the team, or the gateway, that they are of.

    Django's own page names every row that goes, and refuses where one of them is
    read-only; this one counts them. `place` is what probes and incidents call theirs.
    """

    place = ""

    def get_deleted_objects(
        self, objs: Iterable[Model], request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        named = [f"{obj._meta.verbose_name} {obj}" for obj in objs]  # noqa: SLF001 (Django's documented Model._meta)
        ours = {f"{self.place}__in": [obj.pk for obj in objs]}
        results = {f"probe__{name}": pks for name, pks in ours.items()}
        counts = {
            "probes": Probe.objects.filter(**ours).count(),
            "results": Outcome.objects.filter(**results).count(),
            "incidents": Incident.objects.filter(**ours).count(),
        }
        return named, counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self._take([obj.pk])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._take(queryset.values_list("pk", flat=True))
        super().delete_queryset(request, queryset)

    def _take(self, pks: Iterable[Any]) -> None:
        """Let nobody store a result of what is being deleted: it would have no probe.

        Probes come first, as for the recorder, else the two would wait in a circle.
        """
        ours = {f"{self.place}__in": list(pks)}
        teams = ours if self.place == "gateway" else {"pk__in": ours["team__in"]}
        gateways = {"pk__in": ours.get("gateway__in", [])}
        probes = Probe.objects.filter(**ours)
        _lock(probes)
        if self.place == "team":  # a gateway's go with it
            forget_breakers(probes)
        _lock(Team.objects.filter(**teams))
        _lock(Gateway.objects.filter(**gateways))
        _lock(Incident.objects.filter(**ours))


def _lock(rows: QuerySet[Any]) -> None:
    taken = rows.select_for_update().order_by("pk")
    list(taken.values_list("pk", flat=True))
