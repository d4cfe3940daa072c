"""Put what is known before the rules: each target with the call of its rule."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta

from dashboard.alerts import rules, silences, targets, unwatched
from dashboard.alerts.hindsight import SlowFacts, slow_limit_ms
from dashboard.alerts.models import Incident, RuleKind
from dashboard.alerts.rules import Limits, Sample, Verdict
from dashboard.alerts.situation import Situation
from dashboard.alerts.targets import Target
from dashboard.lib import histogram
from dashboard.probes.kinds import CHEAP, STREAMED, TELL_CREDITS
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.queries import IN_A_ROW, BreakerView
from dashboard.probes.rhythm import period_now_s, waits_for_key
from dashboard.probes.taxonomy import TIMED_OUT, ErrorClass
from dashboard.rollups.tally import Tally
from dashboard.teams.models import CreditReading, Gateway, Team
from dashboard.teams.queries import Burn

_STALE_AFTER_RUNS = 3
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Case:
    """One target, and how to judge it by a rule's limits and its open incident."""

    target: Target
    judge: Callable[[Limits, Incident | None], Verdict]


def cases(known: Situation) -> Iterator[Case]:
    """Yield everything that can be judged of a situation: what is watched."""
    for probe in known.probes:
        if not waits_for_key(probe):
            yield from _of_probe(known, probe)
    teams: dict[int, tuple[Team, list[Probe]]] = {}
    for probe in known.probes:
        if probe.team is not None:
            teams.setdefault(probe.team.pk, (probe.team, []))[1].append(probe)
    for team, probes in teams.values():
        yield _team_state(known, team, probes)
        yield _auth_failed(known, team, probes)
        yield _credits(known, team, probes)
        yield _credits_unknown(known, team, probes)
    gateways = {probe.gateway.pk: probe.gateway for probe in known.probes}
    for gateway in gateways.values():
        if unwatched.has_certificate(gateway):
            yield _certificate(known, gateway)
    yield from _breakers(known)


def _of_probe(known: Situation, probe: Probe) -> Iterator[Case]:
    yield _error_rate(known, probe)
    if probe.kind in STREAMED:
        yield _stream_failures(known, probe)
    if probe.kind == ProbeKind.HEALTH:
        yield _gateway_down(known, probe)
    yield _no_data(known, probe)


def slow_cases(known: Situation, facts: SlowFacts) -> Iterator[Case]:
    """Yield what looks far back and changes slowly."""
    for probe in known.probes:
        if waits_for_key(probe):
            continue
        if probe.pk in facts.windows_s:
            yield _latency(known, facts, probe)
        if probe.pk in facts.counts:
            yield _burn_rate(known, facts, probe)
    teams = {p.team.pk: p for p in known.probes if p.team is not None}
    for pk, probe in teams.items():
        assert probe.team is not None
        yield _forecast(known, probe.team, probe.gateway, facts.paces.get(pk))
        yield _credits_spike(known, facts, probe.team, probe.gateway)


def _latency(known: Situation, facts: SlowFacts, probe: Probe) -> Case:
    target = targets.of_probe(RuleKind.LATENCY, probe)

    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        limit_ms = slow_limit_ms(limits, probe)
        anew = facts.anew.get(probe.pk)
        return rules.latency(
            slowness(facts.tallies[probe.pk], limit_ms),
            limit_ms,
            limits,
            known.now,
            window_s=facts.windows_s[probe.pk],
            is_open=incident is not None,
            anew=anew and slowness(anew, limit_ms),
        )

    return Case(target, judge)


