"""What was used in a range, beside the period before, as far as the readings tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.teams.spending import (
    Spending,
)
from dashboard.web import words
from dashboard.web.ranges import Range

# With readings in fewer of their hours two periods are not compared.
_COMPARABLE = 0.9
_SHORT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Used:
    """What a table's cell tells: credits, and in small print how sure and before."""

    value: str
    fine: str


def before_of(chosen: Range) -> tuple[datetime, datetime]:
    """Return the period before a range; the hour in which that begins counts once."""
    return chosen.before().start, buckets.floor(chosen.start, HOUR_S)


def used_words(own: Spending | None, before: Spending | None, chosen: Range) -> str:
    """Return what was used in a range in a sentence."""
    if own is None:
        return "No readings in this time."
    told = f"{_amount(own)} used{_from_hour(chosen)}, {_known(own, chosen)}"
    if not chosen.compares:
        return f"{told}."
    if before is None or not _are_comparable(own, before, chosen):
        return f"{told}. Too few readings to compare with the time before."
    past = f"{_amount(before)} in the time before, {_known(before, chosen)}"
    return f"{told}; {past}."


def used(own: Spending | None, before: Spending | None, chosen: Range) -> Used:
    """Return the same for a cell of a table."""
    if own is None:
        return Used(words.NO_DATA, "no readings")
    told = []
    if start := _from_hour(chosen):
        told.append(start.strip())
    if _coverage(own, chosen) < _COMPARABLE:
        told.append(f"in {_share(own, chosen)} of the hours")
    if chosen.compares and before and _are_comparable(own, before, chosen):
        told.append(f"before: {_credits(before)}")
    elif chosen.compares:
        told.append("before: too few readings")
    return Used(_credits(own), ", ".join(told))


def _from_hour(chosen: Range) -> str:
    """Return " from 2 Mar 11:00 on" where its first hour, of which all counts, is older.

    In a week an hour more is nothing.
    """
    start = buckets.floor(chosen.start, HOUR_S)
    if start == chosen.start or chosen.span > _SHORT:
        return ""
    return f" from {words.minute(start)} on"


def _credits(found: Spending) -> str:
    return words.number(round(found.credits, 1))


def _amount(found: Spending) -> str:
    return words.amount(round(found.credits, 1), "credit")


def _known(found: Spending, chosen: Range) -> str:
    readings = words.count(found.readings, "reading")
    return f"from {readings} in {_share(found, chosen)} of the hours"


def _share(found: Spending, chosen: Range) -> str:
    return words.percent(min(1.0, _coverage(found, chosen)))


def _are_comparable(own: Spending, before: Spending, chosen: Range) -> bool:
    return min(_coverage(own, chosen), _coverage(before, chosen)) >= _COMPARABLE


def _coverage(found: Spending, chosen: Range) -> float:
    return found.hours / max(1.0, chosen.span.total_seconds() / HOUR_S)
