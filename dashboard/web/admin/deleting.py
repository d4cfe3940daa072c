"""Deleting what has a history, which by itself nobody may change."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from dashboard.alerts.models import Incident
from dashboard.probes.models import Outcome, Probe
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