def slowness(seen: Tally, limit_ms: float) -> rules.Slowness:
    """Count what was slow in a tally: what timed out is, whatever its limit was."""
    timed_out = sum(seen.classes[name] for name in TIMED_OUT)
    good = seen.ok_histogram
    p50, p95, p99 = (histogram.quantile(good, q) for q in (0.5, 0.95, 0.99))
    return rules.Slowness(
        samples=histogram.count(good) + timed_out,
        slow=histogram.above(good, limit_ms * 1000) + timed_out,
        nearly=histogram.above(good, limit_ms * 1000 * rules.CLEARS_AT) + timed_out,
        timed_out=timed_out,
        p50_ms=p50 and p50 / 1000,
        p95_ms=p95 and p95 / 1000,
        p99_ms=p99 and p99 / 1000,
    )


def _burn_rate(known: Situation, facts: SlowFacts, probe: Probe) -> Case:
    target = targets.of_probe(RuleKind.BURN_RATE, probe)

    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        over = facts.ends.get(target.identity)
        return rules.burn_rate(facts.counts[probe.pk], limits, known.now, over)

    return Case(target, judge)


def _credits_spike(
    known: Situation, facts: SlowFacts, team: Team, gateway: Gateway
) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        if team.pk not in facts.paces:
            return rules.HOLD
        spending = facts.spending.get(team.pk)
        is_open = incident is not None
        return rules.credits_spike(spending, limits, known.now, is_open=is_open)

    return Case(targets.of_team(RuleKind.CREDITS_SPIKE, team, gateway), judge)


def _forecast(
    known: Situation, team: Team, gateway: Gateway, pace: Burn | None
) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        told = None
        if pace is not None:
            per_hour, over = pace.fastest
            told = rules.Pace(
                per_hour=pace.per_hour,
                remaining=pace.remaining,
                span_h=pace.span.total_seconds() / 3600,
                readings=pace.readings,
                auto_refill=pace.auto_refill,
                faster=(per_hour, over / _HOUR) if pace.is_faster_lately else None,
            )
        return rules.credits_forecast(told, limits, known.now)

    return Case(targets.of_team(RuleKind.CREDITS_FORECAST, team, gateway), judge)


def _no_data(known: Situation, probe: Probe) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        if silences.in_maintenance(known.silences, probe):
            return rules.HOLD
        results = known.samples[probe.pk]
        if probe.kind not in CHEAP:
            # It waits for breakers and for its turn, and may bring nothing for long.
            return rules.unasked(_uncapped(probe, results))
        period_s = period_now_s(probe)
        silence = rules.Silence(probe.last_at, probe.late_since, period_s, results)
        return rules.no_data(silence, known.now)

    return Case(targets.of_probe(RuleKind.NO_DATA, probe), judge)


def _uncapped(probe: Probe, results: Iterable[Sample]) -> list[Sample]:
    """Leave out what a cap on credits kept from being asked: that is nobody's fault.

    Only the day of the latest cap is known, and those before it may have been capped, too.
    """
    found = list(results)
    capped = [
        place
        for place, each in enumerate(found, 1)
        if each.error_class == ErrorClass.CONFIG
        and each.at.astimezone(UTC).date() == probe.capped_on
    ]
    return found[max(capped, default=0) :]


def _certificate(known: Situation, gateway: Gateway) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        return rules.certificate(gateway.certificate_expires_at, limits, known.now)

    return Case(targets.of_gateway(RuleKind.CERTIFICATE, gateway), judge)


def _error_rate(known: Situation, probe: Probe) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        return rules.error_rate(
            known.samples[probe.pk],
            limits,
            known.windows_s[probe.pk],
            known.now,
            known.past.get(probe.pk),
        )

    return Case(targets.of_probe(RuleKind.ERROR_RATE, probe), judge)


def _stream_failures(known: Situation, probe: Probe) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        return rules.stream_failures(
            known.samples[probe.pk], limits, known.windows_s[probe.pk], known.now
        )

    return Case(targets.of_probe(RuleKind.STREAM_FAILURES, probe), judge)


def _gateway_down(known: Situation, probe: Probe) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        latest = known.latest.get(probe.gateway_id, [])
        health = known.samples[probe.pk]
        return rules.gateway_down(health, latest, limits, known.now)

    return Case(targets.of_gateway(RuleKind.GATEWAY_DOWN, probe.gateway), judge)


