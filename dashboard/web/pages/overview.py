"""What the overview shows."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.rollups.recent import recent
from dashboard.web import access, attention, charts
from dashboard.web.charts import ChartTable
from dashboard.web.pages.breakers import BreakerRow, breaker_row
from dashboard.web.pages.facts import facts
from dashboard.web.pages.parts import Alarm, Link, alarm
from dashboard.web.pages.probe_rows import ProbeRow, off_links, probe_rows
from dashboard.web.pages.tiles import WITHOUT_PAID, Tile, tiles
from dashboard.web.verdict import Verdict, verdict


@dataclass(frozen=True, slots=True)
class Overview:
    title: str
    verdict: Verdict
    alarms: list[Alarm]
    tiles: list[Tile]
    rows: list[ProbeRow]
    off: list[Link]
    charts: list[ChartTable]
    breakers: list[BreakerRow]
    is_empty: bool


def overview(user: access.Visitor, now: datetime) -> Overview:
    """Return the overview of everything that the user may see; eleven queries."""
    known = facts(user, now)
    items = attention.items(known)
    said = verdict(known, items)
    seen = recent(known.probes, now)
    return Overview(
        title=f"{said.problems} failing" if said.problems else "Overview",
        verdict=said,
        alarms=[alarm(item, now) for item in items],
        tiles=tiles(known, seen) if known.probes else [],
        rows=probe_rows(known.probes, known.prober, seen, now),
        off=off_links(known.probes),
        charts=[
            charts.errors(seen.every.day),
            charts.latency(
                seen.quick.day, note=WITHOUT_PAID if seen.leaves_out_paid else ""
            ),
        ],
        breakers=[
            breaker_row(breaker, now)
            for breaker in known.breakers
            if not breaker.state.endswith("closed")
        ],
        is_empty=not known.probes,
    )
