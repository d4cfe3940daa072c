"""What one probe's page shows."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.probes.models import Probe
from dashboard.web.pages.parts import Badge, probe_badge
from dashboard.web.prober import prober
from dashboard.web.ranges import Range, Tab, tabs


@dataclass(frozen=True, slots=True)
class ProbePage:
    title: str
    badge: Badge
    tabs: list[Tab]
    may_accept_cost: bool


def probe(
    shown: Probe, chosen: Range, now: datetime, *, may_operate: bool, may_manage: bool
) -> ProbePage:
    return ProbePage(
        title=str(shown),
        badge=probe_badge(shown, prober(now), now),
        tabs=tabs(chosen),
        may_accept_cost=may_manage,
    )