def _team_state(known: Situation, team: Team, probes: list[Probe]) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        outcomes = [known.samples[probe.pk] for probe in probes]
        sight = rules.TeamSight(team.status, team.status_at, outcomes)
        return rules.team_state(sight, limits, known.now)

    target = targets.of_team(RuleKind.TEAM_STATE, team, probes[0].gateway)
    return Case(target, judge)


def _auth_failed(known: Situation, team: Team, probes: list[Probe]) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        if probes[0].gateway_id in known.refusing:
            return rules.HOLD
        outcomes = [known.samples[probe.pk] for probe in probes]
        return rules.auth_failed(outcomes, team.key_set_at, limits, known.now)

    target = targets.of_team(RuleKind.AUTH_FAILED, team, probes[0].gateway)
    return Case(target, judge)


def _credits(known: Situation, team: Team, probes: list[Probe]) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        reading = known.readings.get(team.pk)
        return rules.credits_left(
            _reading(reading) if reading else None,
            limits,
            _epoch(incident) if incident else None,
            known.now,
            stale_after_s=_stale_after_s(probes),
        )

    return Case(targets.of_team(RuleKind.CREDITS, team, probes[0].gateway), judge)


def _credits_unknown(known: Situation, team: Team, probes: list[Probe]) -> Case:
    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        reading = known.readings.get(team.pk)
        answers = 0
        if reading is not None:
            answers = sum(
                not sample.bad and sample.at > reading.read_at
                for probe in probes
                if probe.kind in TELL_CREDITS
                for sample in known.samples[probe.pk]
            )
        return rules.credits_unknown(
            _reading(reading) if reading else None,
            answers,
            _stale_after_s(probes),
            known.now,
        )

    target = targets.of_team(RuleKind.CREDITS_UNKNOWN, team, probes[0].gateway)
    return Case(target, judge)


def _stale_after_s(probes: list[Probe]) -> int:
    periods = [probe.period_s for probe in probes if probe.kind in TELL_CREDITS]
    return _STALE_AFTER_RUNS * max(periods, default=0)


def _reading(reading: CreditReading) -> rules.Credits:
    return rules.Credits(reading.remaining, reading.allocated, reading.read_at)


def _epoch(incident: Incident) -> rules.Epoch:
    stored = incident.evidence
    return rules.Epoch(stored.get("allocated"), stored.get("lowest"))


def _breakers(known: Situation) -> Iterator[Case]:
    """Yield the open breakers, and the closed ones whose incident is still open.

    An incident of a breaker that nothing asks any more is not judged: its row can
    neither fail nor recover.
    """
    ours = [i for i in known.incidents if i.kind == RuleKind.BREAKER_OPEN]
    gone = {i.identity for i in ours if unwatched.why(i, known.probes)}
    seen = set()
    for view in known.breakers:
        case = _breaker(known, view)
        seen.add(case.target.identity)
        if case.target.identity not in gone:
            yield case
    for incident in ours:
        if incident.identity not in seen | gone:
            yield Case(
                targets.of_incident(incident),
                lambda limits, _: rules.breaker_open(None, limits, known.now),
            )


def _breaker(known: Situation, view: BreakerView) -> Case:
    target = targets.of_breaker(view)
    sight = rules.BreakerSight(
        state=view.state,
        endpoint=view.endpoint,
        failures=view.failures,
        opened_at=view.opened_at,
        failed_after=view.failed_after,
        reason=view.reason,
        openings=known.openings.get((view.gateway.pk, view.key), 1),
        key=view.key,
        in_a_row=view.failures >= IN_A_ROW,
    )

    def judge(limits: Limits, incident: Incident | None) -> Verdict:
        return rules.breaker_open(sight, limits, known.now)

    return Case(target, judge)
