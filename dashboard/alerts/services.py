"""Judge what is known, and write what changed: incidents and their notifications."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction

from dashboard.alerts import lifecycle, outbox, silences, unwatched
from dashboard.alerts.hindsight import slow_facts
from dashboard.alerts.inhibition import Open, inhibitors
from dashboard.alerts.judges import Case, cases, slow_cases
from dashboard.alerts.models import (
    EventKind,
    Incident,
    Pending,
    Rule,
    RuleKind,
    Severity,
    Silence,
)
from dashboard.alerts.rulebook import (
    SELF_TIMED,
    SLOW_KINDS,
    install_default_rules,
    limits_of,
)
from dashboard.alerts.rules import (
    CALM,
    Act,
    Phase,
    Step,
    Verdict,
    act,
    is_late,
    is_worse,
)
from dashboard.alerts.situation import Situation, load, load_all
from dashboard.probes import heartbeats, rhythm
from dashboard.probes import services as probes
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Heartbeat, ProbeKind

logger = logging.getLogger(__name__)

# A clock that went back further than this makes a round worthless.
_CLOCK_SLACK = timedelta(seconds=5)
# Three times what the tick leaves between two evaluations.
_PAUSED_AFTER = timedelta(seconds=45)
_FAILURE_LENGTH = 200
_FAST_KINDS = frozenset(RuleKind) - SLOW_KINDS


@dataclass(slots=True)
class Round:
    """What one round judged: identities, what fires, and the rules that raised."""

    watched: set[str] = field(default_factory=set)
    firing: dict[str, Verdict] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)


@transaction.atomic
def evaluate(probe_ids: Collection[int], now: datetime) -> None:
    """Judge these probes, their teams and their gateways.

    Called in the transaction that stored the probes' outcomes, after it brought their
    `last_at` and `last_error`, the readings and the breakers up to date.
    """
    if not probe_ids:
        return
    known = load(probe_ids, now)
    waits = known.pending or any(incident.clear_since for incident in known.incidents)
    if waits and _paused(_last_beat(), now):
        _count_anew(known, now)
    if _is_credible(known):
        _judge(known, cases(known))


@transaction.atomic
def evaluate_all(now: datetime) -> None:
    """Judge everything, and end the incidents of what is no longer watched."""
    before = heartbeats.beat("evaluate", now)
    if before is not None and now < before - _CLOCK_SLACK:
        logger.warning("evaluate.clock_went_back", extra={"now": now, "before": before})
        Incident.objects.filter(resolved_at=None, evaluated_at__gt=now).update(
            evaluated_at=now
        )
        _restart_waits(now)
        return
    known = load(None, now)
    paused = _paused(before, now)
    _find_late(known, paused=paused)
    if paused:
        _count_anew(known, now)
    if not _is_credible(known):
        return
    _finish(known, _judge(known, cases(known)), _FAST_KINDS)
    if known.incidents:
        lifecycle.remind(Incident.objects.filter(resolved_at=None), now)


@transaction.atomic
def evaluate_slow(now: datetime) -> None:
    """Judge what looks far back; once a minute is enough."""
    known = load_all(now)
    if _is_credible(known):
        facts = slow_facts(known.book, known.probes, now)
        _finish(known, _judge(known, slow_cases(known, facts)), SLOW_KINDS)


def _last_beat() -> datetime | None:
    beats = Heartbeat.objects.filter(name="evaluate")
    return beats.values_list("beat_at", flat=True).first()


def _paused(before: datetime | None, now: datetime) -> bool:
    return before is None or now - before > _PAUSED_AFTER


def _count_anew(known: Situation, now: datetime) -> None:
    """Let what is pending, or easing, wait again in full: a pause is no evidence."""
    _restart_waits(now)
    for waiting in known.pending.values():
        waiting.since = now
    for incident in known.incidents:
        incident.clear_since = incident.clear_since and now


def _restart_waits(now: datetime) -> None:
    Pending.objects.update(since=now)
    Incident.objects.filter(resolved_at=None, clear_since__isnull=False).update(
        clear_since=now
    )


def _find_late(known: Situation, *, paused: bool) -> None:
    """Note which results are late; time in which nothing ran is no evidence."""
    now = known.now
    if paused:
        probes.forgive_late(now)
    late = []
    for probe in known.probes:
        if probe.late_since is not None:
            probe.late_since = now if paused else probe.late_since
        elif rhythm.waits_for_key(probe):
            continue
        elif is_late(probe.last_at, rhythm.period_now_s(probe), now):
            probe.late_since = now
            late.append(probe.pk)
    if late:
        probes.note_late(late, now)


def _is_credible(known: Situation) -> bool:
    """Say whether the clock has not gone back; if it has, this round decides nothing."""
    ahead = known.now + _CLOCK_SLACK
    if all(incident.evaluated_at <= ahead for incident in known.incidents):
        return True
    logger.warning("evaluate.clock_went_back", extra={"now": known.now})
    return False


def _judge(known: Situation, found: Iterator[Case]) -> Round:
    by_identity = known.by_identity
    done = Round()
    for case in found:
        identity = case.target.identity
        rule = known.book.rule_for(case.target)
        if rule is None:
            continue
        done.watched.add(identity)
        incident = by_identity.get(identity)
        try:
            verdict = case.judge(limits_of(rule), incident)
            _apply(case, rule, verdict, incident, known)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            # One broken rule must not stop the others; the next round tries again.
            logger.exception(
                "rule_error", extra={"rule": rule.name, "identity": identity}
            )
            # Only its name: its text may hold anything.
            done.failures[rule.pk] = f"{type(error).__name__} judging {identity}"
            continue
        if verdict.step is Step.FIRE:
            done.firing[identity] = verdict
    _note_failures(known, done.failures)
    _speak(known, done.firing)
    return done


def _apply(
    case: Case,
    rule: Rule,
    verdict: Verdict,
    incident: Incident | None,
    known: Situation,
) -> None:
    """Do what the verdict does to the target's incident, or to what is pending."""
    if incident is None:
        _apply_closed(case, rule, verdict, known)
    else:
        _apply_open(case, rule, verdict, incident, known.now)


