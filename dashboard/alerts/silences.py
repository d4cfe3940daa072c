"""Silences: times in which nobody is mailed of what they match. Judging goes on."""

from collections.abc import Iterable
from datetime import datetime

from dashboard.alerts.models import Incident, Silence
from dashboard.probes.models import Probe


def active(now: datetime) -> list[Silence]:
    """Return the silences that hold now; one small query."""
    return list(Silence.objects.filter(starts_at__lte=now, ends_at__gt=now))


def covering(silences: Iterable[Silence], incident: Incident) -> Silence | None:
    """Return the silence that covers an incident, the one that lasts longest."""
    found = [each for each in silences if _matches(each, incident)]
    return max(found, key=lambda each: each.ends_at, default=None)


def maintenances(since: datetime, until: datetime) -> list[Silence]:
    """Return the maintenances that hold at some moment between; one small query."""
    return list(
        Silence.objects.filter(
            maintenance=True, starts_at__lte=until, ends_at__gt=since
        )
    )


def in_maintenance(
    silences: Iterable[Silence], probe: Probe, at: datetime | None = None
) -> bool:
    """Say whether one of these is a maintenance of the probe, at a moment or at all."""
    return any(
        silence.maintenance
        and silence.gateway_id in {None, probe.gateway_id}
        and silence.team_id in {None, probe.team_id}
        and silence.probe_id in {None, probe.pk}
        and (at is None or silence.starts_at <= at < silence.ends_at)
        for silence in silences
    )


def _matches(silence: Silence, incident: Incident) -> bool:
    """Say whether all that the silence names is the incident's."""
    return (
        silence.gateway_id in {None, incident.gateway_id}
        and silence.team_id in {None, incident.team_id}
        and silence.probe_id in {None, incident.probe_id}
        and silence.kind in {"", incident.kind}
    )


def end(silence: Silence, now: datetime) -> bool:
    """End a silence now; what still fires is told with the next evaluation.

    One that has not begun never will. False when it was over already.
    """
    return bool(
        Silence.objects.filter(pk=silence.pk, ends_at__gt=now).update(ends_at=now)
    )
