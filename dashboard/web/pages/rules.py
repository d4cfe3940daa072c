"""What the trial of a rule on the past shows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.backtest import Alarm, backtest, can_replay, in_words, probes_of
from dashboard.alerts.models import Rule, Severity
from dashboard.probes.kinds import runs_a_day
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

DAYS = 1
# Some ten seconds' worth: a page must not hold up the others.
MOST_RUNS = 300_000
_MOST_SHOWN = 100


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
    """What a rule would have told; `refused` says why it was not tried."""

    told: str
    rows: list[PastAlarm]
    refused: str = ""


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
    found = backtest(rule, probes, now - timedelta(days=days), now)
    told = in_words(found, days, now)
    return PastPage(
        told[0].upper() + told[1:] + ".",
        [_row(alarm, now) for alarm in reversed(found[-_MOST_SHOWN:])],
    )


def _row(alarm: Alarm, now: datetime) -> PastAlarm:
    tone = Tone.BAD if alarm.severity == Severity.CRITICAL else Tone.WARN
    lasted = words.duration(alarm.lasted_s(now))
    return PastAlarm(
        badge=Badge(tone, alarm.severity),
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
