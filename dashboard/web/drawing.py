"""How a chart is put together: its lines, what is shaded behind them, where it leads."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from dashboard.rollups.numbers import Summary
from dashboard.web import words
from dashboard.web.ranges import stamp


@dataclass(frozen=True, slots=True)
class Line:
    """One row of points [epoch ms, value or None]; `colour` names a CSS token.

    An `is_echo` is the period before, drawn faintly under the present one. An `is_dots`
    has no line, only its points; one that `fills` shades the way to the line before it.
    """

    label: str
    colour: str
    points: list[tuple[int, float | None]]
    dash: list[int] = field(default_factory=list)
    is_echo: bool = False
    is_dots: bool = False
    fills: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of time that a chart shades: an incident, a silence, a breaker.

    `end` is None while it goes on; `tone` is a state's, `url` leads to what it is.
    """

    kind: str
    label: str
    start: datetime
    end: datetime | None
    tone: str
    url: str = ""

    @property
    def words(self) -> str:
        until = words.minute(self.end) if self.end else "now"
        return f"{words.minute(self.start)} to {until}"


@dataclass(frozen=True, slots=True)
class Chart:
    """What charts.js draws; `kind` is "line" or "bar" (stacked), `unit` an ending.

    `counts` are the samples of each point, below `thin` of which it is drawn hollow.
    A click on a point goes to `drill` with the point's time; dragging over the chart is
    a choice of time where `zooms`.
    """

    kind: str
    unit: str
    start: int
    end: int
    step: int
    lines: list[Line]
    counts: list[int] = field(default_factory=list)
    thin: int = 0
    drill: str = ""
    zooms: bool = False
    marks: list[dict[str, object]] = field(default_factory=list)
    zone: str = "UTC"
    offset: int = 0


NOTHING_TOLD = "No data in this time. A gap is shown as a gap, never as zero."


@dataclass(frozen=True, slots=True)
class ChartTable:
    """A chart with its name, its numbers and one sentence that sums it up.

    `sheet` has the same numbers unrounded, for exports; the first row names them.
    `urls` leads from each row to what it counts, where there is such a page; `blank` is
    said where there is no chart.
    """

    name: str
    title: str
    summary: str
    chart: dict[str, object]
    columns: list[str]
    rows: list[list[str]]
    has_data: bool
    urls: list[str] = field(default_factory=list)
    marks: Sequence[Mark] = ()
    sheet: list[list[object]] = field(default_factory=list)
    blank: str = NOTHING_TOLD

    @property
    def data_id(self) -> str:
        return f"data-{self.name}"

    @property
    def linked_rows(self) -> list[tuple[str, list[str]]]:
        urls = self.urls or [""] * len(self.rows)
        return list(zip(urls, self.rows, strict=True))


@dataclass(frozen=True, slots=True)
class Setting:
    """What charts of one page share: where points lead, what is shaded behind them.

    `before` are the pieces of the period before, where the page compares with it;
    `zooms` says that the page shows whatever time its address names.
    """

    drill: str = ""
    zooms: bool = False
    marks: Sequence[Mark] = ()
    before: Sequence[Summary] = ()


PLAIN = Setting()


def results_url(seen: Summary, whose: str = "") -> str:
    """Return the address that lists what a number counts: its own time, to the bucket.

    `whose` narrows it down: "probe=1".
    """
    base = f"{reverse('outcomes')}?{whose}" if whose else reverse("outcomes")
    return drill_url(base, seen.start, seen.end)


def drill_url(base: str, start: datetime, end: datetime, **others: str) -> str:
    """Return the address that lists the results of one piece of time."""
    joint = "&" if "?" in base else "?"
    asked = {"from": stamp(start), "to": stamp(end), **others}
    return f"{base}{joint}{urlencode(asked)}"


def urls_of(pieces: Sequence[Summary], setting: Setting, **others: str) -> list[str]:
    if not setting.drill:
        return []
    return [
        drill_url(setting.drill, piece.start, piece.end, **others)
        if present(piece)
        else ""
        for piece in pieces
    ]


def sheet_of(
    names: list[str],
    pieces: Sequence[Summary],
    values: Callable[[Summary], Sequence[object]],
) -> list[list[object]]:
    rows = [[stamp(piece.start), *values(piece)] for piece in pieces]
    return [[*names], *rows]


def present(piece: Summary) -> int:
    return piece.samples + piece.excluded


def line(
    label: str,
    colour: str,
    pieces: Sequence[Summary],
    value: Callable[[Summary], float | None],
    dash: list[int] | None = None,
) -> Line:
    points = [(epoch_ms(piece.start), rounded(value(piece))) for piece in pieces]
    return Line(label, colour, points, dash or [])


def echo(
    label: str,
    pieces: Sequence[Summary],
    setting: Setting,
    value: Callable[[Summary], float | None],
) -> list[Line]:
    """Return the period before, moved to where the present one is."""
    if not setting.before or not pieces:
        return []
    shift = pieces[0].start - setting.before[0].start
    points = [
        (epoch_ms(piece.start + shift), rounded(value(piece)))
        for piece in setting.before
    ]
    return [Line(f"{label} before", "ink-soft", points, [2, 2], is_echo=True)]


def chart(
    kind: str,
    unit: str,
    pieces: Sequence[Summary],
    lines: list[Line],
    setting: Setting,
    *,
    counts: list[int] | None = None,
    thin: int = 0,
) -> dict[str, object]:
    if not pieces:
        return asdict(Chart(kind, unit, 0, 0, 1, lines))
    start, end = pieces[0].start, pieces[-1].end
    return asdict(
        Chart(
            kind=kind,
            unit=unit,
            start=epoch_ms(start),
            end=epoch_ms(end if kind == "bar" else pieces[-1].start),
            step=epoch_ms(pieces[0].end) - epoch_ms(start),
            lines=lines,
            counts=counts or [],
            thin=thin,
            drill=setting.drill,
            zooms=setting.zooms,
            marks=[band(mark, end) for mark in setting.marks],
            zone=timezone.get_current_timezone_name(),
            offset=offset_ms(end),
        )
    )


def band(mark: Mark, end: datetime) -> dict[str, object]:
    """Return what charts.js shades for a mark; one that goes on is shaded up to `end`."""
    return {
        "kind": mark.kind,
        "label": mark.label,
        "tone": mark.tone,
        "start": epoch_ms(mark.start),
        "end": epoch_ms(mark.end or end),
    }


def offset_ms(at: datetime) -> int:
    """Return how far the visitor's zone is ahead of UTC, for where the ticks go."""
    offset = timezone.localtime(at).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def epoch_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
