"""The charts of results, and the same numbers as a table for whoever cannot see them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain, islice, repeat

from dashboard.probes.taxonomy import meaning
from dashboard.rollups.numbers import LEAST_FOR_P95, PhaseMeans, Summary
from dashboard.web import drawing, words
from dashboard.web.drawing import PLAIN, Chart, ChartTable, Line, Setting

# The legend stays readable, and the palette has this many colours.
MOST_CLASSES = 5


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
    head, past = _before(
        *(pieces, setting, "p95 before"),
        lambda then: words.milliseconds(then.p95_ms if then else None),
    )
    lines = [
        *drawing.echo("p95", pieces, setting, lambda piece: piece.p95_ms),
        drawing.line("p99", "chart-3", pieces, lambda piece: piece.p99_ms, [2, 3]),
        drawing.line("p95", "chart-1", pieces, lambda piece: piece.p95_ms),
        drawing.line("p50", "chart-2", pieces, lambda piece: piece.p50_ms, [6, 3]),
    ]
    rows = [
        [
            words.minute(piece.start),
            words.milliseconds(piece.p50_ms),
            words.milliseconds(piece.p95_ms),
            words.milliseconds(piece.p99_ms),
            f"{piece.good:,}",
            *then,
        ]
        for piece, then in zip(pieces, past, strict=True)
    ]
    known = [piece.p95_ms for piece in pieces if piece.p95_ms is not None]
    return ChartTable(
        name=name,
        title="Latency of successes",
        summary=f"{_between(known)}{note}",
        chart=drawing.chart(
            *("line", " ms", pieces, lines, setting),
            counts=[piece.good for piece in pieces],
            thin=LEAST_FOR_P95,
        ),
        columns=[f"From ({words.zone()})", "p50", "p95", "p99", "n", *head],
        rows=rows,
        has_data=bool(known),
        urls=drawing.urls_of(pieces, setting),
        marks=setting.marks,
        sheet=drawing.sheet_of(
            ["from", "p50_ms", "p95_ms", "p99_ms", "samples"],
            pieces,
            lambda piece: [piece.p50_ms, piece.p95_ms, piece.p99_ms, piece.good],
        ),
    )


def _between(known: Sequence[float]) -> str:
    """Return "p95 between 64 ms and 1.20 s", and one number where both are the same."""
    if not known:
        return words.NO_DATA
    least, most = words.milliseconds(min(known)), words.milliseconds(max(known))
    return f"p95 {most}" if least == most else f"p95 between {least} and {most}"


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
    head, past = _before(
        pieces, setting, "Failed before", lambda then: _counted(then, _failed)
    )
    lines = [
        *drawing.echo("Failed", pieces, setting, _failed),
        *(
            drawing.line(
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
            *then,
        ]
        for piece, then in zip(pieces, past, strict=True)
    ]
    return ChartTable(
        name=name,
        title="Failures by class",
        summary=f"{bad:,} of {samples:,} failed{_failed_before(setting.before)}"
        if samples
        else "no data",
        chart=drawing.chart(
            *("bar", "", pieces, lines, setting),
            counts=[piece.samples for piece in pieces],
        ),
        columns=[
            *(f"From ({words.zone()})", "Error rate", "Failed", "Classes", "n"),
            *head,
        ],
        rows=rows,
        has_data=bool(samples),
        urls=drawing.urls_of(pieces, setting, state="failed"),
        marks=setting.marks,
        sheet=drawing.sheet_of(
            ["from", "error_rate", "failed", "samples", *totals],
            pieces,
            lambda piece: [
                *(piece.error_rate, piece.bad, piece.samples),
                *(piece.classes.get(each, 0) for each in totals),
            ],
        ),
    )


def volume(
    pieces: Sequence[Summary],
    whole: Summary,
    name: str = "volume",
    *,
    setting: Setting = PLAIN,
) -> ChartTable:
    """Return how many results there are, and how many of those expected are missing.

    The `whole` is not the sum of its pieces, of which each expects whole results.
    """
    head, past = _before(
        *(pieces, setting, "Results before"),
        lambda then: _counted(then, drawing.present),
    )
    lines = [
        *drawing.echo("results", pieces, setting, drawing.present),
        drawing.line("results", "chart-1", pieces, drawing.present),
        drawing.line("missing", "line-strong", pieces, _missing),
    ]
    came, expected = drawing.present(whole), whole.expected
    share = words.percent(min(1.0, came / expected)) if expected else words.NO_DATA
    rows = [
        [
            words.minute(piece.start),
            f"{drawing.present(piece):,}",
            f"{piece.expected:,}",
            words.percent(piece.coverage),
            f"{piece.excluded:,}",
            *then,
        ]
        for piece, then in zip(pieces, past, strict=True)
    ]
    return ChartTable(
        name=name,
        title="Volume and coverage",
        summary=f"{came:,} results of {expected:,} expected: {share}"
        if expected
        else "no result expected",
        chart=drawing.chart("bar", "", pieces, lines, setting),
        columns=[
            f"From ({words.zone()})",
            *("Results", "Expected", "Coverage", "Held or not counted"),
            *head,
        ],
        rows=rows,
        has_data=bool(came or expected),
        urls=drawing.urls_of(pieces, setting),
        marks=setting.marks,
        sheet=drawing.sheet_of(
            ["from", "results", "expected", "coverage", "not_counted"],
            pieces,
            lambda piece: [
                *(drawing.present(piece), piece.expected),
                *(piece.coverage, piece.excluded),
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
        chart=drawing.chart(
            *("bar", " ms", pieces),
            [
                drawing.line(phase, colour, pieces, _phase_of(value))
                for phase, (colour, value) in used.items()
            ],
            setting,
            counts=[piece.phases.samples if piece.phases else 0 for piece in pieces],
        ),
        columns=[f"From ({words.zone()})", *used, "n"],
        rows=rows,
        has_data=bool(known),
        urls=drawing.urls_of(pieces, setting),
        marks=setting.marks,
        sheet=drawing.sheet_of(
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
    points = [(drawing.epoch_ms(at), float(left)) for at, left in readings]
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


def _missing(piece: Summary) -> int:
    return max(0, piece.expected - drawing.present(piece))


def _failed(piece: Summary) -> int | None:
    return piece.bad if drawing.present(piece) else None


def _before(
    pieces: Sequence[Summary],
    setting: Setting,
    name: str,
    tell: Callable[[Summary | None], str],
) -> tuple[list[str], list[list[str]]]:
    """Return a column's name, and a cell for each piece: of as far in the time before.

    Nothing where the page does not compare.
    """
    if not setting.before:
        return [], [[] for _ in pieces]
    earlier = islice(chain(setting.before, repeat(None)), len(pieces))
    return [name], [[tell(then)] for then in earlier]


def _counted(then: Summary | None, count: Callable[[Summary], int | None]) -> str:
    number = count(then) if then and drawing.present(then) else None
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
        return piece.classes.get(error_class, 0) if drawing.present(piece) else None

    return count


def _mix(piece: Summary) -> str:
    return ", ".join(
        f"{meaning(error_class).title} {number:,}"
        for error_class, number in piece.classes.items()
    )
