"""Judge what is known, and write what changed: incidents and their notifications."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from dashboard.alerts import lifecycle, speakers, unwatched
from dashboard.alerts.hindsight import slow_facts
from dashboard.alerts.judges import Case, cases, slow_cases
from dashboard.alerts.models import (
    Incident,
    Pending,
    Rule,
    RuleKind,
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
)
from dashboard.alerts.situation import Situation, load, load_all
from dashboard.probes import heartbeats, rhythm
from dashboard.probes import services as probes
from dashboard.probes.models import Heartbeat

logger = logging.getLogger(__name__)

# A clock that went back further than this makes a round worthless.
_CLOCK_SLACK = timedelta(seconds=5)
# Three times what the tick leaves between two evaluations.
_PAUSED_AFTER = timedelta(seconds=45)
_FAILURE_LENGTH = 200
_FAST_KINDS = frozenset(RuleKind) - SLOW_KINDS


@dataclass(slots=True)
class Round:
    """What one round judged: identities, what fires, what is over, which rules raised."""

    watched: set[str] = field(default_factory=set)
    firing: dict[str, Verdict] = field(default_factory=dict)
    over: list[Incident] = field(default_factory=list)
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
    if paused and before is not None:
        heartbeats.note_rest(before, now)
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
        facts = slow_facts(known.book, known.probes, known.incidents, now)
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
        if incident.clear_since is None:
            continue
        if incident.flapping_since is None:
            incident.clear_since = now
        else:
            incident.flapping_since = now


def _restart_waits(now: datetime) -> None:
    Pending.objects.update(since=now)
    easing = Incident.objects.filter(resolved_at=None, clear_since__isnull=False)
    # What one that comes and goes hides depends on since when it is good.
    begins_anew = Q(flapping_since=None) | Q(clear_since__gt=now)
    easing.filter(begins_anew).update(clear_since=now)
    easing.exclude(flapping_since=None).update(flapping_since=now)


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
            if incident is None:
                _apply_closed(case, rule, verdict, known)
            elif _apply_open(case, rule, verdict, incident, known.now):
                done.over.append(incident)
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
    _end(known, done.over)
    _note_failures(known, done.failures)
    speakers.speak(known, done.firing)
    return done


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
) -> bool:
    """Do what the verdict does to an open incident; say whether it is over."""
    phase = Phase(is_open=True, since=incident.calm_since)
    calm_s = CALM.total_seconds() if incident.flapping_since else 0
    match act(verdict.step, phase, max(rule.keep_s, calm_s), now):
        case Act.KEEP:
            lifecycle.fire_on(incident, now)
            lifecycle.keep(incident, case.target, verdict, now)
        case Act.EASE if phase.since is None:
            lifecycle.ease(incident, now)
        case Act.FORGET:
            lifecycle.doubt(incident, now)
        case Act.RESOLVE:
            return True
        case _:
            pass
    return False


def _end(known: Situation, over: Collection[Incident]) -> None:
    if over:
        lifecycle.resolve(over, known.now)


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
    ended: dict[str, list[Incident]] = defaultdict(list)
    for incident in known.incidents:
        if incident.kind in kinds and incident.identity not in done.watched:
            why = unwatched.why(incident, known.probes) or "its rule is switched off"
            ended[why].append(incident)
    for why, incidents in ended.items():
        lifecycle.resolve(incidents, known.now, f"no longer watched: {why}")
    needless = [
        identity
        for identity in known.pending
        if identity.split(":")[0] in kinds and identity not in done.watched
    ]
    if needless:
        Pending.objects.filter(identity__in=needless).delete()
    known.book.forgive(kinds, but=done.failures)


__all__ = ["evaluate", "evaluate_all", "evaluate_slow", "install_default_rules"]
