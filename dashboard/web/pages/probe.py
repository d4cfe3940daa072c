"""What one probe's page shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from dashboard.alerts.queries import slow_judge
from dashboard.alerts.rules.latency import duration_ms
from dashboard.alerts.silences import in_maintenance
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.queries import BreakerView, breaker_changes, breakers_of
from dashboard.probes.rhythm import period_now_s, waits_for_key
from dashboard.probes.services import spent, why_capped
from dashboard.probes.taxonomy import meaning
from dashboard.rollups.queries import Course
from dashboard.web import access, charts, ranges, words
from dashboard.web.drawing import ChartTable, Setting, results_url
from dashboard.web.exports import Sheet, sheets
from dashboard.web.pages.breaker_times import BreakerTimes, breaker_times
from dashboard.web.pages.breakers import BreakerLine, breaker_line
from dashboard.web.pages.classes import ClassCount, class_counts
from dashboard.web.pages.costs import Cost, cost
from dashboard.web.pages.maintenance import Maintenance, told, under_way
from dashboard.web.pages.marks import marks
from dashboard.web.pages.outcomes import (
    STATES,
    OutcomeRow,
    of_state,
    outcome_row,
    state_tabs,
)
from dashboard.web.pages.parts import Badge, Fact, Link, probe_badge
from dashboard.web.pages.phases import Phases, phases
from dashboard.web.pages.range_facts import course_of, range_facts
from dashboard.web.pages.range_sheet import range_sheet
from dashboard.web.prober import Prober, ProberState, prober
from dashboard.web.ranges import Range, RangeBar, Tab
from dashboard.web.states import State, state_of

MOST_OUTCOMES = 20
_MOST_CHANGES = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for: a time, results in a state, and a run not long ago."""

    range: Range
    state: str = ""
    run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run that somebody asked for: still awaited, or what it saw."""

    asked: SafeString
    result: OutcomeRow | None


@dataclass(frozen=True, slots=True)
class ProbePage:
    probe_id: int
    title: str
    run: Run | None
    place: Link
    prober: Prober
    badge: Badge
    maintenances: list[Maintenance]
    since: SafeString | None
    advice: str
    proves: str
    period: str
    endpoint: str
    latest: SafeString
    latest_url: str
    is_stale: bool
    slow_from: str
    range: RangeBar
    facts: list[Fact]
    charts: list[ChartTable]
    times: list[BreakerTimes]
    phases: Phases | None
    classes: list[ClassCount]
    breakers: list[BreakerLine]
    states: list[Tab]
    outcomes: list[OutcomeRow]
    outcomes_url: str
    no_outcomes: str
    csv_url: str
    json_url: str
    cost: Cost | None
    run_url: str
    accept_url: str
    stop_url: str
    settings_url: str
    key_url: str
    may_run: bool
    may_accept_cost: bool
    may_change_cap: bool
    may_stop: bool


def probe(
    user: access.Visitor,
    shown: Probe,
    asked: Asked,
    now: datetime,
    *,
    may_operate: bool,
    may_manage: bool,
) -> ProbePage:
    kind = KINDS[ProbeKind(shown.kind)]
    chosen = asked.range
    state = asked.state if asked.state in STATES else ""
    works = prober(now)
    own = [each for each in under_way(user, now) if in_maintenance([each], shown, now)]
    seen = course_of([shown.pk], chosen, now)
    breakers = [each for each in breakers_of([shown], now) if _guards(each, shown)]
    outcomes = _latest(shown, chosen, state)
    full = replace(chosen, asked={**chosen.asked, "state": state})
    return ProbePage(
        probe_id=shown.pk,
        title=str(shown),
        run=_run(shown, asked.run_at, now) if asked.run_at else None,
        place=_place(shown, chosen),
        prober=works,
        badge=probe_badge(shown, works, now),
        maintenances=told(own, now),
        since=words.lasting(shown.failing_since, now),
        advice=_advice(shown, works, now),
        proves=kind.proves,
        period=words.duration(shown.period_s),
        endpoint=kind.endpoints[0],
        latest=words.time(shown.last_at, now, "none so far"),
        latest_url=reverse("outcome", args=[outcomes[0].pk])
        if outcomes and chosen.is_live and not state
        else "",
        is_stale=works.state is ProberState.STOPPED,
        slow_from=_slow_from(shown, now),
        range=ranges.bar(chosen, state=state),
        facts=range_facts(
            seen.whole,
            seen.before.whole if seen.before else None,
            results_url(seen.whole, f"probe={shown.pk}"),
        ),
        charts=_charts(user, shown, chosen, seen),
        times=_times(shown, breakers, chosen),
        phases=phases(seen.whole.phases, outcomes),
        classes=class_counts(
            dict(seen.whole.classes), results_url(seen.whole, f"probe={shown.pk}")
        ),
        breakers=[breaker_line(each, now, may_force=may_operate) for each in breakers],
        states=state_tabs(full, state),
        outcomes=[outcome_row(each, now, with_probe=False) for each in outcomes],
        outcomes_url=f"{_list_url(shown, chosen)}&state={state}",
        no_outcomes=_no_outcomes(shown, chosen, state, expected=seen.whole.expected),
        csv_url=full.url(format="csv"),
        json_url=full.url(format="json"),
        cost=cost(shown, now) if kind.paid else None,
        run_url=reverse("run", args=[shown.pk]),
        accept_url=reverse("accept", args=[shown.pk]),
        stop_url=reverse("stop", args=[shown.pk]),
        settings_url=reverse("admin:probes_probe_change", args=[shown.pk]),
        key_url=_key_url(shown) if may_manage else "",
        may_run=may_operate and shown.enabled and not waits_for_key(shown),
        may_accept_cost=kind.paid and may_manage and not shown.enabled,
        may_change_cap=kind.credits_per_run > 0 and may_manage and shown.enabled,
        may_stop=kind.paid and may_manage and shown.enabled,
    )


def _key_url(shown: Probe) -> str:
    """Return where the key is set that it waits for; "" where it waits for none."""
    if not waits_for_key(shown):
        return ""
    return f"{reverse('team_settings', args=[shown.team_id])}#key"


def probe_sheets(
    user: access.Visitor, shown: Probe, chosen: Range, now: datetime
) -> list[Sheet]:
    """Return what the page and its charts show, to be saved."""
    seen = course_of([shown.pk], chosen, now)
    before = seen.before.whole if seen.before else None
    drawn = _charts(user, shown, chosen, seen)
    return [range_sheet(seen.whole, before), *sheets(drawn)]


def _charts(
    user: access.Visitor, shown: Probe, chosen: Range, seen: Course
) -> list[ChartTable]:
    setting = Setting(
        drill=_list_url(shown, None),
        zooms=True,
        marks=marks(user, shown, chosen),
        before=seen.before.pieces if seen.before else (),
    )
    return [
        charts.latency(seen.pieces, setting=setting),
        charts.errors(seen.pieces, setting=setting),
        charts.volume(seen.pieces, seen.whole, setting=setting),
        charts.phases(seen.pieces, setting=setting),
    ]


def _advice(shown: Probe, works: Prober, now: datetime) -> str:
    if state_of(shown, works, now).state is State.CAPPED:
        why = why_capped(shown, spent([shown], now)[shown.pk])
        told = f"{capfirst(why)}. " if why else ""
        return (
            f"{told}It goes on after midnight UTC, or as soon as the cap that is reached "
            "is raised: its own below, its team's with the team's settings."
        )
    return meaning(shown.last_error).advice if shown.last_error else ""


def _slow_from(shown: Probe, now: datetime) -> str:
    """Return from when on it is an alarm of slowness, and what a verdict waits for."""
    runs = shown.enabled and not waits_for_key(shown)
    judge = slow_judge(shown, now) if runs else None
    if judge is None:
        return ""
    limit, window = duration_ms(judge.limit_ms), words.duration(judge.window_s)
    told = f"It is slow where the p95 of its last {window} is above {limit}"
    if not judge.missing:
        return f"{told}."
    more = words.count(judge.missing, "more run")
    wait = words.roughly(judge.missing * period_now_s(shown))
    return f"{told}; that is not judged yet: it needs {more}, about {wait}."


def _run(shown: Probe, asked_at: datetime, now: datetime) -> Run:
    """Return the first result since somebody asked for one."""
    since = Outcome.objects.filter(probe=shown, started_at__gte=asked_at)
    first = since.order_by("started_at").first()
    return Run(
        asked=words.time(asked_at, now),
        result=outcome_row(first, now, with_probe=False) if first else None,
    )


def _guards(breaker: BreakerView, shown: Probe) -> bool:
    return breaker.probe is None or breaker.probe.pk == shown.pk


def _times(
    shown: Probe, breakers: Sequence[BreakerView], chosen: Range
) -> list[BreakerTimes]:
    changes = breaker_changes([shown], chosen.start, _MOST_CHANGES)
    endpoints = KINDS[ProbeKind(shown.kind)].endpoints
    own = [each for each in breakers if each.probe]
    return breaker_times(endpoints, changes, own, chosen)


def _list_url(shown: Probe, chosen: Range | None) -> str:
    """Return the address of the probe's results, of one range or of any."""
    address = f"{reverse('outcomes')}?probe={shown.pk}"
    return f"{address}&{chosen.link()}" if chosen else address


def _place(shown: Probe, chosen: Range) -> Link:
    if shown.team is None:
        return Link(f"Gateway {shown.gateway}", "")
    page = f"{reverse('team', args=[shown.team.pk])}?{chosen.link()}"
    return Link(f"{shown.team} at {shown.gateway}", page)


def _latest(shown: Probe, chosen: Range, state: str) -> list[Outcome]:
    found = Outcome.objects.filter(
        probe=shown, started_at__gte=chosen.start, started_at__lt=chosen.end
    )
    return list(of_state(found, state, "").order_by("-started_at")[:MOST_OUTCOMES])


def _no_outcomes(shown: Probe, chosen: Range, state: str, *, expected: int) -> str:
    if state:
        return "No such result in this time."
    if not shown.enabled:
        return "None: the probe is switched off."
    if waits_for_key(shown):
        return "None: it waits for the team's key."
    if shown.last_at is not None and not expected:
        return f"No result from {chosen.words}: none was expected."
    if shown.last_at is not None:
        return f"No result from {chosen.words}: one was expected, and is missing."
    every = words.duration(shown.period_s)
    return f"Waiting for the first result: one is due every {every}."