def _apply_closed(case: Case, rule: Rule, verdict: Verdict, known: Situation) -> None:
    identity, now = case.target.identity, known.now
    waiting = known.pending.get(identity)
    phase = Phase(since=waiting.since if waiting else None)
    match act(verdict.step, phase, 0 if rule.kind in SELF_TIMED else rule.for_s, now):
        case Act.OPEN:
            lifecycle.open_incident(case.target, rule, verdict, now)
        case Act.WAIT if phase.since is None:
            lifecycle.wait(identity, now)
        case Act.FORGET:
            lifecycle.forget(identity)
        case _:
            pass


def _apply_open(
    case: Case, rule: Rule, verdict: Verdict, incident: Incident, now: datetime
) -> None:
    phase = Phase(is_open=True, since=incident.clear_since)
    calm_s = CALM.total_seconds() if incident.flapping_since else 0
    match act(verdict.step, phase, max(rule.keep_s, calm_s), now):
        case Act.KEEP:
            lifecycle.fire_on(incident, now)
            lifecycle.keep(incident, case.target, verdict, now)
        case Act.EASE if phase.since is None:
            lifecycle.ease(incident, now)
        case Act.FORGET:
            lifecycle.worsen(incident, now)
        case Act.RESOLVE:
            lifecycle.resolve(incident, now)
        case _:
            pass


def _note_failures(known: Situation, failures: Mapping[int, str]) -> None:
    """Keep which rules could not be judged, for the pages to show."""
    for rule_id, failure in failures.items():
        Rule.objects.filter(pk=rule_id).update(
            failed_at=known.now, failure=failure[:_FAILURE_LENGTH]
        )


def _finish(known: Situation, done: Round, kinds: Collection[str]) -> None:
    """End what no rule of these kinds judges any more, and forget what needs no memory.

    The probe, the address or the rule of such an incident was taken away: it ends, and
    nobody is told that it recovered.
    """
    for incident in known.incidents:
        if incident.kind in kinds and incident.identity not in done.watched:
            why = unwatched.why(incident, known.probes) or "its rule is switched off"
            lifecycle.resolve(incident, known.now, f"no longer watched: {why}")
    needless = [
        identity
        for identity in known.pending
        if identity.split(":")[0] in kinds and identity not in done.watched
    ]
    if needless:
        Pending.objects.filter(identity__in=needless).delete()
    known.book.forgive(kinds, but=done.failures)


def _speak(known: Situation, firing: Mapping[str, Verdict]) -> None:
    """Decide which of the open incidents speaks for which, and queue what is to be told.

    The mail of an incident that another speaks for is withdrawn; when that one has ended
    and this one has failed again since, it is told after all.
    """
    if not known.incidents and not firing:
        return
    gateway_ids = {probe.gateway_id for probe in known.probes}
    incidents = list(
        Incident.objects.filter(
            resolved_at=None, gateway__in=gateway_ids
        ).select_related("probe", "inhibited_by")
    )
    silenced = silences.active(known.now)
    told = outbox.told(incidents)
    told_of = told | outbox.queued_or_dead(incidents)
    greater_of = inhibitors(_open(each, told=each.pk in told) for each in incidents)
    _raise(incidents, greater_of, silenced, known.now)
    spoken_for: list[tuple[Incident, int]] = []
    silent: list[Incident] = []
    for incident in incidents:
        greater = greater_of.get(incident.pk)
        verdict = firing.get(incident.identity)
        silence = silences.covering(silenced, incident)
        _note_silence(incident, silence, known.now)
        # A silenced one, too: nobody is mailed of it, but pages count it.
        is_on_its_own = greater is None and _is_released(incident, verdict, known.now)
        if greater is not None:
            spoken_for.append((incident, greater.pk))
        elif silence is not None:
            silent.append(incident)
        elif is_on_its_own:
            if incident.pk not in told_of:
                outbox.queue_opening(incident, known.now)
            elif is_worse(incident.level, than=incident.told_level):
                outbox.queue_escalation(incident, known.now)
    _mute(spoken_for, {incident.pk: incident for incident in incidents}, known.now)
    outbox.drop_unsent([*silent, *(lesser for lesser, _ in spoken_for)])


