"""What the trial of a rule on the past shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from dashboard.alerts.backtest import Alarm, backtest, can_replay, in_words, probes_of
from dashboard.alerts.models import Rule, RuleKind
from dashboard.probes.kinds import runs_a_day
from dashboard.probes.models import Probe
from dashboard.rollups.queries import course
from dashboard.web import charts, words
from dashboard.web.drawing import ChartTable, Mark, Setting
from dashboard.web.pages.parts import Badge
from dashboard.web.states import tone_of

DAYS = 1
# Some ten seconds' worth: a page must not hold up the others.
MOST_RUNS = 300_000
_MOST_SHOWN = 100
_PIECES = 96
_CHARTED = (RuleKind.ERROR_RATE, RuleKind.BURN_RATE, RuleKind.LATENCY)


@dataclass(frozen=True, slots=True)
class PastAlarm:
    badge: Badge
    title: str
    url: str
    opened: SafeString
    lasted: str
    text: str


@dataclass(frozen=True, slots=True)
class PastPage:
    """What a rule would have told; `refused` says why it was not tried.

    `chart` is what its probes saw, all together, with the alarms shaded.
    """

    told: str
    rows: list[PastAlarm]
    refused: str = ""
    chart: ChartTable | None = None


def past(rule: Rule, days: int, now: datetime) -> PastPage:
    if not can_replay(rule):
        return PastPage("", [], "What this rule is judged by is not stored.")
    probes = probes_of(rule)
    runs = sum(days * runs_a_day(probe.period_s) for probe in probes)
    if runs > MOST_RUNS:
        said = (
            f"These days hold some {runs:,.0f} results, too many for a page: ask for "
            "fewer days, try a rule for one team, or use manage.py backtest_rules."
        )
        return PastPage("", [], said)
    since = now - timedelta(days=days)
    found = backtest(rule, probes, since, now)
    told, latest = in_words(found, days, now), found[-_MOST_SHOWN:]
    return PastPage(
        f"{capfirst(told)}.",
        [_row(alarm, now) for alarm in reversed(latest)],
        chart=_chart(rule, probes, latest, since, now),
    )


def _chart(
    rule: Rule,
    probes: Sequence[Probe],
    alarms: Sequence[Alarm],
    since: datetime,
    now: datetime,
) -> ChartTable | None:
    if rule.kind not in _CHARTED:
        return None
    pieces = course([probe.pk for probe in probes], since, now, _PIECES, now).pieces
    setting = Setting(marks=[_mark(alarm) for alarm in alarms])
    if rule.kind == RuleKind.LATENCY:
        return charts.latency(pieces, setting=setting)
    return charts.errors(pieces, setting=setting)


def _mark(alarm: Alarm) -> Mark:
    return Mark(
        kind="alarm",
        label=f"{alarm.target}: {alarm.text}",
        start=alarm.opened_at,
        end=alarm.ended_at,
        tone=tone_of(alarm.severity),
        url=_url(alarm),
    )


def _row(alarm: Alarm, now: datetime) -> PastAlarm:
    lasted = words.duration(alarm.lasted_s(now))
    return PastAlarm(
        badge=Badge(tone_of(alarm.severity), alarm.severity),
        title=alarm.target,
        url=_url(alarm),
        opened=words.time(alarm.opened_at, now),
        lasted=lasted if alarm.ended_at else f"{lasted}, still",
        text=alarm.text,
    )


def _url(alarm: Alarm) -> str:
    if alarm.probe_id is not None:
        return reverse("probe", args=[alarm.probe_id])
    return reverse("team", args=[alarm.team_id]) if alarm.team_id is not None else ""
