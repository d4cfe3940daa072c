"""How each kind of rule is put to the stored past."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from dashboard.alerts import rules
from dashboard.alerts.backtest.history import Runs, Sums, readings, runs, timed_out
from dashboard.alerts.backtest.replay import Track
from dashboard.alerts.hindsight import latency_window_s, window_s
from dashboard.alerts.models import Rule, RuleKind
from dashboard.alerts.rulebook import RuleBook, limits_of
from dashboard.alerts.rules import Count, Credits, Epoch, Evidence, Past, Verdict
from dashboard.lib import histogram
from dashboard.probes.kinds import NEED_KEY
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.rhythm import REFUSED, REFUSED_PERIOD_S, deadline_s
from dashboard.teams.models import CreditReading, Team
from dashboard.teams.queries import LEAST_READINGS

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# A reading, or a health's samples, are looked at this far back at most.
_LOOK_BACK = timedelta(hours=6)


# Makes the tracks of a rule's targets among some probes, in (since, until].
Tracks: TypeAlias = Callable[
    [Rule, Collection[Probe], datetime, datetime], Iterator[Track]
]


def _error_rate(rule: Rule, probe: Probe, since: datetime, until: datetime) -> Track:
    limits, length_s = limits_of(rule), window_s(RuleBook([rule]), probe)
    found = runs(probe, since - _DAY - _LOOK_BACK, until)
    every = Sums(found, [True] * len(found.samples))
    bad = Sums(found, [sample.bad for sample in found.samples])

    def past(now: datetime) -> Past | None:
        if not (rule.long_window_s or rule.against_baseline):
            return None
        long_from = now - timedelta(seconds=rule.long_window_s)
        # The times that fired are left in: their rule is the one that is tried.
        usual_to = now - timedelta(seconds=length_s)
        usual_from = usual_to - _DAY if rule.against_baseline else usual_to
        return Past(
            long_samples=every.between(long_from, now),
            long_bad=bad.between(long_from, now),
            usual_samples=every.between(usual_from, usual_to),
            usual_bad=bad.between(usual_from, usual_to),
        )

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        samples = found.window(length_s, now)
        return rules.error_rate(samples, limits, length_s, now, past(now))

    return Track(str(probe), _starts(found, since), judge, probe.pk, probe.team_id)


def _latency(rule: Rule, probe: Probe, since: datetime, until: datetime) -> Track:
    limits, length_s = limits_of(rule), latency_window_s(rule, probe)
    limit_ms = limits.warn_at or limits.critical_at or deadline_s(probe) * 500
    found = runs(probe, since - timedelta(seconds=length_s), until)
    lost = timed_out(found)
    told = list(zip(found.samples, found.latencies_us, lost, strict=True))
    good = Sums(found, [not sample.bad for sample in found.samples])
    gone = Sums(found, lost)

    def above(limit: float) -> Sums:
        return Sums(
            found, [not s.bad and latency_us > limit for s, latency_us, _ in told]
        )

    slow = above(limit_ms * 1000)
    nearly = above(limit_ms * 1000 * rules.CLEARS_AT)

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        start = now - timedelta(seconds=length_s)
        timeouts = gone.between(start, now)
        pace = rules.Slowness(
            samples=good.between(start, now) + timeouts,
            slow=slow.between(start, now) + timeouts,
            nearly=nearly.between(start, now) + timeouts,
            timed_out=timeouts,
            p95_ms=_p95_ms(found, start, now) if slow.between(start, now) else None,
        )
        return rules.latency(
            pace,
            limit_ms,
            limits,
            now,
            window_s=length_s,
            is_open=evidence is not None,
        )

    moments = _every(_MINUTE, since, until)
    return Track(str(probe), moments, judge, probe.pk, probe.team_id)


def _p95_ms(found: Runs, start: datetime, end: datetime) -> float | None:
    inside = slice(found.until(start), found.until(end))
    good = [
        latency_us
        for sample, latency_us in zip(
            found.samples[inside], found.latencies_us[inside], strict=True
        )
        if not sample.bad
    ]
    value = histogram.quantile(histogram.of(good), 0.95)
    return None if value is None else value / 1000


def _budget(rule: Rule, probe: Probe, since: datetime, until: datetime) -> Track:
    limits = limits_of(rule)
    found = runs(probe, since - timedelta(seconds=max(rules.WINDOWS_S)), until)
    every = Sums(found, [True] * len(found.samples))
    bad = Sums(found, [sample.bad for sample in found.samples])

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        counts = {}
        for length_s in rules.WINDOWS_S:
            start = now - timedelta(seconds=length_s)
            counts[length_s] = Count(every.between(start, now), bad.between(start, now))
        return rules.burn_rate(counts, limits, now)

    moments = _every(_MINUTE, since, until)
    return Track(str(probe), moments, judge, probe.pk, probe.team_id)


def _gateways(
    rule: Rule, probes: Collection[Probe], since: datetime, until: datetime
) -> Iterator[Track]:
    for health in probes:
        if health.kind == ProbeKind.HEALTH:
            same = [p for p in probes if p.gateway_id == health.gateway_id]
            yield _gateway(rule, health, same, since, until)


def _gateway(
    rule: Rule,
    health: Probe,
    probes: Collection[Probe],
    since: datetime,
    until: datetime,
) -> Track:
    limits = limits_of(rule)
    found = {probe.pk: runs(probe, since - _LOOK_BACK, until) for probe in probes}
    asked = found[health.pk]
    length_s = max(rule.window_s, rule.min_bad * health.period_s * 2)
    # No further back than what was read.
    length_s = min(length_s, int(_LOOK_BACK.total_seconds()))

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        latest = [
            each.samples[place - 1]
            for each in found.values()
            if (place := each.until(now))
        ]
        return rules.gateway_down(asked.window(length_s, now), latest, limits, now)

    return Track(str(health.gateway), _starts(asked, since), judge, health.pk)


def _keys(
    rule: Rule, probes: Collection[Probe], since: datetime, until: datetime
) -> Iterator[Track]:
    """Of a team's keys only when its present one was set is stored.

    Each refusal before that counts for one and the same key.
    """
    for team, own in _by_team(probes).items():
        yield _key(rule, team, own, since, until)


def _key(
    rule: Rule,
    team: Team,
    probes: Collection[Probe],
    since: datetime,
    until: datetime,
) -> Track:
    limits = limits_of(rule)
    found = {probe: runs(probe, since - _LOOK_BACK, until) for probe in probes}
    set_at = team.key_set_at

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        outcomes = [
            each.window(max(rule.window_s, 5 * _period_then_s(probe, each, now)), now)
            for probe, each in found.items()
        ]
        key_set_at = set_at if set_at is not None and now >= set_at else None
        return rules.auth_failed(outcomes, key_set_at, limits, now)

    moments = sorted(at for each in found.values() for at in _starts(each, since))
    return Track(str(team), moments, judge, team_id=team.pk)


def _period_then_s(probe: Probe, found: Runs, now: datetime) -> int:
    """Return how far apart its runs were then: a refused key is tried less often."""
    latest = found.samples[found.until(now) - 1] if found.until(now) else None
    if latest is None or latest.error_class != REFUSED or probe.kind not in NEED_KEY:
        return probe.period_s
    return max(probe.period_s, REFUSED_PERIOD_S)


def _credits_left(rule: Rule, team: Team, since: datetime, until: datetime) -> Track:
    limits = limits_of(rule)
    by_time = {row.read_at: row for row in readings(team, since, until)}

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        row = by_time[now]
        epoch = Epoch(evidence.allocated, evidence.lowest) if evidence else None
        told = Credits(row.remaining, row.allocated, now)
        return rules.credits_left(told, limits, epoch, now, stale_after_s=1)

    return Track(str(team), list(by_time), judge, team_id=team.pk)


def _forecast(rule: Rule, team: Team, since: datetime, until: datetime) -> Track:
    limits = limits_of(rule)
    told = readings(team, since - _DAY, until)
    places = {row.read_at: place for place, row in enumerate(told)}
    spent = _spent(told)

    def judge(now: datetime, evidence: Evidence | None) -> Verdict:
        last = places[now]
        first = _first_after(told, now - _DAY)
        span_h = (now - told[first].read_at) / _HOUR
        if last - first + 1 < LEAST_READINGS or span_h < 1:
            return rules.HOLD
        pace = rules.Pace(
            per_hour=(spent[last] - spent[first]) / span_h,
            remaining=told[last].remaining or 0.0,
            span_h=span_h,
            readings=last - first + 1,
            auto_refill=bool(told[last].auto_refill),
        )
        return rules.credits_forecast(pace, limits, now)

    moments = [row.read_at for row in told if row.read_at > since]
    return Track(str(team), moments, judge, team_id=team.pk)


def _spent(told: list[CreditReading]) -> list[float]:
    """Return what was spent from the first reading until each; refills are not."""
    sums, total, before = [], 0.0, None
    for row in told:
        remaining = row.remaining or 0.0
        total += max(0.0, before - remaining) if before is not None else 0.0
        sums.append(total)
        before = remaining
    return sums


def _first_after(told: list[CreditReading], moment: datetime) -> int:
    return bisect_right(told, moment, key=lambda row: row.read_at)


def _by_team(probes: Collection[Probe]) -> Mapping[Team, list[Probe]]:
    found: dict[Team, list[Probe]] = {}
    for probe in probes:
        if probe.team is not None:
            found.setdefault(probe.team, []).append(probe)
    return found


def _starts(found: Runs, since: datetime) -> Sequence[datetime]:
    return found.times[found.until(since) :]


def _every(step: timedelta, since: datetime, until: datetime) -> Iterator[datetime]:
    moment = since + step
    while moment <= until:
        yield moment
        moment += step


def _of_each_probe(track: Callable[[Rule, Probe, datetime, datetime], Track]) -> Tracks:
    return lambda rule, probes, since, until: (
        track(rule, probe, since, until) for probe in probes
    )


def _of_each_team(track: Callable[[Rule, Team, datetime, datetime], Track]) -> Tracks:
    return lambda rule, probes, since, until: (
        track(rule, team, since, until) for team in _by_team(probes)
    )


TRACKS: Mapping[str, Tracks] = {
    RuleKind.ERROR_RATE: _of_each_probe(_error_rate),
    RuleKind.LATENCY: _of_each_probe(_latency),
    RuleKind.BURN_RATE: _of_each_probe(_budget),
    RuleKind.GATEWAY_DOWN: _gateways,
    RuleKind.AUTH_FAILED: _keys,
    RuleKind.CREDITS: _of_each_team(_credits_left),
    RuleKind.CREDITS_FORECAST: _of_each_team(_forecast),
}
