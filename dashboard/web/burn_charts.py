"""Credits drawn: what was left, what is forecast, and the small line of a table's row."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, HOUR_S
from dashboard.teams.credit_hours import (
    Hour,
)
from dashboard.teams.queries import Burn
from dashboard.teams.spending import (
    hours_in,
)
from dashboard.web import words
from dashboard.web.drawing import (
    NOTHING_TOLD,
    Chart,
    ChartTable,
    Line,
    epoch_ms,
    offset_ms,
)
from dashboard.web.ranges import Range, stamp

_AHEAD = timedelta(days=10)
# A few hundred points at most, up to a year; a longer range has one a day.
_STEPS = ((timedelta(days=2), HOUR_S), (timedelta(days=14), 3 * HOUR_S))
SPARK_WIDTH, SPARK_HEIGHT = 120, 24


def burn_down(
    hours: Sequence[Hour], burn: Burn | None, now: datetime, chosen: Range
) -> ChartTable:
    """Return what was left, and a band from the fastest to the slowest pace.

    A piece of time without readings is a hole; the forecast ends where nothing is left,
    and a range that ended in the past has none.
    """
    step_s = next((s for span, s in _STEPS if chosen.span <= span), DAY_S)
    step = timedelta(seconds=step_s)
    start = buckets.floor(chosen.start, step_s)
    known = hours_in(hours, chosen.start, chosen.end)
    left = {buckets.floor(row.hour, step_s): row.last for row in known}
    filled = {buckets.floor(row.hour, step_s) for row in known if row.refilled > 0}
    least = _least(known, step_s)
    dips = {at for at in filled if least[at] < left[at]}
    reach = min(_AHEAD, chosen.span)
    ahead = _forecast(burn, now, step, reach) if chosen.is_live else []
    end = max(
        [buckets.ceil(chosen.end, step_s), *(at for line in ahead for at, _ in line)]
    )
    grid = [start + n * step for n in range((end - start) // step + 1)]
    before = _moved(hours, chosen) if chosen.compares else []
    earlier = {buckets.floor(row.hour, step_s): row.last for row in before}
    lines = [
        Line("Left before", "ink-soft", _points(grid, earlier), [2, 2], is_echo=True),
        Line("Left", "chart-1", _points(grid, left)),
        Line("Refilled", "ok", _points(grid, _at(filled, left)), is_dots=True),
        Line("Least before", "warn", _points(grid, _at(dips, least)), is_dots=True),
        *(
            Line(label, "chart-3", _points(grid, dict(line)), dash, fills=place > 0)
            for place, (label, dash, line) in enumerate(
                zip(_FORECASTS, ([6, 3], [2, 3]), ahead, strict=False)
            )
        ),
    ]
    used = [
        line for line in lines if any(value is not None for _, value in line.points)
    ]
    return ChartTable(
        name="credits",
        title="Credits left",
        summary=_summary(known),
        chart=asdict(
            Chart(
                kind="line",
                unit="",
                start=epoch_ms(start),
                end=epoch_ms(end),
                step=step_s * 1000,
                lines=used,
                zone=timezone.get_current_timezone_name(),
                offset=offset_ms(now),
                zooms=True,
            )
        ),
        sheet=[_COLUMNS, *(_record(row) for row in known)],
        columns=[
            *("Day (UTC)", "Least left", "Used", "Refilled", "Readings"),
            *(["Least left before"] if chosen.compares else []),
        ],
        rows=_days(known, before if chosen.compares else None),
        has_data=len(left) > 1,
        blank=_ONE_POINT if left else NOTHING_TOLD,
    )


_ONE_POINT = "Readings in one hour of this time: a line needs two."
_FORECASTS = ("Faster pace", "Slower pace")


def _moved(hours: Sequence[Hour], chosen: Range) -> list[Hour]:
    """Return the hours of the period before, moved to where the present one is."""
    then = chosen.before()
    earlier = hours_in(hours, then.start, then.end)
    return [row._replace(hour=row.hour + chosen.span) for row in earlier]


def _least(hours: Iterable[Hour], step_s: int) -> dict[datetime, float]:
    """Return the least that was left in each step of time."""
    found: dict[datetime, float] = {}
    for row in hours:
        at = buckets.floor(row.hour, step_s)
        found[at] = min(row.least, found.get(at, row.least))
    return found


def _at(
    places: Collection[datetime], values: Mapping[datetime, float]
) -> dict[datetime, float]:
    return {at: values[at] for at in places}


def _forecast(
    burn: Burn | None, now: datetime, step: timedelta, reach: timedelta
) -> list[list[tuple[datetime, float]]]:
    """Return a line for the fastest and the slowest pace; one that uses any has one."""
    if burn is None or burn.remaining <= 0:
        return []
    using = [per_hour for per_hour, _ in burn.paces if per_hour > 0]
    step_h = step / timedelta(hours=1)
    begin = buckets.floor(now, int(step.total_seconds()))
    lines = []
    for per_hour in dict.fromkeys([*using[:1], *using[-1:]]):
        # As numbers: a slow pace lasts longer than a timedelta can tell.
        lasts_h = min(burn.remaining / per_hour, reach / timedelta(hours=1))
        steps = range(int(lasts_h // step_h) + 2)
        lines.append(
            [
                (begin + n * step, max(0.0, burn.remaining - per_hour * n * step_h))
                for n in steps
            ]
        )
    return lines


def _points(
    grid: Sequence[datetime], values: dict[datetime, float]
) -> list[tuple[int, float | None]]:
    """Return a point for each place of the grid, so that all lines share their places."""
    return [
        (epoch_ms(at), None if (value := values.get(at)) is None else round(value, 2))
        for at in grid
    ]


def _summary(hours: Sequence[Hour]) -> str:
    if len(hours) < 2:
        return "too few readings"
    least = min(row.least for row in hours)
    told = course_words(hours[0].first, hours[-1].last, least)
    return f"{told}, from {words.minute(hours[0].hour)} on"


def course_words(first: float, last: float, least: float) -> str:
    """Return from what to what credits went, and how few there were in between."""
    low = f", least {words.number(least)}" if least < min(first, last) else ""
    return f"first {words.number(first)}, last {words.number(last)}{low}"


_COLUMNS: list[object] = ["hour", "left", "least", "spent", "refilled", "readings"]


def _record(row: Hour) -> list[object]:
    told = (row.last, row.least, row.spent, row.refilled, row.readings)
    return [stamp(row.hour), *told]


def _days(
    hours: Sequence[Hour], earlier: Sequence[Hour] | None = None
) -> list[list[str]]:
    """Return a row a day; the hours are linked: what went over midnight is the day's after.

    `earlier` are the moved hours of the period before, None where there is no comparison.
    """
    least = _least(earlier or (), DAY_S)
    days: dict[datetime, list[Hour]] = {}
    for row in hours:
        days.setdefault(buckets.floor(row.hour, DAY_S), []).append(row)
    return [
        [
            *_day(day, rows),
            *([] if earlier is None else [_or_no_data(least.get(day))]),
        ]
        for day, rows in sorted(days.items(), reverse=True)
    ]


def _or_no_data(value: float | None) -> str:
    return words.NO_DATA if value is None else words.number(value)


def _day(day: datetime, rows: Sequence[Hour]) -> list[str]:
    return [
        day.strftime("%a %-d %b"),
        words.number(min(row.least for row in rows)),
        words.number(round(sum(row.spent for row in rows), 1)),
        words.number(round(sum(row.refilled for row in rows), 1)),
        f"{sum(row.readings for row in rows):,}",
    ]


def spark_hours(chosen: Range) -> list[datetime]:
    """Return the hours that a small line over a range has points at; the last is one."""
    first = buckets.floor(chosen.start, HOUR_S)
    last = buckets.floor(chosen.end - _MOMENT, HOUR_S)
    step = max(1, -(-(last - first) // (_SPARK_POINTS * _HOUR))) * _HOUR
    return [last - n * step for n in range((last - first) // step, -1, -1)]


def spark(hours: Sequence[Hour], grid: Sequence[datetime]) -> str:
    """Return the path of a small line of what was left; a point that lacks is a gap.

    Where more was left in the end of an hour than in between it falls and rises again.
    """
    place_of = {at: place for place, at in enumerate(grid)}
    top = max((row.last for row in hours), default=0.0) or 1.0
    path, before = [], -2
    for row in hours:
        place = place_of[row.hour]
        x = place / max(1, len(grid) - 1) * SPARK_WIDTH
        ys = [
            SPARK_HEIGHT - 1 - max(0.0, left) / top * (SPARK_HEIGHT - 2)
            for left in dict.fromkeys((row.least, row.last))
        ]
        # One that stands alone is a dot: a line of no length with round ends.
        is_next = place == before + 1
        path.append(f"L{x:.0f} {ys[0]:.0f}" if is_next else f"M{x:.0f} {ys[0]:.0f}h0")
        path += [f"L{x:.0f} {y:.0f}" for y in ys[1:]]
        before = place
    return "".join(path)


# A hundred of these lines are on a page, each of some 120 pixels.
_SPARK_POINTS = 42
_HOUR = timedelta(hours=1)
_MOMENT = timedelta(microseconds=1)
