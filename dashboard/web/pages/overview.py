"""What the overview shows."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.web import access, attention
from dashboard.web.pages.facts import facts
from dashboard.web.pages.parts import Alarm, alarm
from dashboard.web.pages.probe_rows import ProbeRow, probe_rows


@dataclass(frozen=True, slots=True)
class Overview:
    title: str
    verdict: attention.Verdict
    alarms: list[Alarm]
    rows: list[ProbeRow]
    is_empty: bool


def overview(user: access.Visitor, now: datetime) -> Overview:
    known = facts(user, now)
    items = attention.items(known)
    verdict = attention.verdict(known, items)
    return Overview(
        title=f"{verdict.problems} failing" if verdict.problems else "Overview",
        verdict=verdict,
        alarms=[alarm(item, now) for item in items],
        rows=probe_rows(known.probes, known.prober, now),
        is_empty=not known.probes,
    )
