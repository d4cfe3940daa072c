"""When a probe's breakers were open, as a strip over the same time as the charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.probes.queries import BreakerChange, BreakerView
from dashboard.web import words
from dashboard.web.ranges import Range
from dashboard.web.states import breaker_word

WIDTH = 1000.0
_THINNEST = 2.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch in one state, in parts of WIDTH."""

    state: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class BreakerTimes:
    """One endpoint's breaker; `rows` are its stretches as a table: from, state, lasted."""

    endpoint: str
    segments: list[Segment]
    summary: str
    rows: list[tuple[str, str, str]]


def breaker_times(
    endpoints: Sequence[str],
    changes: Sequence[BreakerChange],
    breakers: Sequence[BreakerView],
    chosen: Range,
) -> list[BreakerTimes]:
    """Return a strip for each endpoint; one that never changed was what it is now."""
    known = {each.endpoint: each.state.value for each in breakers}
    return [
        _times(
            endpoint,
            [each for each in changes if each.endpoint == endpoint],
            known.get(endpoint, "closed"),
            chosen,
        )
        for endpoint in endpoints
    ]


def _times(
    endpoint: str, changes: Sequence[BreakerChange], now: str, chosen: Range
) -> BreakerTimes:
    stretches = _stretches(sorted(changes, key=lambda each: each.at), now, chosen)
    return BreakerTimes(
        endpoint=endpoint,
        segments=[_segment(*each, chosen) for each in stretches],
        summary=_summary(stretches),
        rows=[
            (
                words.minute(start),
                breaker_word(state),
                words.duration((end - start).total_seconds()),
            )
            for state, start, end in stretches
        ],
    )


def _stretches(
    changes: Sequence[BreakerChange], now: str, chosen: Range
) -> list[tuple[str, datetime, datetime]]:
    """Return (state, start, end) from the beginning of the range to its end."""
    state = changes[0].before.value if changes else now
    found, start = [], chosen.start
    for change in changes:
        at = min(max(change.at, chosen.start), chosen.end)
        if at > start:
            found.append((state, start, at))
        state, start = change.after.value, at
    if start < chosen.end:
        found.append((state, start, chosen.end))
    return found


def _segment(state: str, start: datetime, end: datetime, chosen: Range) -> Segment:
    x = (start - chosen.start) / chosen.span * WIDTH
    width = max(_THINNEST, (end - start) / chosen.span * WIDTH)
    return Segment(state, round(min(x, WIDTH - width), 1), round(width, 1))


def _summary(stretches: Sequence[tuple[str, datetime, datetime]]) -> str:
    bad = [each for each in stretches if not each[0].endswith("closed")]
    if not bad:
        return "closed all the time"
    total = sum((end - start for _, start, end in bad), timedelta())
    times = "once" if len(bad) == 1 else f"{len(bad)} times"
    return f"not closed {times}, {words.duration(total.total_seconds())} together"
