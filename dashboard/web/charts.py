"""Data for the charts, and the same numbers as a table for whoever cannot see them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from dashboard.probes.taxonomy import meaning
from dashboard.rollups.numbers import Summary
from dashboard.web import words

# The legend stays readable, and the palette has this many colours.
MOST_CLASSES = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One row of points [epoch ms, value or None]; `colour` names a CSS token."""

    label: str
    colour: str
    points: list[tuple[int, float | None]]
    dash: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chart:
    """What charts.js draws; `kind` is "line" or "bar" (stacked), `unit` an ending."""

    kind: str
    unit: str
    start: int
    end: int
    step: int
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class ChartTable:
    """A chart with its name, its numbers and one sentence that sums it up."""

    name: str
    title: str
    summary: str
    chart: dict[str, object]
    columns: list[str]
    rows: list[list[str]]
    has_data: bool

    @property
    def data_id(self) -> str:
        return f"data-{self.name}"


def latency(
    pieces: Sequence[Summary], name: str = "latency", *, note: str = ""
) -> ChartTable:
    """Return p50, p95 and p99 of successes; a hole where there are none.

    `note` says what was left out.
    """
    lines = [
        _line("p99", "chart-3", pieces, lambda piece: piece.p99_ms, [2, 3]),
        _line("p95", "chart-1", pieces, lambda piece: piece.p95_ms),
        _line("p50", "chart-2", pieces, lambda piece: piece.p50_ms, [6, 3]),
    ]
    rows = [
        [
            _clock(piece.start),
            words.milliseconds(piece.p50_ms),
            words.milliseconds(piece.p95_ms),
            words.milliseconds(piece.p99_ms),
            f"{piece.good:,}",
        ]
        for piece in pieces
    ]
    known = [piece.p95_ms for piece in pieces if piece.p95_ms is not None]
    return ChartTable(
        name=name,
        title="Latency of successes",
        summary=f"p95 between {words.milliseconds(min(known))} and "
        f"{words.milliseconds(max(known))}{note}"
        if known
        else f"no data{note}",
        chart=_chart("line", " ms", pieces, lines),
        columns=["From (UTC)", "p50", "p95", "p99", "n"],
        rows=rows,
        has_data=bool(known),
    )


def errors(pieces: Sequence[Summary], name: str = "errors") -> ChartTable:
    """Return failures by class, stacked; a piece without samples is a hole."""
    totals: dict[str, int] = {}
    for piece in pieces:
        for error_class, number in piece.classes.items():
            totals[error_class] = totals.get(error_class, 0) + number
    classes = sorted(totals, key=lambda each: -totals[each])[:MOST_CLASSES]
    samples = sum(piece.samples for piece in pieces)
    bad = sum(piece.bad for piece in pieces)
    lines = [
        _line(
            meaning(error_class).title,
            f"chart-class-{place}",
            pieces,
            _count_of(error_class),
        )
        for place, error_class in enumerate(classes, start=1)
    ]
    rows = [
        [
            _clock(piece.start),
            words.percent(piece.error_rate),
            f"{piece.bad:,}",
            _mix(piece),
            f"{piece.samples:,}",
        ]
        for piece in pieces
    ]
    return ChartTable(
        name=name,
        title="Failures by class",
        summary=f"{bad:,} of {samples:,} failed" if samples else "no data",
        chart=_chart("bar", "", pieces, lines),
        columns=["From (UTC)", "Error rate", "Failed", "Classes", "n"],
        rows=rows,
        has_data=bool(samples),
    )


def credits_left(readings: Sequence[tuple[datetime, float]]) -> ChartTable:
    """Return the credits that were left at each hour."""
    points = [(_ms(at), float(left)) for at, left in readings]
    line = Line("Credits left", "chart-1", list(points))
    bounds = (points[0][0], points[-1][0]) if points else (0, 0)
    return ChartTable(
        name="credits",
        title="Credits left",
        summary=f"from {words.number(readings[0][1])} to "
        f"{words.number(readings[-1][1])}"
        if len(readings) > 1
        else "too few readings",
        chart=asdict(Chart("line", "", *bounds, 3_600_000, [line])),
        columns=["Hour (UTC)", "Lowest"],
        rows=[[_clock(at), words.number(left)] for at, left in readings],
        has_data=len(readings) > 1,
    )


def _count_of(error_class: str) -> Callable[[Summary], float | None]:
    def count(piece: Summary) -> float | None:
        seen = piece.samples or piece.excluded
        return piece.classes.get(error_class, 0) if seen else None

    return count


def _mix(piece: Summary) -> str:
    return ", ".join(
        f"{meaning(error_class).title} {number:,}"
        for error_class, number in piece.classes.items()
    )


def _line(
    label: str,
    colour: str,
    pieces: Sequence[Summary],
    value: Callable[[Summary], float | None],
    dash: list[int] | None = None,
) -> Line:
    points = [(_ms(piece.start), _rounded(value(piece))) for piece in pieces]
    return Line(label, colour, points, dash or [])


def _chart(
    kind: str, unit: str, pieces: Sequence[Summary], lines: list[Line]
) -> dict[str, object]:
    if not pieces:
        return asdict(Chart(kind, unit, 0, 0, 1, lines))
    step = _ms(pieces[0].end) - _ms(pieces[0].start)
    return asdict(
        Chart(kind, unit, _ms(pieces[0].start), _ms(pieces[-1].end), step, lines)
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%-d %b %H:%M")
