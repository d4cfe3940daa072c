"""The table of probes: the same on the overview and on a team's page, worst first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from dashboard.probes.models import Probe
from dashboard.web import words
from dashboard.web.pages.parts import Badge, Link, probe_badge, probe_link
from dashboard.web.prober import Prober
from dashboard.web.states import state_of


@dataclass(frozen=True, slots=True)
class ProbeRow:
    link: Link
    place: str
    badge: Badge
    latest: SafeString


def probe_rows(
    probes: Iterable[Probe], prober: Prober, now: datetime
) -> list[ProbeRow]:
    ordered = sorted(
        probes,
        key=lambda probe: (state_of(probe, prober, now).place, str(probe.gateway)),
    )
    return [
        ProbeRow(
            link=probe_link(probe),
            place=str(probe.team or probe.gateway),
            badge=probe_badge(probe, prober, now),
            latest=words.time(probe.last_at, now),
        )
        for probe in ordered
    ]