def _raise(
    incidents: Collection[Incident],
    greater_of: Mapping[int, Open],
    silenced: Collection[Silence],
    now: datetime,
) -> None:
    """Let a breaker that speaks for a critical alarm be as critical.

    A warning in its place would be all that anybody hears of an outage that health does
    not see. Of a paused team it is enough: somebody has paused it.
    """
    breakers = {
        each.pk: each
        for each in incidents
        if each.kind == RuleKind.BREAKER_OPEN and each.severity != Severity.CRITICAL
    }
    for incident in incidents if breakers else ():
        speaks = greater_of.get(incident.pk)
        if speaks is None or speaks.pk not in breakers:
            continue
        is_critical = incident.severity == Severity.CRITICAL
        if is_critical and silences.covering(silenced, incident) is None:
            # Without their names: a whole gateway's is read by members of all its teams.
            why = "speaks for critical alarms"
            lifecycle.raise_severity(breakers.pop(speaks.pk), now, why)


def _is_released(incident: Incident, verdict: Verdict | None, now: datetime) -> bool:
    """Say whether nothing speaks for it any more, and note it where that is new."""
    if not _has_failed_since(incident, verdict):
        return False
    if incident.inhibited_by_id is not None:
        lifecycle.note(incident, EventKind.RELEASED, now)
        Incident.objects.filter(pk=incident.pk).update(inhibited_by=None)
    return True


def _has_failed_since(incident: Incident, verdict: Verdict | None) -> bool:
    """Say whether it fires, and by a failure after the end of what spoke for it."""
    if verdict is None:
        return False
    spoken_for_by = incident.inhibited_by
    if spoken_for_by is None or spoken_for_by.resolved_at is None:
        return True
    latest = verdict.evidence.latest
    return latest is None or latest > spoken_for_by.resolved_at


def _note_silence(incident: Incident, silence: Silence | None, now: datetime) -> None:
    pk = silence.pk if silence else None
    if incident.silence_id == pk:
        return
    Incident.objects.filter(pk=incident.pk).update(silence=pk)
    if silence is None:
        lifecycle.note(incident, EventKind.AUDIBLE, now)
    elif incident.silence_id is None:
        until = f"until {silence.ends_at:%Y-%m-%d %H:%M} UTC: {silence.reason}"
        lifecycle.note(incident, EventKind.SILENCED, now, until, silence.author)


def _mute(
    spoken_for: Iterable[tuple[Incident, int]],
    by_pk: Mapping[int, Incident],
    now: datetime,
) -> None:
    """Note by whom each is spoken for from now on; a gateway's outage may mute hundreds."""
    lesser: dict[int, list[Incident]] = {}
    for incident, greater in spoken_for:
        if incident.inhibited_by_id != greater:
            lesser.setdefault(greater, []).append(incident)
    for greater, incidents in lesser.items():
        text = f"by: {by_pk[greater].summary}"
        lifecycle.note_all(incidents, EventKind.SPOKEN_FOR, now, text)
        muted = Incident.objects.filter(pk__in=[each.pk for each in incidents])
        muted.update(inhibited_by=greater)


def _open(incident: Incident, *, told: bool) -> Open:
    return Open(
        pk=incident.pk,
        kind=incident.kind,
        level=incident.level,
        gateway_id=incident.gateway_id,
        team_id=incident.team_id,
        probe_id=incident.probe_id,
        endpoints=_endpoints(incident),
        told=told,
    )


def _endpoints(incident: Incident) -> frozenset[str]:
    if incident.probe is None:
        return frozenset()
    if incident.kind == RuleKind.BREAKER_OPEN:
        return frozenset({incident.evidence.get("endpoint", "")})
    return frozenset(KINDS[ProbeKind(incident.probe.kind)].endpoints)


__all__ = ["evaluate", "evaluate_all", "evaluate_slow", "install_default_rules"]
