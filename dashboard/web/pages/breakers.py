"""How a circuit breaker is shown, and the page of all of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from dashboard.probes.queries import (
    IN_A_ROW,
    BreakerChange,
    BreakerView,
    breaker_changes,
    breakers_of,
)
from dashboard.probes.taxonomy import in_words
from dashboard.web import access, ranges, words
from dashboard.web.exports import Sheet
from dashboard.web.pages.parts import Badge
from dashboard.web.ranges import Range, RangeBar, stamp
from dashboard.web.states import Tone, breaker_word

_TONES = {
    "closed": Tone.OK,
    "forced_closed": Tone.WARN,
    "half_open": Tone.WARN,
    "open": Tone.BAD,
    "forced_open": Tone.BAD,
}
_PLACES = {state: place for place, state in enumerate(_TONES)}
_MOST_CHANGES = 50
_COLUMNS: list[object] = [
    "at",
    "place",
    "endpoint",
    "before",
    "after",
    "failures",
    "reason",
    "actor",
]


@dataclass(frozen=True, slots=True)
class BreakerRow:
    badge: Badge
    place: str
    endpoint: str
    since: SafeString
    next_try: SafeString
    reason: str


def breaker_row(breaker: BreakerView, now: datetime) -> BreakerRow:
    return BreakerRow(
        badge=_badge(breaker.state),
        place=_place(breaker),
        endpoint=breaker.endpoint,
        since=words.time(breaker.opened_at, now, "–"),  # noqa: RUF001 (a dash)
        next_try=words.time(breaker.next_try_at, now, "–"),  # noqa: RUF001 (a dash)
        reason=in_words(breaker.reason),
    )


def _badge(state: str) -> Badge:
    return Badge(_TONES[state], breaker_word(state))


def _place(of: BreakerView | BreakerChange) -> str:
    team = of.probe.team if of.probe else None
    return f"{team} at {of.gateway}" if team else str(of.gateway)


@dataclass(frozen=True, slots=True)
class Choice:
    """A button that forces a breaker to a state."""

    to: str
    word: str


_FORCE_OPEN = Choice("forced_open", "Force open")
_FORCE_CLOSED = Choice("forced_closed", "Force closed")
_RESET = Choice("", "Reset")
_CHOICES = {
    "closed": (_FORCE_OPEN,),
    "forced_closed": (_RESET, _FORCE_OPEN),
    "half_open": (_RESET, _FORCE_OPEN, _FORCE_CLOSED),
    "open": (_RESET, _FORCE_OPEN, _FORCE_CLOSED),
    "forced_open": (_RESET, _FORCE_CLOSED),
}


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """A breaker, why it is in its state, what comes next, and what one may do."""

    row: BreakerRow
    url: str
    why: str
    next: str
    force_url: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    at: SafeString
    place: str
    endpoint: str
    badge: Badge
    before: str
    why: str


@dataclass(frozen=True, slots=True)
class Breakers:
    title: str
    sentence: str
    is_empty: bool
    lines: list[BreakerLine]
    changes: list[ChangeRow]
    most: int | None
    span: str
    range: RangeBar
    csv_url: str
    json_url: str
    sheet: Sheet


def breakers(user: access.Visitor, chosen: Range, now: datetime) -> Breakers:
    """Return the breakers that the user may see, open ones first; five queries."""
    probes = list(access.probes(user))
    found = sorted(breakers_of(probes, now), key=_worst_first)
    opened = sum(1 for each in found if not each.state.endswith("closed"))
    for_all = access.is_site_admin(user)
    operable = set(access.operable_teams(user).values_list("pk", flat=True))
    changes = breaker_changes(probes, chosen.start, _MOST_CHANGES, chosen.end)
    return Breakers(
        title=f"{opened} open" if opened else "Breakers",
        sentence=_sentence(opened, len(found)),
        is_empty=not probes,
        lines=[
            breaker_line(each, now, may_force=for_all or _team_pk(each) in operable)
            for each in found
        ],
        changes=[_change(each, now) for each in changes],
        most=_MOST_CHANGES if len(changes) == _MOST_CHANGES else None,
        span=chosen.words,
        range=ranges.bar(chosen, may_compare=False, zooms=False),
        csv_url=chosen.url(format="csv"),
        json_url=chosen.url(format="json"),
        sheet=Sheet("changes", [_COLUMNS, *(_record(each) for each in changes)]),
    )


def _record(change: BreakerChange) -> list[object]:
    return [
        stamp(change.at),
        _place(change),
        change.endpoint,
        change.before.value,
        change.after.value,
        change.failures,
        change.reason,
        change.actor,
    ]


def _worst_first(breaker: BreakerView) -> tuple[int, str, str]:
    return -_PLACES[breaker.state], _place(breaker), breaker.endpoint


def _team_pk(breaker: BreakerView) -> int | None:
    """Return whose the breaker is; those of a whole gateway are nobody's."""
    return breaker.probe.team_id if breaker.probe else None


