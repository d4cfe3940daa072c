"""The numbers of a range in words, beside those of the time before it."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils import timezone

from dashboard.rollups.numbers import Summary
from dashboard.rollups.queries import Course, course
from dashboard.web import words
from dashboard.web.pages.parts import Fact
from dashboard.web.ranges import Range

_NONE = "n = 0"


def course_of(probe_ids: Sequence[int], chosen: Range, now: datetime) -> Course:
    """Return how these probes did in the range, by days of the visitor's own zone."""
    return course(
        *(probe_ids, chosen.start, chosen.end, chosen.buckets, now),
        zone=timezone.get_current_timezone(),
        with_before=chosen.compares,
    )


def range_facts(
    seen: Summary, before: Summary | None, list_url: str, *, of: int = 1
) -> list[Fact]:
    """Return the numbers of the range `of` so many probes, linked to what they count."""
    if not seen.samples + seen.excluded:
        list_url = ""
    good = f"n = {seen.good:,}"
    ok_url = f"{list_url}&state=ok" if seen.good else ""

    def compared(
        name: str,
        value: Callable[[Summary], str],
        basis: str,
        url: str = "",
        *,
        is_bad: bool = False,
    ) -> Fact:
        fine = f"{basis}; before: {value(before)}" if before else basis
        return Fact(name, value(seen), fine, is_bad, url)

    return [
        compared(
            "Error rate",
            lambda each: words.percent(each.error_rate),
            f"{seen.bad:,} of {seen.samples:,} failed" if seen.samples else _NONE,
            f"{list_url}&state=failed" if seen.bad else "",
            is_bad=bool(seen.bad),
        ),
        compared(
            "p50",
            lambda each: words.milliseconds(each.p50_ms),
            _with_mean(good, seen),
            ok_url,
        ),
        compared(
            "p95",
            lambda each: words.milliseconds(each.p95_ms),
            _thin(_with_p90(good, seen), thin=seen.p95_is_thin),
            ok_url,
        ),
        compared(
            "p99",
            lambda each: words.milliseconds(each.p99_ms),
            _thin(good, thin=seen.p99_is_thin),
            ok_url,
        ),
        compared(
            "Availability",
            available,
            _NONE if seen.availability is None else _down(seen, of),
            is_bad=bool(seen.down_s) and not seen.availability_is_thin,
        ),
        Fact(
            "Right at first try",
            words.percent(seen.first_try_rate),
            _in_the_end(f"n = {seen.samples:,}", seen),
            url=f"{list_url}&state=counted" if seen.samples else "",
        ),
        Fact(
            "Coverage",
            words.percent(seen.coverage),
            _of_expected(seen),
            url=list_url,
        ),
    ]


def available(seen: Summary) -> str:
    """Return the availability, unless nobody has watched for long enough to say."""
    is_thin = seen.availability is not None and seen.availability_is_thin
    return "too soon to say" if is_thin else words.percent(seen.availability)


def _down(seen: Summary, of: int) -> str:
    """Return the time down, and that it adds up where several probes were down."""
    if seen.availability_is_thin:
        return f"watched for {words.duration(seen.watched_s or 0.0)}"
    down = words.duration(seen.down_s)
    if of > 1:
        return f"down {down}, added up over {of} probes"
    return f"down {down} of known time"


def _with_mean(basis: str, seen: Summary) -> str:
    mean = seen.mean_ms
    return basis if mean is None else f"{basis}, mean {words.milliseconds(mean)}"


def _with_p90(basis: str, seen: Summary) -> str:
    if seen.p90_ms is None or seen.p90_is_thin:
        return basis
    return f"{basis}, p90 {words.milliseconds(seen.p90_ms)}"


def _in_the_end(basis: str, seen: Summary) -> str:
    rate = seen.success_rate
    return basis if rate is None else f"{basis}, in the end {words.percent(rate)}"


def _of_expected(seen: Summary) -> str:
    if not seen.expected:
        return "none expected"
    present = seen.samples + seen.excluded
    return f"{present:,} of {seen.expected:,} expected{_pace(seen)}"


def _pace(seen: Summary) -> str:
    pace = round(seen.per_minute or 0.0, 2)
    return f", {words.number(pace)} a minute" if pace else ""


def _thin(basis: str, *, thin: bool) -> str:
    return f"{basis}, too few to be sure" if thin and basis != _NONE else basis
