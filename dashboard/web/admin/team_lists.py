"""What the admin's list of teams tells beside their names: one look for a whole page."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.lib import buckets
from dashboard.lib.buckets import HOUR_S
from dashboard.probes.models import Probe
from dashboard.probes.queries import BreakerView, breakers_of
from dashboard.teams.burn import (
    paces,
)
from dashboard.teams.credit_hours import (
    Hour,
    hours_of,
)
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import Burn, latest_readings
from dashboard.web import words
from dashboard.web.credit_levels import Marks, marks_of
from dashboard.web.pages.credits import credits_of, runway
from dashboard.web.pages.parts import Badge
from dashboard.web.pages.teams import status_badge
from dashboard.web.prober import Prober, prober
from dashboard.web.sparks import spark
from dashboard.web.states import State, Tone, breaker_word, state_of

_SHOWN = timedelta(days=7)


@dataclass(slots=True)
class Facts:
    """What is known of one team in the list."""

    now: datetime
    marks: Marks
    prober: Prober
    reading: CreditReading | None = None
    hours: list[Hour] = field(default_factory=list)
    burn: Burn | None = None
    probes: list[Probe] = field(default_factory=list)
    breakers: list[BreakerView] = field(default_factory=list)


def facts_of(teams: list[Team], now: datetime) -> dict[int, Facts]:
    """Return the facts of these teams in six queries, and two of the prober's."""
    pks = [team.pk for team in teams]
    readings = latest_readings(pks)
    start = buckets.floor(now - _SHOWN, HOUR_S)
    hours = hours_of(pks, start, now)
    burns = paces(hours, readings, now)
    probes = list(Probe.objects.filter(team__in=pks).select_related("gateway", "team"))
    marks, works = marks_of(teams), prober(now)
    found = {
        pk: Facts(
            now,
            marks[pk],
            works,
            readings.get(pk),
            list(hours.get(pk, [])),
            burns.get(pk),
        )
        for pk in pks
    }
    for probe in probes:
        found[probe.team_id or 0].probes.append(probe)
    for breaker in breakers_of(probes, now):
        if breaker.probe:
            found[breaker.probe.team_id or 0].breakers.append(breaker)
    return found


class TeamList(ChangeList):
    """The changelist whose every row knows the team's facts, as its columns need them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        teams: list[Any] = list(self.result_list)
        facts = facts_of(teams, timezone.now())
        for team in teams:
            team.facts = facts[team.pk]
        self.result_list = teams


def badge(shown: Badge) -> SafeString:
    return render_to_string("web/_state.html", {"badge": shown})


@admin.display(description="status", ordering="status")
def state(team: Any) -> SafeString:
    is_watched = any(probe.enabled for probe in team.facts.probes)
    return badge(status_badge(team, team.facts.probes, is_watched=is_watched))


@admin.display(description="credits")
def credits_left(team: Any) -> SafeString:
    """Return the standing in a word, the number and the bar."""
    facts: Facts = team.facts
    told = credits_of(facts.reading, facts.probes, facts.burn, facts.marks, facts.now)
    bar = render_to_string("web/_bar.html", {"credits": told})
    return badge(replace(told.badge, reason=told.left)) + bar


@admin.display(description="lasts")
def lasts(team: Any) -> str:
    return runway(team.facts.burn)


@admin.display(description="last check")
def last_check(team: Any) -> SafeString:
    facts: Facts = team.facts
    latest = max((p.last_at for p in facts.probes if p.last_at), default=None)
    on = [p for p in facts.probes if p.enabled]
    if not on:
        return badge(Badge(Tone.OFF, "not watched"))
    at = words.time(latest, facts.now, "no result yet")
    # As the probes' own pages say it.
    states = [state_of(probe, facts.prober, facts.now) for probe in on]
    worst = min(states, key=attrgetter("place"))
    if worst.state in _GOOD:
        return at
    number = sum(each.state is worst.state for each in states)
    told = f"{number} of {words.count(len(on), 'probe')}, "
    return badge(Badge(worst.tone, worst.state.value, told)) + at


_GOOD = {State.OK, State.WAITING, State.NO_KEY}


@admin.display(description="breakers")
def breakers(team: Any) -> SafeString:
    states = Counter(
        breaker_word(breaker.state)
        for breaker in team.facts.breakers
        if not breaker.state.endswith("closed")
    )
    if not states:
        return badge(Badge(Tone.OK, "closed"))
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return badge(Badge(Tone.WARN, told))


@admin.display(description="7 days")
def week(team: Any) -> SafeString:
    """Return the line of what was left in each hour of the last week."""
    facts: Facts = team.facts
    by_hour = {row.hour: row.last for row in facts.hours}
    start = buckets.floor(facts.now - _SHOWN, HOUR_S)
    steps = int(_SHOWN / timedelta(hours=1)) + 1
    values = [by_hour.get(start + timedelta(hours=n)) for n in range(steps)]
    line = spark(
        [None if value is None else max(0.0, value) for value in values],
        f"Credits left, last 7 days, {words.count(len(facts.hours), 'hour')} with readings",
    )
    if line is None:
        return SafeString("–")  # noqa: RUF001 (a dash)
    return render_to_string("web/_spark.html", {"spark": line})
