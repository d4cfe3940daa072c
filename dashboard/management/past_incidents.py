"""Incidents of the demo's past: the real rules, judging what the past made up."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dashboard.alerts import targets
from dashboard.alerts.lifecycle import note, open_incident
from dashboard.alerts.models import EventKind, Incident, Rule, RuleKind
from dashboard.alerts.rulebook import limits_of
from dashboard.alerts.rules import (
    Credits,
    Epoch,
    Limits,
    Sample,
    Verdict,
    credits_left,
    error_rate,
    gateway_down,
)
from dashboard.alerts.rules.verdict import Step, bad_in_a_row
from dashboard.alerts.targets import Target
from dashboard.management.past import Credits as Reading
from dashboard.management.past import Episode, Run
from dashboard.probes.models import Probe, ProbeKind
from dashboard.teams.models import Team

# How far before and after a bad time its runs are kept to be judged.
AROUND = timedelta(minutes=20)
# The defaults: the demo's own windows are too short for runs a minute apart.
_WINDOW_S = 300
_LIMITS = Limits(critical_at=0.2)


def write_outages(
    bad_times: Iterable[Episode], seen: Mapping[int, Sequence[Run]], teams: list[Team]
) -> None:
    """Write the incidents of the bad times in which runs failed."""
    for bad in bad_times:
        if not bad.error_class:
            continue
        if bad.place is None:
            _write_gateway_down(bad, seen)
        elif bad.place < len(teams):
            _write_failing_probes(bad, seen, teams[bad.place])


def _write_failing_probes(
    bad: Episode, seen: Mapping[int, Sequence[Run]], team: Team
) -> None:
    rule = _rule(RuleKind.ERROR_RATE)
    for probe in Probe.objects.filter(team=team, pk__in=seen).select_related(
        "gateway", "team__gateway"
    ):
        samples = _samples(seen[probe.pk], bad)

        def judge(now: datetime, samples: list[Sample] = samples) -> Verdict:
            known = [sample for sample in samples if sample.at <= now]
            return error_rate(known, _LIMITS, _WINDOW_S, now)

        target = targets.of_probe(RuleKind.ERROR_RATE, probe)
        _write(target, rule, judge, [sample.at for sample in samples])


def _write_gateway_down(bad: Episode, seen: Mapping[int, Sequence[Run]]) -> None:
    rule = _rule(RuleKind.GATEWAY_DOWN)
    limits = limits_of(rule) if rule else _LIMITS
    samples = {pk: _samples(told, bad) for pk, told in seen.items()}
    healths = Probe.objects.filter(kind=ProbeKind.HEALTH, pk__in=seen)
    for health in healths.select_related("gateway"):
        asked = samples[health.pk]

        def judge(now: datetime, asked: list[Sample] = asked) -> Verdict:
            known = [sample for sample in asked if sample.at <= now]
            latest = [_latest(told, now) for told in samples.values()]
            found = [sample for sample in latest if sample is not None]
            return gateway_down(known, found, limits, now)

        target = targets.of_gateway(RuleKind.GATEWAY_DOWN, health.gateway)
        _write(target, rule, judge, [sample.at for sample in asked])


def write_low_credits(
    team: Team, allocated: float, readings: Sequence[Reading]
) -> None:
    """Write the incidents of the times in which a team's credits ran low."""
    rule = _rule(RuleKind.CREDITS)
    if rule is None:
        return
    limits = limits_of(rule)
    target = targets.of_team(RuleKind.CREDITS, team, team.gateway)
    remaining = {reading.at: reading.remaining for reading in readings}
    lowest = allocated

    def judge(now: datetime) -> Verdict:
        nonlocal lowest
        told = Credits(remaining[now], allocated, now)
        verdict = credits_left(told, limits, Epoch(allocated, lowest), now, 3600)
        lowest = remaining[now] if verdict.step is Step.FIRE else allocated
        return verdict

    _write(target, rule, judge, list(remaining))


def _write(
    target: Target,
    rule: Rule | None,
    judge: Callable[[datetime], Verdict],
    moments: Iterable[datetime],
) -> None:
    """Walk through the moments: open when the rule fires, end when it is over."""
    incident: Incident | None = None
    if rule is None:
        return
    for moment in moments:
        verdict = judge(moment)
        if incident is None and verdict.step is Step.FIRE:
            incident = open_incident(target, rule, verdict, moment)
        elif incident is not None and verdict.step is Step.CLEAR:
            incident.resolved_at = incident.evaluated_at = moment
            incident.save(update_fields=["resolved_at", "evaluated_at"])
            note(incident, EventKind.RESOLVED, moment)
            incident = None


def _samples(told: Sequence[Run], bad: Episode) -> list[Sample]:
    return [
        Sample(run.started_at, run.error_class, run.detail)
        for run in told
        if bad.start - AROUND <= run.started_at < bad.end + AROUND
    ]


def _latest(samples: Sequence[Sample], now: datetime) -> Sample | None:
    place = bisect_right(samples, now, key=lambda sample: sample.at)
    if not place:
        return None
    first = place - bad_in_a_row(samples[:place])
    since = samples[first].at if first < place else None
    return replace(samples[place - 1], failing_since=since)


def _rule(kind: RuleKind) -> Rule | None:
    return Rule.objects.filter(kind=kind, enabled=True).order_by("pk").first()
