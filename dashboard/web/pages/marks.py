"""What happened in a stretch of time, for the charts to shade behind their lines."""

from django.db.models import Q
from django.urls import reverse

from dashboard.alerts.models import CREDIT_KINDS, Incident, RuleKind, Silence
from dashboard.alerts.queries import touching
from dashboard.probes.models import Probe
from dashboard.web import access
from dashboard.web.drawing import Mark
from dashboard.web.ranges import Range
from dashboard.web.states import Tone, tone_of

# More would be one colour over the whole chart.
_MOST = 30
# What no result of a probe tells of: its charts have nothing that these would silence.
_OF_TEAM = (*CREDIT_KINDS, RuleKind.TEAM_STATE)


def marks(user: access.Visitor, probe: Probe, chosen: Range) -> list[Mark]:
    """Return the incidents and silences that touch the probe, oldest first; two queries."""
    found = [*_incidents(user, probe, chosen), *_silences(user, probe, chosen)]
    return sorted(found, key=lambda mark: mark.start)


def _incidents(user: access.Visitor, probe: Probe, chosen: Range) -> list[Mark]:
    then = Q(resolved_at=None) | Q(resolved_at__gt=chosen.start)
    found = access.incidents(user).filter(
        touching(probe), then, opened_at__lt=chosen.end
    )
    return [
        incident_mark(incident, reverse("incident", args=[incident.pk]))
        for incident in found.order_by("-opened_at")[:_MOST]
    ]


def incident_mark(incident: Incident, url: str = "") -> Mark:
    return Mark(
        kind="incident",
        label=incident.summary,
        start=incident.began_at,
        end=incident.resolved_at,
        tone=tone_of(incident.severity),
        url=url,
    )


def _silences(user: access.Visitor, probe: Probe, chosen: Range) -> list[Mark]:
    found = access.silences(user).filter(
        Q(gateway=None) | Q(gateway=probe.gateway_id),
        Q(team=None) | Q(team=probe.team_id),
        Q(probe=None) | Q(probe=probe),
        ~Q(kind__in=_OF_TEAM),
        starts_at__lt=chosen.end,
        ends_at__gt=chosen.start,
    )
    return [
        Mark(
            kind="maintenance" if silence.maintenance else "silence",
            label=_silenced(silence),
            start=silence.starts_at,
            end=silence.ends_at,
            tone=Tone.OFF,
            url=reverse("silences"),
        )
        for silence in found.order_by("-starts_at")[:_MOST]
    ]


def _silenced(silence: Silence) -> str:
    """Return the reason, after the one kind of alarms where it is of one."""
    of_kind = f"{silence.get_kind_display()}: " if silence.kind else ""
    return f"{of_kind}{silence.reason}"
