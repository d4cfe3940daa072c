"""All numbers of a range in one table, to be saved beside the charts of its page."""

from dashboard.lib.buckets import seconds
from dashboard.rollups.numbers import Summary
from dashboard.web.exports import Sheet
from dashboard.web.ranges import stamp

_COLUMNS = (
    *("from", "to", "results", "failed", "left_out", "expected", "coverage"),
    *("error_rate", "succeeded_in_the_end", "succeeded_at_first_try", "availability"),
    *("per_minute", "mean_ms", "min_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms"),
    *("max_ms", "too_few_for", "failures", "newest_at", "newest_age_s"),
)


def range_sheet(seen: Summary, before: Summary | None) -> Sheet:
    """Return a row of the range, and one of the equally long one before it.

    Rates are 0..1; what is not known is empty. `too_few_for` names what rests on so few
    results that one more could change it.
    """
    told = [seen] if before is None else [seen, before]
    return Sheet("range", [_COLUMNS, *map(_row, told)])


def _row(seen: Summary) -> list[object]:
    end = min(seen.end, seen.asked_at)
    latest = seen.latest_at
    return [
        *(stamp(seen.start), stamp(end)),
        *(seen.samples, seen.bad, seen.excluded, seen.expected, seen.coverage),
        *(seen.error_rate, seen.success_rate, seen.first_try_rate, seen.availability),
        *(seen.per_minute, seen.mean_ms, seen.min_ms, seen.p50_ms, seen.p90_ms),
        *(seen.p95_ms, seen.p99_ms, seen.max_ms, _too_few_for(seen)),
        "; ".join(f"{each} {number}" for each, number in seen.classes.items()),
        stamp(latest) if latest else None,
        round(seconds(latest, seen.asked_at)) if latest else None,
    ]


def _too_few_for(seen: Summary) -> str:
    thin = {
        "availability": seen.availability_is_thin,
        "rates": seen.rate_is_thin,
        "p90": seen.p90_is_thin,
        "p95": seen.p95_is_thin,
        "p99": seen.p99_is_thin,
    }
    return ", ".join(name for name, is_thin in thin.items() if is_thin)
