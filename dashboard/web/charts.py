"""Data for the charts, and the same numbers as a table for whoever cannot see them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from dashboard.probes.taxonomy import meaning
from dashboard.rollups.numbers import LEAST_FOR_P95, PhaseMeans, Summary
from dashboard.web import words
from dashboard.web.ranges import stamp

# The legend stays readable, and the palette has this many colours.
MOST_CLASSES = 5


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


@dataclass(frozen=True, slots=True)
class ChartTable:
    """A chart with its name, its numbers and one sentence that sums it up.

    `sheet` has the same numbers unrounded, for exports; the first row names them.
    `urls` leads from each row to what it counts, where there is such a page.
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


def latency(
    pieces: Sequence[Summary],
    name: str = "latency",
    *,
    note: str = "",
    setting: Setting = PLAIN,
) -> ChartTable:
    """Return p50, p95 and p99 of successes; a hole where there are none.

    `note` says what was left out.
    """
    compares, earlier = bool(setting.before), _earlier(pieces, setting)
    lines = [
        *_echo("p95", pieces, setting, lambda piece: piece.p95_ms),
        _line("p99", "chart-3", pieces, lambda piece: piece.p99_ms, [2, 3]),
        _line("p95", "chart-1", pieces, lambda piece: piece.p95_ms),
        _line("p50", "chart-2", pieces, lambda piece: piece.p50_ms, [6, 3]),
    ]
    rows = [
        [
            words.minute(piece.start),
            words.milliseconds(piece.p50_ms),
            words.milliseconds(piece.p95_ms),
            words.milliseconds(piece.p99_ms),
            f"{piece.good:,}",
            *([words.milliseconds(then.p95_ms if then else None)] if compares else []),
        ]
        for piece, then in zip(pieces, earlier, strict=True)
    ]
    known = [piece.p95_ms for piece in pieces if piece.p95_ms is not None]
    return ChartTable(
        name=name,
        title="Latency of successes",
        summary=f"p95 between {words.milliseconds(min(known))} and "
        f"{words.milliseconds(max(known))}{note}"
        if known
        else f"no data{note}",
        chart=_chart(
            *("line", " ms", pieces, lines, setting),
            counts=[piece.good for piece in pieces],
            thin=LEAST_FOR_P95,
        ),
        columns=[
            *(f"From ({words.zone()})", "p50", "p95", "p99", "n"),
            *(["p95 before"] if compares else []),
        ],
        rows=rows,
        has_data=bool(known),
        urls=_urls(pieces, setting),
        marks=setting.marks,
        sheet=_sheet(
            ["from", "p50_ms", "p95_ms", "p99_ms", "samples"],
            pieces,
            lambda piece: [piece.p50_ms, piece.p95_ms, piece.p99_ms, piece.good],
        ),
    )


def errors(
    pieces: Sequence[Summary], name: str = "errors", *, setting: Setting = PLAIN
) -> ChartTable:
    """Return failures by class, stacked; a piece without samples is a hole."""
    totals: dict[str, int] = {}
    for piece in pieces:
        for error_class, number in piece.classes.items():
            totals[error_class] = totals.get(error_class, 0) + number
    classes = sorted(totals, key=lambda each: -totals[each])[:MOST_CLASSES]
    samples = sum(piece.samples for piece in pieces)
    bad = sum(piece.bad for piece in pieces)
    compares, earlier = bool(setting.before), _earlier(pieces, setting)
    lines = [
        *_echo("Failed", pieces, setting, _failed),
        *(
            _line(
                meaning(error_class).title,
                f"chart-class-{place}",
                pieces,
                _count_of(error_class),
            )
            for place, error_class in enumerate(classes, start=1)
        ),
    ]
    rows = [
        [
            words.minute(piece.start),
            words.percent(piece.error_rate),
            f"{piece.bad:,}",
            _mix(piece),
            f"{piece.samples:,}",
            *([_counted(then, _failed)] if compares else []),
        ]
        for piece, then in zip(pieces, earlier, strict=True)
    ]
    return ChartTable(
        name=name,
        title="Failures by class",
        summary=f"{bad:,} of {samples:,} failed{_failed_before(setting.before)}"
        if samples
        else "no data",
        chart=_chart(
            *("bar", "", pieces, lines, setting),
            counts=[piece.samples for piece in pieces],
        ),
        columns=[
            *(f"From ({words.zone()})", "Error rate", "Failed", "Classes", "n"),
            *(["Failed before"] if compares else []),
        ],
        rows=rows,
        has_data=bool(samples),
        urls=_urls(pieces, setting, state="failed"),
        marks=setting.marks,
        sheet=_sheet(
            ["from", "error_rate", "failed", "samples", *totals],
            pieces,
            lambda piece: [
                *(piece.error_rate, piece.bad, piece.samples),
                *(piece.classes.get(each, 0) for each in totals),
            ],
        ),
    )


