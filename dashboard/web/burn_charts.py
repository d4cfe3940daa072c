"""Credits drawn: what was left, what is forecast, and the small line of a table's row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, HOUR_S
from dashboard.teams.credit_hours import Hour, refills, spent
from dashboard.teams.queries import Burn
from dashboard.web import words
from dashboard.web.charts import Chart, ChartTable, Line, offset_ms
from dashboard.web.ranges import stamp

PAST = timedelta(days=14)
_AHEAD = timedelta(days=10)
_STEP_S = 3 * HOUR_S
_STEP = timedelta(seconds=_STEP_S)
SPARK_WIDTH, SPARK_HEIGHT = 120, 24


def burn_down(hours: Sequence[Hour], burn: Burn | None, now: datetime) -> ChartTable:
    """Return what was left, and a band from the faster to the slower of two paces.

    A piece of time without readings is a hole; the forecast ends where nothing is left.
    """
    start = buckets.floor(now - PAST, _STEP_S)
    known = [row for row in hours if row.hour >= start]
    left = {buckets.floor(row.hour, _STEP_S): row.last for row in known}
    filled = {buckets.floor(each.at, _STEP_S) for each in refills(known)}
    ahead = _forecast(burn, now)
    end = max([buckets.ceil(now, _STEP_S), *(at for line in ahead for at, _ in line)])
    grid = [start + n * _STEP for n in range((end - start) // _STEP + 1)]
    lines = [
        Line("Left", "chart-1", _points(grid, left)),
        Line("Refilled", "ok", _points(grid, _at(filled, left)), is_dots=True),
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
                start=_ms(start),
                end=_ms(end),
                step=_STEP_S * 1000,
                lines=used,
                zooms=False,
                zone=timezone.get_current_timezone_name(),
                offset=offset_ms(now),
            )
        ),
        sheet=[_COLUMNS, *(_record(row) for row in known)],
        columns=["Day (UTC)", "Least left", "Used", "Refilled", "Readings"],
        rows=_days(known),
        has_data=len(left) > 1,
    )


_FORECASTS = ("Forecast, faster pace", "Forecast, slower pace")


def _at(
    places: Collection[datetime], values: Mapping[datetime, float]
) -> dict[datetime, float]:
    return {at: values[at] for at in places}


def _forecast(burn: Burn | None, now: datetime) -> list[list[tuple[datetime, float]]]:
    """Return a line for each pace that uses any; the faster comes first."""
    if burn is None or burn.remaining <= 0:
        return []
    paces = {burn.per_hour, burn.recent_per_hour or burn.per_hour}
    begin = buckets.floor(now, _STEP_S)
    lines = []
    for per_hour in sorted(paces, reverse=True):
        if per_hour <= 0:
            continue
        lasts = min(timedelta(hours=burn.remaining / per_hour), _AHEAD)
        steps = range(lasts // _STEP + 2)
        lines.append(
            [
                (begin + n * _STEP, max(0.0, burn.remaining - per_hour * n * _STEP_H))
                for n in steps
            ]
        )
    return lines


_STEP_H = _STEP_S / HOUR_S


def _points(
    grid: Sequence[datetime], values: dict[datetime, float]
) -> list[tuple[int, float | None]]:
    """Return a point for each place of the grid, so that all lines share their places."""
    return [
        (_ms(at), None if (value := values.get(at)) is None else round(value, 2))
        for at in grid
    ]


def _summary(hours: Sequence[Hour]) -> str:
    if len(hours) < 2:
        return "too few readings"
    first, last = words.number(hours[0].first), words.number(hours[-1].last)
    over = words.roughly(_span_s(hours))
    return f"from {first} to {last} in {over}, {words.number(round(spent(hours)))} used"


def _span_s(hours: Sequence[Hour]) -> float:
    return (hours[-1].hour - hours[0].hour).total_seconds() + HOUR_S


_COLUMNS: list[object] = ["hour", "left", "least", "spent", "refilled", "readings"]


def _record(row: Hour) -> list[object]:
    told = (row.last, row.least, row.spent, row.refilled, row.readings)
    return [stamp(row.hour), *told]


def _days(hours: Sequence[Hour]) -> list[list[str]]:
    """Return a row a day; what happened over midnight counts for the day after."""
    days: dict[datetime, list[Hour]] = {}
    before: Hour | None = None
    for row in hours:
        edge = [_end_of(before)] if before else []
        days.setdefault(buckets.floor(row.hour, DAY_S), edge).append(row)
        before = row
    return [_day(day, rows) for day, rows in sorted(days.items(), reverse=True)]


def _end_of(row: Hour) -> Hour:
    """Return the moment at which an hour ended, in which nothing happened."""
    return Hour(row.hour, row.last, row.last, row.last, allocated=row.allocated)


def _day(day: datetime, rows: Sequence[Hour]) -> list[str]:
    own = [row for row in rows if row.hour >= day]
    return [
        day.strftime("%a %-d %b"),
        words.number(min(row.least for row in own)),
        words.number(round(spent(rows), 1)),
        words.number(round(sum(each.amount for each in refills(rows)), 1)),
        f"{sum(row.readings for row in own):,}",
    ]


def spark(hours: Sequence[Hour], start: datetime, end: datetime) -> str:
    """Return the path of a small line of what was left; a gap of six hours is a gap."""
    # A hundred of them are on a page: a point for every four hours is plenty.
    shown = [row for row in hours if row.hour.hour % _SPARK_HOURS == 0]
    top = max((row.last for row in shown), default=0.0) or 1.0
    span_s = (end - start).total_seconds()
    path, before = [], None
    for row in shown:
        x = (row.hour - start).total_seconds() / span_s * SPARK_WIDTH
        y = SPARK_HEIGHT - 1 - max(0.0, row.last) / top * (SPARK_HEIGHT - 2)
        is_gap = before is None or row.hour - before > timedelta(hours=6)
        path.append(f"{'M' if is_gap else 'L'}{x:.0f} {y:.0f}")
        before = row.hour
    return "".join(path)


_SPARK_HOURS = 4


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
