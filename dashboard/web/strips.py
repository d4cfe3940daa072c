"""The strip of a probe's last day: one cell an hour, the same hours in every row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dashboard.probes.taxonomy import meaning
from dashboard.rollups.tally import Tally
from dashboard.web import words
from dashboard.web.drawing import epoch_ms

CELL, GAP, HEIGHT = 8, 2, 20


class Cell(StrEnum):
    """What an hour was like; its height says it as well as its colour."""

    OK = "ok"
    SOME = "some"
    BAD = "bad"
    MAINTENANCE = "maintenance"
    NONE = "none"


_HEIGHTS = {
    Cell.OK: 8,
    Cell.SOME: 14,
    Cell.BAD: HEIGHT,
    Cell.MAINTENANCE: HEIGHT,
    Cell.NONE: 3,
}
# The hatching of a maintenance is a line in so many units.
_HATCH = 4
# At least half of an hour's samples failed.
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class Strip:
    """An SVG of the given width, a path for each kind of cell, and it all in words.

    `cells` tell js/strips.js of each hour from `start` on (epoch ms) "samples/failed/most
    frequent class" or "maintenance", parted by "|"; `url` is where an hour's results are listed.
    """

    width: int
    height: int
    paths: list[tuple[str, str]]
    summary: str
    name: str = ""
    url: str = ""
    start: int = 0
    last: int = 0
    cells: str = ""


def strip(
    hours: Sequence[datetime],
    seen: Mapping[datetime, Tally],
    *,
    name: str = "",
    url: str = "",
) -> Strip:
    cells = [_cell(seen.get(hour)) for hour in hours]
    return Strip(
        name=name,
        url=url,
        start=epoch_ms(hours[0]) if hours else 0,
        last=len(hours) - 1,
        cells="|".join(_told(seen.get(hour)) for hour in hours),
        width=len(hours) * CELL - GAP,
        height=HEIGHT,
        paths=[
            (kind.value, path) for kind in Cell if (path := _path(cells, kind)) != ""
        ],
        summary=_summary(cells, list(seen.values())),
    )


def _is_maintenance(seen: Tally | None) -> bool:
    """Say whether all that was seen is left out, and not for a class of failure."""
    return seen is not None and bool(
        seen.excluded and not seen.samples and not seen.classes
    )


def _told(seen: Tally | None) -> str:
    if _is_maintenance(seen):
        return Cell.MAINTENANCE.value
    if seen is None or not seen.samples:
        return ""
    if not seen.bad:
        return f"{seen.samples}"
    most = max(seen.classes, key=lambda each: seen.classes[each], default="")
    return f"{seen.samples}/{seen.bad}/{meaning(most).title if most else ''}"


def _cell(seen: Tally | None) -> Cell:
    if _is_maintenance(seen):
        return Cell.MAINTENANCE
    if seen is None or not seen.samples:
        return Cell.NONE
    if not seen.bad:
        return Cell.OK
    return Cell.BAD if seen.bad / seen.samples >= _MOSTLY else Cell.SOME


def _path(cells: Sequence[Cell], kind: Cell) -> str:
    tall = _HEIGHTS[kind]
    wide = CELL - GAP
    if kind is Cell.MAINTENANCE:
        return "".join(
            f"M{place * CELL} {low}l{wide}-{wide}"
            for place, cell in enumerate(cells)
            if cell is kind
            for low in range(wide, HEIGHT + 1, _HATCH)
        )
    return "".join(
        f"M{place * CELL} {HEIGHT - tall}h{wide}v{tall}h-{wide}z"
        for place, cell in enumerate(cells)
        if cell is kind
    )


def _summary(cells: Sequence[Cell], seen: Sequence[Tally]) -> str:
    samples = sum(each.samples for each in seen)
    closed = cells.count(Cell.MAINTENANCE)
    if not samples and closed:
        gaps = words.count(len(cells) - closed, "hour")
        return f"Maintenance in {words.count(closed, 'hour')}, no data in {gaps}"
    if not samples:
        return f"No data in {words.count(len(cells), 'hour')}"
    good = samples - sum(each.bad for each in seen)
    parts = [f"{words.percent(good / samples)} ok in {words.count(len(cells), 'hour')}"]
    failing = cells.count(Cell.SOME) + cells.count(Cell.BAD)
    if failing:
        parts.append(f"failures in {words.count(failing, 'hour')}")
    if closed:
        parts.append(f"maintenance in {words.count(closed, 'hour')}")
    if missing := cells.count(Cell.NONE):
        parts.append(f"no data in {words.count(missing, 'hour')}")
    return ", ".join(parts)