def _sentence(opened: int, known: int) -> str:
    if not known:
        return "All closed: nothing has failed lately."
    if not opened:
        return "All closed. Those listed have counted a failure lately."
    of = words.count(known, "breaker")
    return f"{opened} of {of} that counted a failure lately let no paid call through."


def breaker_line(
    breaker: BreakerView, now: datetime, *, may_force: bool
) -> BreakerLine:
    return BreakerLine(
        row=breaker_row(breaker, now),
        url=reverse("probe", args=[breaker.probe.pk]) if breaker.probe else "",
        why=why(breaker),
        next=next_step(breaker, now),
        force_url=reverse("force", args=[breaker.pk]) if may_force else "",
        choices=_CHOICES[breaker.state] if may_force else (),
    )


def why(breaker: BreakerView) -> str:
    """Return the reason of a breaker's state in words."""
    if breaker.state == "forced_open":
        return "Forced open by a person: nothing is sent, cheap probes neither."
    if breaker.state == "forced_closed":
        return "Forced closed by a person: all is sent, whatever fails."
    if breaker.state != "closed" and breaker.failures > IN_A_ROW:
        # Trials that fail go on to be counted.
        failed = f"{breaker.failures:,} failures in a row by now"
        return f"Open: {failed}{_last(breaker.reason)}."
    if breaker.state != "closed":
        return f"Opened after {_failed(breaker.failures, breaker.reason)}."
    if not breaker.failures:
        return "Failures among the latest calls, none in a row."
    failed = words.count(breaker.failures, "failure")
    return f"{failed} in a row so far, too few to open it."


def _failed(failures: int, reason: str) -> str:
    """Return what opened it; with too few failures in a row it was a share of the calls."""
    if reason and not failures:
        return f"too many {reason}"
    last = _last(reason)
    if failures < IN_A_ROW:
        return f"half of the latest calls failed{last}"
    return f"{words.count(failures, 'failure')}{last}"


def _last(reason: str) -> str:
    return f", the last: {in_words(reason)}" if reason else ""


def next_step(breaker: BreakerView, now: datetime) -> str:
    """Return what comes next, with the seconds to the next trial."""
    if breaker.state.startswith("forced"):
        return "Stays so until somebody resets it."
    if breaker.next_try_at is None:
        return ""
    if breaker.state == "half_open":
        return "The next call is its trial: a success closes it."
    return (
        f"Paid calls are held; the next trial is {words.ago(breaker.next_try_at, now)}."
    )


def _change(change: BreakerChange, now: datetime) -> ChangeRow:
    return ChangeRow(
        at=words.clock(change.at, now),
        place=_place(change),
        endpoint=change.endpoint,
        badge=_badge(change.after),
        before=breaker_word(change.before),
        why=_why_changed(change),
    )


def _why_changed(change: BreakerChange) -> str:
    if change.actor:
        word = "Forced" if change.after.startswith("forced") else "Reset"
        return f"{word} by {change.actor}."
    if change.after == "closed":
        return "A trial succeeded."
    return f"{capfirst(_failed(change.failures, change.reason))}."


def forced_states() -> Collection[str]:
    """Return what a breaker can be forced to; "" lets it go."""
    return {choice.to for choices in _CHOICES.values() for choice in choices}
