"""The results behind a number: a list that the address narrows down."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.taxonomy import ErrorClass, counted, meaning
from dashboard.teams.models import Team
from dashboard.web import access, ranges, words
from dashboard.web.exports import Sheet
from dashboard.web.pages.parts import Badge, Link
from dashboard.web.ranges import Range, RangeBar, Tab
from dashboard.web.states import Tone

PAGE_SIZE = 50
# What is exported at once: a day of one probe that runs every 5 s.
MOST_EXPORTED = 20_000
# The results of one probe, and all that failed, are found by an index; of other results
# of many a day is read and sorted, then the day before it, until there are enough. So are
# the failures of so few probes: by their index those of all others are walked, too.
_FEW = 30
# A thousand probes have a thousand results in it; where there are few, the next are longer.
_FIRST_SLICE = timedelta(minutes=1)
_LONGER = 8
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_UNCOUNTED = tuple(each.value for each in ErrorClass if not counted(each))
# In no number, whatever came of them.
_LEFT_OUT = Q(maintenance=True) | Q(misdated=True)
STATES: Mapping[str, str] = {
    "": "All",
    "counted": "Counted",
    "failed": "Failed",
    "ok": "Succeeded",
    "uncounted": "Held or not counted",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which results are asked for; empty narrows nothing down."""

    probe: Probe | None = None
    team: Team | None = None
    kind: ProbeKind | None = None
    state: str = ""
    error_class: str = ""

    def parameters(self) -> dict[str, str]:
        named = {
            "probe": str(self.probe.pk) if self.probe else "",
            "team": str(self.team.pk) if self.team else "",
            "kind": self.kind.value if self.kind else "",
            "state": self.state,
            "class": self.error_class,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    at: SafeString
    url: str
    probe: Link | None
    place: str
    badge: Badge
    status: str
    latency: str
    attempts: str
    detail: str


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    word: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Outcomes:
    title: str
    place: Link | None
    range: RangeBar
    states: list[Tab]
    classes: list[Choice]
    kept: list[tuple[str, str]]
    rows: list[OutcomeRow]
    older_url: str
    csv_url: str
    json_url: str
    nothing: str


def outcomes(
    user: access.Visitor, asked: Asked, chosen: Range, after: str, now: datetime
) -> Outcomes:
    """Return a page of results, the newest first.

    Four queries, and a few more where the newest are old or far apart. `after` is
    where the page before ended.
    """
    chosen = _limited(asked, chosen, now)
    (found, is_ordered), end = matching(user, asked, chosen), chosen.end
    if mark := _read_mark(after):
        found = _beyond(found, *mark)
        end = mark[0] + _TICK if mark[0] < end else end
    newest = _newest(found, chosen.start, end, is_ordered=is_ordered)
    parameters = asked.parameters()
    full = {**chosen.asked, **parameters}
    shown = replace(chosen, asked=full)
    return Outcomes(
        title="Results",
        place=_place(asked),
        range=ranges.bar(chosen, may_compare=False, zooms=False, **parameters),
        states=state_tabs(shown, asked.state),
        classes=[
            Choice(each.value, meaning(each).title, each.value == asked.error_class)
            for each in ErrorClass
        ],
        kept=[(name, value) for name, value in full.items() if name != "class"],
        rows=[outcome_row(each, now) for each in newest[:PAGE_SIZE]],
        older_url=shown.url(after=_mark(newest[PAGE_SIZE - 1]))
        if len(newest) > PAGE_SIZE
        else "",
        csv_url=shown.url(format="csv"),
        json_url=shown.url(format="json"),
        nothing=_nothing(asked, chosen, now),
    )


def sheet(user: access.Visitor, asked: Asked, chosen: Range) -> Sheet:
    """Return the results to export, the newest first, at most MOST_EXPORTED."""
    chosen = _limited(asked, chosen, chosen.end)
    wanted, is_ordered = matching(user, asked, chosen)
    span = chosen.start, chosen.end
    found = _newest(wanted, *span, MOST_EXPORTED, is_ordered=is_ordered)
    names = (
        *("started_at", "gateway", "team", "probe", "result", "status", "latency_ms"),
        *("elapsed_ms", "attempts", "credits", "left_out", "detail", "url"),
    )
    rows: list[list[object]] = [list(names)]
    rows += [
        [
            each.started_at.astimezone(UTC).isoformat(),
            each.probe.gateway.name,
            str(each.probe.team or ""),
            str(each.probe.get_kind_display()),
            each.error_class or "ok",
            each.status_code,
            each.latency_us / 1000,
            each.elapsed_us / 1000,
            each.attempts,
            each.credits or 0.0,
            left_out(each),
            each.detail,
            reverse("outcome", args=[each.pk]),
        ]
        for each in found
    ]
    return Sheet("results", rows)


def matching(
    user: access.Visitor, asked: Asked, chosen: Range
) -> tuple[QuerySet[Outcome, Outcome], bool]:
    """Return the results that the user may see and asked for, the newest first.

    And whether an index has them in that order, so that no time needs to be sorted.
    """
    probes = access.probes(user)
    if asked.probe:
        probes = probes.filter(pk=asked.probe.pk)
    if asked.team:
        probes = probes.filter(team=asked.team)
    if asked.kind:
        probes = probes.filter(kind=asked.kind)
    # Ids, not a subquery: by an IN list each probe's window is sought in the index.
    probe_ids = list(probes.values_list("pk", flat=True))
    found = Outcome.objects.filter(
        started_at__gte=chosen.start, started_at__lt=chosen.end
    )
    is_by_time = _is_of_failures(asked) and len(probe_ids) > _FEW
    if is_by_time:
        # The sum keeps SQLite from that index: failures have one of their own, by time.
        found = found.alias(whose=F("probe_id") + 0)
        found = found.filter(~Q(error_class=""), whose__in=probe_ids)
    else:
        found = found.filter(probe__in=probe_ids)
    found = of_state(found, asked.state, asked.error_class)
    return found.order_by("-started_at", "-pk"), is_by_time or asked.probe is not None


def _is_of_failures(asked: Asked) -> bool:
    return asked.state == "failed" or bool(asked.error_class)


def _newest(
    found: QuerySet[Outcome, Outcome],
    start: datetime,
    end: datetime,
    most: int = PAGE_SIZE + 1,
    *,
    is_ordered: bool,
) -> list[Outcome]:
    """Return the newest; where they must be sorted, no longer a time is read than it takes.

    Their probes are read afterwards: a join would be made for all that is sorted, and a
    prefetch asks for them by a condition each, of which SQLite takes a thousand.
    """
    rows: list[Outcome] = []
    length = end - start if is_ordered else _FIRST_SLICE
    while len(rows) < most and end > start:
        begin = max(end - length, start)
        part = found.filter(started_at__gte=begin, started_at__lt=end)
        rows += part[: most - len(rows)]
        end, length = begin, length * _LONGER
    probes = Probe.objects.select_related("gateway", "team")
    by_id = probes.in_bulk({row.probe_id for row in rows})
    # One that was deleted meanwhile took its results along.
    rows = [row for row in rows if row.probe_id in by_id]
    for row in rows:
        row.probe = by_id[row.probe_id]
    return rows


def of_state(
    found: QuerySet[Outcome, Outcome], state: str, error_class: str
) -> QuerySet[Outcome, Outcome]:
    if error_class:
        found = found.filter(error_class=error_class)
    match state:
        case "counted":
            return found.exclude(error_class__in=_UNCOUNTED).exclude(_LEFT_OUT)
        case "ok":
            return found.filter(error_class="").exclude(_LEFT_OUT)
        case "failed":
            in_rate = found.exclude(_LEFT_OUT)
            return in_rate.exclude(error_class__in=("", *_UNCOUNTED))
        case "uncounted":
            return found.filter(Q(error_class__in=_UNCOUNTED) | _LEFT_OUT)
        case _:
            # A class that is counted leads here.
            return found.exclude(_LEFT_OUT) if error_class else found


def state_tabs(shown: Range, current: str) -> list[Tab]:
    return [
        Tab(word, shown.url(state=key, after=""), key == current)
        for key, word in STATES.items()
    ]


def outcome_row(each: Outcome, now: datetime, *, with_probe: bool = True) -> OutcomeRow:
    """Return a row; `with_probe` where a table holds those of several probes."""
    probe = each.probe if with_probe else None
    return OutcomeRow(
        at=words.clock(each.started_at, now),
        url=reverse("outcome", args=[each.pk]),
        probe=Link(probe.get_kind_display(), reverse("probe", args=[probe.pk]))
        if probe
        else None,
        place=str(probe.team or probe.gateway) if probe else "",
        badge=outcome_badge(each.error_class),
        status=str(each.status_code or ""),
        latency=words.milliseconds(each.latency_us / 1000) if each.attempts else "",
        attempts=str(each.attempts),
        detail="; ".join(filter(None, (left_out(each), each.detail))),
    )


def left_out(each: Outcome) -> str:
    """Return why a result is in no number, whatever came of it; "" where it may be."""
    if each.maintenance:
        return "in a maintenance"
    return "dated by a wrong clock" if each.misdated else ""


def outcome_badge(error_class: str) -> Badge:
    if not error_class:
        return Badge(Tone.OK, "ok")
    row = meaning(error_class)
    return Badge(Tone.BAD if row.counts else Tone.UNKNOWN, row.title)


def _limited(asked: Asked, chosen: Range, now: datetime) -> Range:
    """Shorten a range to what is kept, and where next to nothing of many matches."""
    kept = timedelta(days=settings.RETENTION_DAYS["raw"])
    start = chosen.start
    said = ""
    if start < now - kept:
        start = min(now - kept, chosen.end)
        said = f"Single results are kept for {words.count(kept.days, 'day')}: those before {words.minute(start)} are only in the numbers."
    if asked.state == "uncounted" and not asked.probe and chosen.span > _DAY:
        start = max(start, chosen.end - _DAY)
        said = f"Only the last day of it, from {words.minute(start)}: choose one probe to see more."
    return replace(chosen, start=start, problem=said) if said else chosen


def _place(asked: Asked) -> Link | None:
    if asked.kind:
        return Link(asked.kind.label, "")
    if asked.probe:
        return Link(str(asked.probe), reverse("probe", args=[asked.probe.pk]))
    if asked.team:
        return Link(str(asked.team), reverse("team", args=[asked.team.pk]))
    return None


def _mark(last: Outcome) -> str:
    return f"{last.started_at.astimezone(UTC).isoformat()}~{last.pk}"


def _read_mark(after: str) -> tuple[datetime, int] | None:
    moment, _, pk = after.partition("~")
    try:
        told = datetime.fromisoformat(moment)
        # PostgreSQL knows no offset of 16 hours.
        at = told.astimezone(UTC)
    except (ValueError, OverflowError):
        # At the ends of the calendar other zones have no such day.
        return None
    if told.tzinfo is None or not (pk.isascii() and pk.isdigit()) or len(pk) > 18:
        return None
    return at, int(pk)


def _beyond(
    found: QuerySet[Outcome, Outcome], at: datetime, pk: int
) -> QuerySet[Outcome, Outcome]:
    """Return what comes after a mark; a page number would shift with each new result."""
    return found.filter(Q(started_at__lt=at) | Q(started_at=at, pk__lt=pk))


def _nothing(asked: Asked, chosen: Range, now: datetime) -> str:
    if asked.state or asked.error_class:
        return "No such result in this time."
    if asked.probe and asked.probe.last_at is None:
        return (
            "Waiting for the first result."
            if asked.probe.enabled
            else "None: the probe is switched off."
        )
    if chosen.end < now - timedelta(days=1):
        return "No result is kept of this time; single results are kept for some weeks."
    return (
        f"No result between {words.minute(chosen.start)} and "
        f"{words.minute(chosen.end)}."
    )