def volume(
    pieces: Sequence[Summary], name: str = "volume", *, setting: Setting = PLAIN
) -> ChartTable:
    """Return how many results there are, and how many of those expected are missing."""
    compares, earlier = bool(setting.before), _earlier(pieces, setting)
    lines = [
        *_echo("results", pieces, setting, _present),
        _line("results", "chart-1", pieces, _present),
        _line("missing", "line-strong", pieces, _missing),
    ]
    came = sum(map(_present, pieces))
    expected = sum(piece.expected for piece in pieces)
    share = words.percent(min(1.0, came / expected)) if expected else words.NO_DATA
    rows = [
        [
            words.minute(piece.start),
            f"{_present(piece):,}",
            f"{piece.expected:,}",
            words.percent(piece.coverage),
            f"{piece.excluded:,}",
            *([_counted(then, _present)] if compares else []),
        ]
        for piece, then in zip(pieces, earlier, strict=True)
    ]
    return ChartTable(
        name=name,
        title="Volume and coverage",
        summary=f"{came:,} results of {expected:,} expected: {share}",
        chart=_chart("bar", "", pieces, lines, setting),
        columns=[
            f"From ({words.zone()})",
            *("Results", "Expected", "Coverage", "Held or not counted"),
            *(["Results before"] if compares else []),
        ],
        rows=rows,
        has_data=bool(came or expected),
        urls=_urls(pieces, setting),
        marks=setting.marks,
        sheet=_sheet(
            ["from", "results", "expected", "coverage", "not_counted"],
            pieces,
            lambda piece: [
                *(_present(piece), piece.expected, piece.coverage, piece.excluded)
            ],
        ),
    )


_PHASES: dict[str, tuple[str, Callable[[PhaseMeans], float]]] = {
    "connect": ("chart-3", lambda means: means.connect_ms),
    "TLS": ("chart-2", lambda means: means.tls_ms),
    "first byte": ("chart-1", lambda means: means.first_byte_ms),
    "body": ("cell-ok", lambda means: means.body_ms),
}


def phases(
    pieces: Sequence[Summary], name: str = "phases", *, setting: Setting = PLAIN
) -> ChartTable:
    """Return the mean time of each phase of successes, stacked."""
    known = [piece.phases for piece in pieces if piece.phases]
    used = {
        phase: told
        for phase, told in _PHASES.items()
        if any(told[1](means) > 0 for means in known)
    }
    rows = [
        [
            words.minute(piece.start),
            *(
                words.milliseconds(value(piece.phases) if piece.phases else None)
                for _, value in used.values()
            ),
            f"{piece.phases.samples if piece.phases else 0:,}",
        ]
        for piece in pieces
    ]
    return ChartTable(
        name=name,
        title="Phases of successes",
        summary="mean of each phase" if known else "no data",
        chart=_chart(
            *("bar", " ms", pieces),
            [
                _line(phase, colour, pieces, _phase_of(value))
                for phase, (colour, value) in used.items()
            ],
            setting,
            counts=[piece.phases.samples if piece.phases else 0 for piece in pieces],
        ),
        columns=[f"From ({words.zone()})", *used, "n"],
        rows=rows,
        has_data=bool(known),
        urls=_urls(pieces, setting),
        marks=setting.marks,
        sheet=_sheet(
            ["from", *(f"{phase.replace(' ', '_').lower()}_ms" for phase in used)],
            pieces,
            lambda piece: [
                value(piece.phases) if piece.phases else None
                for _, value in used.values()
            ],
        ),
    )


def _phase_of(
    value: Callable[[PhaseMeans], float],
) -> Callable[[Summary], float | None]:
    return lambda piece: value(piece.phases) if piece.phases else None


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
        columns=[f"Hour ({words.zone()})", "Lowest"],
        rows=[[words.minute(at), words.number(left)] for at, left in readings],
        has_data=len(readings) > 1,
    )


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


def _urls(pieces: Sequence[Summary], setting: Setting, **others: str) -> list[str]:
    if not setting.drill:
        return []
    return [
        drill_url(setting.drill, piece.start, piece.end, **others)
        if _present(piece)
        else ""
        for piece in pieces
    ]


def _sheet(
    names: list[str],
    pieces: Sequence[Summary],
    values: Callable[[Summary], Sequence[object]],
) -> list[list[object]]:
    rows = [[stamp(piece.start), *values(piece)] for piece in pieces]
    return [[*names], *rows]


def _present(piece: Summary) -> int:
    return piece.samples + piece.excluded


def _missing(piece: Summary) -> int:
    return max(0, piece.expected - _present(piece))


def _failed(piece: Summary) -> int | None:
    return piece.bad if _present(piece) else None


def _earlier(pieces: Sequence[Summary], setting: Setting) -> Sequence[Summary | None]:
    """Return for each piece the one that lies as far in the period before."""
    return [
        setting.before[place] if place < len(setting.before) else None
        for place in range(len(pieces))
    ]


def _counted(then: Summary | None, count: Callable[[Summary], int | None]) -> str:
    number = count(then) if then and _present(then) else None
    return words.NO_DATA if number is None else f"{number:,}"


def _failed_before(before: Sequence[Summary]) -> str:
    """Return ", before: 3 of 90", where the page compares."""
    samples = sum(piece.samples for piece in before)
    if not before:
        return ""
    if not samples:
        return ", no data of the time before"
    return f", the time before {sum(piece.bad for piece in before):,} of {samples:,}"


def _count_of(error_class: str) -> Callable[[Summary], float | None]:
    def count(piece: Summary) -> float | None:
        return piece.classes.get(error_class, 0) if _present(piece) else None

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


def _echo(
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
        (_ms(piece.start + shift), _rounded(value(piece))) for piece in setting.before
    ]
    return [Line(f"{label} before", "ink-soft", points, [2, 2], is_echo=True)]


def _chart(
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
            start=_ms(start),
            end=_ms(end if kind == "bar" else pieces[-1].start),
            step=_ms(pieces[0].end) - _ms(start),
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
        "start": _ms(mark.start),
        "end": _ms(mark.end or end),
    }


def offset_ms(at: datetime) -> int:
    """Return how far the visitor's zone is ahead of UTC, for where the ticks go."""
    offset = timezone.localtime(at).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
