"""Trends over any time: all that somebody sees together, and who stands out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse

from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe, ProbeKind
from dashboard.rollups.numbers import Summary
from dashboard.rollups.queries import Course, by_kind, by_team, grouped
from dashboard.teams.models import Team
from dashboard.teams.spending import (
    Spending,
    spent_between,
    spent_until_now,
)
from dashboard.web import access, charts, ranges, words
from dashboard.web.drawing import ChartTable, Setting, results_url
from dashboard.web.exports import Sheet, sheets
from dashboard.web.pages.classes import ClassCount, class_counts
from dashboard.web.pages.parts import Fact, Link
from dashboard.web.pages.range_facts import available, course_of, range_facts
from dashboard.web.pages.range_sheet import range_sheet
from dashboard.web.prober import Prober, prober
from dashboard.web.ranges import Range, RangeBar

_WITH_PAID = ", paid probes among them"


@dataclass(frozen=True, slots=True)
class TrendRow:
    """One team, or one kind of probe; its `urls` list what it counts.

    `seen` and `spent` are its numbers unrounded.
    """

    link: Link
    place: str
    error_rate: str
    is_bad: bool
    failed_url: str
    ok_url: str
    counted_url: str
    p95: str
    availability: str
    samples: str
    credits: str
    rank: tuple[bool, float, str]
    seen: Summary
    spent: float | None = None


@dataclass(frozen=True, slots=True)
class Trends:
    is_empty: bool
    prober: Prober
    range: RangeBar
    facts: list[Fact]
    charts: list[ChartTable]
    classes: list[ClassCount]
    teams: list[TrendRow]
    kinds: list[TrendRow]
    sheets: list[Sheet]
    csv_url: str
    json_url: str


def trends(user: access.Visitor, chosen: Range, now: datetime) -> Trends:
    """Return the trends of everything that the user may see; thirteen queries at most."""
    probes = list(access.probes(user))
    seen = course_of([probe.pk for probe in probes], chosen, now)
    teams = {probe.team.pk: probe for probe in probes if probe.team}
    found = _grouped(probes, seen.whole, now)
    spent_in = spent_until_now if chosen.is_live else spent_between
    spent = spent_in(teams, seen.whole.start, min(seen.whole.end, now))
    team_rows = [
        _team_row(probe.team, probe, found[f"team {pk}"], spent.get(pk), chosen)
        for pk, probe in teams.items()
        if probe.team
    ]
    kind_rows = [
        _row(Link(kind.label, ""), "", found[f"kind {kind}"], f"kind={kind}")
        for kind in ProbeKind
        if f"kind {kind}" in found
    ]
    drawn = _charts(seen, probes)
    list_url = results_url(seen.whole)
    before = seen.before.whole if seen.before else None
    return Trends(
        is_empty=not probes,
        prober=prober(now),
        range=ranges.bar(chosen),
        facts=range_facts(
            *(seen.whole, before, list_url),
            of=sum(1 for probe in probes if probe.enabled),
        ),
        charts=drawn,
        classes=class_counts(dict(seen.whole.classes), list_url),
        teams=sorted(team_rows, key=_rank),
        kinds=sorted(kind_rows, key=_rank),
        sheets=[_sheet(team_rows), range_sheet(seen.whole, before), *sheets(drawn)],
        csv_url=chosen.url(format="csv"),
        json_url=chosen.url(format="json"),
    )


def _grouped(
    probes: Sequence[Probe], whole: Summary, now: datetime
) -> Mapping[str, Summary]:
    """Return the numbers of each team and kind, of the time of the whole: its points'."""
    members = {f"team {pk}": ids for pk, ids in by_team(probes).items()}
    members |= {f"kind {kind}": ids for kind, ids in by_kind(probes).items()}
    return grouped(members, whole.start, whole.end, now)


def _charts(seen: Course, probes: Sequence[Probe]) -> list[ChartTable]:
    setting = Setting(
        drill=reverse("outcomes"),
        zooms=True,
        before=seen.before.pieces if seen.before else (),
    )
    has_paid = any(probe.kind in PAID and probe.enabled for probe in probes)
    return [
        charts.errors(seen.pieces, setting=setting),
        charts.latency(
            seen.pieces,
            note=_WITH_PAID if has_paid else "",
            setting=setting,
        ),
        charts.volume(seen.pieces, seen.whole, setting=setting),
    ]


def _team_row(
    team: Team, probe: Probe, seen: Summary, used: Spending | None, chosen: Range
) -> TrendRow:
    link = Link(str(team), f"{reverse('team', args=[team.pk])}?{chosen.link()}")
    spent = used.credits if used else None
    return replace(
        _row(link, str(probe.gateway), seen, f"team={team.pk}"),
        credits=words.NO_DATA if spent is None else words.number(round(spent, 1)),
        spent=spent,
    )


def _row(link: Link, place: str, seen: Summary, whose: str) -> TrendRow:
    listed = results_url(seen, whose)
    return TrendRow(
        link=link,
        place=place,
        error_rate=words.percent(seen.error_rate),
        is_bad=bool(seen.bad),
        failed_url=f"{listed}&state=failed" if seen.bad else "",
        ok_url=f"{listed}&state=ok" if seen.good else "",
        counted_url=f"{listed}&state=counted" if seen.samples else "",
        p95=words.milliseconds(seen.p95_ms),
        availability=available(seen),
        samples=f"{seen.samples:,}",
        credits="",
        # The worst first; what is not known comes last.
        rank=(seen.error_rate is None, -(seen.error_rate or 0.0), link.word),
        seen=seen,
    )


def _rank(row: TrendRow) -> tuple[bool, float, str]:
    return row.rank


def _sheet(rows: Sequence[TrendRow]) -> Sheet:
    names = ["team", "gateway", "error_rate", "p95_ms", "availability", "samples"]
    return Sheet(
        "teams",
        [
            [*names, "credits"],
            *(
                [
                    *(row.link.word, row.place, row.seen.error_rate, row.seen.p95_ms),
                    *(row.seen.availability, row.seen.samples, row.spent),
                ]
                for row in rows
            ),
        ],
    )
