"""What one probe's page shows."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.queries import breakers_of
from dashboard.probes.taxonomy import meaning
from dashboard.rollups.numbers import Summary
from dashboard.rollups.queries import series, total
from dashboard.web import charts, words
from dashboard.web.charts import ChartTable
from dashboard.web.pages.breakers import BreakerRow, breaker_row
from dashboard.web.pages.costs import Cost, cost
from dashboard.web.pages.incidents import ClassCount, class_counts
from dashboard.web.pages.parts import Badge, Link, probe_badge
from dashboard.web.prober import prober
from dashboard.web.ranges import Range, Tab, tabs
from dashboard.web.states import Tone

MOST_OUTCOMES = 30
_NONE = "n = 0"


@dataclass(frozen=True, slots=True)
class Fact:
    """One number with its basis in small print."""

    name: str
    value: str
    fine: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    at: SafeString
    badge: Badge
    status: str
    latency: str
    attempts: str
    detail: str


@dataclass(frozen=True, slots=True)
class ProbePage:
    title: str
    place: Link
    badge: Badge
    since: SafeString | None
    advice: str
    proves: str
    period: str
    endpoint: str
    latest: SafeString
    range_words: str
    tabs: list[Tab]
    facts: list[Fact]
    charts: list[ChartTable]
    classes: list[ClassCount]
    breakers: list[BreakerRow]
    outcomes: list[OutcomeRow]
    no_outcomes: str
    cost: Cost | None
    run_url: str
    accept_url: str
    stop_url: str
    settings_url: str
    may_run: bool
    may_accept_cost: bool
    may_stop: bool


def probe(
    shown: Probe, chosen: Range, now: datetime, *, may_operate: bool, may_manage: bool
) -> ProbePage:
    kind = KINDS[ProbeKind(shown.kind)]
    seen = total([shown.pk], chosen.start(now), now, now)
    pieces = series([shown.pk], chosen.start(now), now, chosen.buckets, now)
    return ProbePage(
        title=str(shown),
        place=_place(shown),
        badge=probe_badge(shown, prober(now), now),
        since=words.time(shown.failing_since, now) if shown.failing_since else None,
        advice=meaning(shown.last_error).advice if shown.last_error else "",
        proves=kind.proves,
        period=words.duration(shown.period_s),
        endpoint=kind.endpoints[0],
        latest=words.time(shown.last_at, now, "none so far"),
        range_words=chosen.words,
        tabs=tabs(chosen),
        facts=_facts(seen),
        charts=[charts.latency(pieces), charts.errors(pieces)],
        classes=class_counts(dict(seen.classes)),
        breakers=[
            breaker_row(breaker, now)
            for breaker in breakers_of([shown], now)
            if breaker.probe is None or breaker.probe.pk == shown.pk
        ],
        outcomes=[_outcome(each, now) for each in _latest(shown)],
        no_outcomes=_no_outcomes(shown),
        cost=cost(shown, now) if kind.paid else None,
        run_url=reverse("run", args=[shown.pk]),
        accept_url=reverse("accept", args=[shown.pk]),
        stop_url=reverse("stop", args=[shown.pk]),
        settings_url=reverse("admin:probes_probe_change", args=[shown.pk]),
        may_run=may_operate and shown.enabled,
        may_accept_cost=kind.paid and may_manage and not shown.enabled,
        may_stop=kind.paid and may_manage and shown.enabled,
    )


def _place(shown: Probe) -> Link:
    if shown.team is None:
        return Link(f"Gateway {shown.gateway}", "")
    page = reverse("team", args=[shown.team.pk])
    return Link(f"{shown.team} at {shown.gateway}", page)


def _facts(seen: Summary) -> list[Fact]:
    samples = f"n = {seen.samples:,}"
    good = f"n = {seen.good:,}"
    return [
        Fact(
            "Error rate",
            words.percent(seen.error_rate),
            f"{seen.bad:,} of {seen.samples:,} failed" if seen.samples else _NONE,
            bool(seen.bad),
        ),
        Fact("p50", words.milliseconds(seen.p50_ms), good),
        Fact(
            "p95", words.milliseconds(seen.p95_ms), _thin(good, thin=seen.p95_is_thin)
        ),
        Fact(
            "p99", words.milliseconds(seen.p99_ms), _thin(good, thin=seen.p99_is_thin)
        ),
        Fact("Right at first try", words.percent(seen.first_try_rate), samples),
        Fact(
            "Coverage",
            words.percent(seen.coverage),
            f"{seen.samples + seen.excluded:,} of {seen.expected:,} expected",
        ),
    ]


def _thin(basis: str, *, thin: bool) -> str:
    return f"{basis}, too few to be sure" if thin and basis != _NONE else basis


def _latest(shown: Probe) -> list[Outcome]:
    found = Outcome.objects.filter(probe=shown).order_by("-started_at")
    return list(found[:MOST_OUTCOMES])


def _no_outcomes(shown: Probe) -> str:
    if not shown.enabled:
        return "None: the probe is switched off."
    every = words.duration(shown.period_s)
    return f"Waiting for the first result: one is due every {every}."


def _outcome(each: Outcome, now: datetime) -> OutcomeRow:
    return OutcomeRow(
        at=words.clock(each.started_at, now),
        badge=outcome_badge(each.error_class),
        status=str(each.status_code or ""),
        latency=words.milliseconds(each.latency_us / 1000) if each.attempts else "",
        attempts=str(each.attempts),
        detail=each.detail,
    )


def outcome_badge(error_class: str) -> Badge:
    if not error_class:
        return Badge(Tone.OK, "ok")
    row = meaning(error_class)
    return Badge(Tone.BAD if row.counts else Tone.UNKNOWN, row.title)
