"""Judge what is known, and write what changed: incidents and their notifications."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction

from dashboard.alerts import lifecycle, outbox, silences
from dashboard.alerts.inhibition import Open, inhibitor
from dashboard.alerts.judges import Case, cases, slow_cases
from dashboard.alerts.models import EventKind, Incident, Rule, RuleKind, Silence
from dashboard.alerts.rulebook import install_default_rules, limits_of
from dashboard.alerts.rules import Step, Verdict, is_late, is_worse
from dashboard.alerts.situation import Situation, load
from dashboard.probes import services as probes
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import Probe, ProbeKind

logger = logging.getLogger(__name__)

# A clock that went back further than this makes a round worthless.
_CLOCK_SLACK = timedelta(seconds=5)
# Three times what the tick leaves between two evaluations.
_PAUSED_AFTER = timedelta(seconds=45)
SLOW_KINDS = frozenset({RuleKind.CREDITS_FORECAST})


@transaction.atomic
def evaluate(probe_ids: Collection[int], now: datetime) -> None:
    """Judge these probes, their teams and their gateways.

    Called in the transaction that stored the probes' outcomes, after it brought their
    `last_at` and `last_error`, the readings and the breakers up to date.
    """
    if probe_ids:
        _judge(load(probe_ids, now), cases)


@transaction.atomic
def evaluate_all(now: datetime) -> None:
    """Judge everything, and end the incidents of what is no longer watched."""
    _find_late(now)
    known = load(None, now)
    _end_unwatched(known, _judge(known, cases), SLOW_KINDS)
    lifecycle.remind(Incident.objects.filter(resolved_at=None), now)


@transaction.atomic
def evaluate_slow(now: datetime) -> None:
    """Judge what looks at a whole day; every few minutes is enough."""
    known = load(None, now)
    others = [kind for kind in RuleKind if kind not in SLOW_KINDS]
    _end_unwatched(known, _judge(known, slow_cases), others)


def _find_late(now: datetime) -> None:
    """Note which results are late; time in which nothing ran is no evidence."""
    before = probes.beat("evaluate", now)
    if before is None or now - before > _PAUSED_AFTER:
        probes.forgive_late(now)
    rows = Probe.objects.filter(enabled=True, late_since=None)
    late = [
        pk
        for pk, last_at, period_s in rows.values_list("pk", "last_at", "period_s")
        if is_late(last_at, period_s, now)
    ]
    if late:
        probes.note_late(late, now)


def _judge(known: Situation, found: Callable[[Situation], Iterator[Case]]) -> set[str]:
    """Return the identities that some rule watches."""
    ahead = known.now + _CLOCK_SLACK
    if any(incident.evaluated_at > ahead for incident in known.incidents):
        logger.warning("evaluate.clock_went_back", extra={"now": known.now})
        return {incident.identity for incident in known.incidents}
    by_identity = known.by_identity
    firing: dict[str, Verdict] = {}
    watched = set()
    for case in found(known):
        identity = case.target.identity
        rule = known.book.rule_for(case.target)
        if rule is None:
            continue
        watched.add(identity)
        try:
            verdict = _apply(case, rule, by_identity.get(identity), known.now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            # One broken rule must not stop the others; the next round tries again.
            logger.exception(
                "rule_error", extra={"rule": rule.name, "identity": identity}
            )
            continue
        if verdict.step is Step.FIRE:
            firing[identity] = verdict
    _speak(known, firing)
    return watched


def _apply(case: Case, rule: Rule, incident: Incident | None, now: datetime) -> Verdict:
    verdict = case.judge(limits_of(rule), incident)
    if verdict.step is Step.FIRE and incident is None:
        lifecycle.open_incident(case.target, rule, verdict, now)
    elif verdict.step is Step.FIRE and incident is not None:
        lifecycle.keep(incident, case.target, verdict, now)
    elif verdict.step is Step.CLEAR and incident is not None:
        lifecycle.resolve(incident, now)
    return verdict


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
        ).select_related("probe", "team", "gateway", "inhibited_by")
    )
    told = outbox.told(incidents)
    waiting = outbox.queued_or_dead(incidents)
    silenced = silences.active(known.now)
    views = [_open(incident, told=incident.pk in told) for incident in incidents]
    for incident, view in zip(incidents, views, strict=True):
        greater = inhibitor(view, views)
        verdict = firing.get(incident.identity)
        silence = silences.covering(silenced, incident)
        _note_silence(incident, silence, known.now)
        if greater is not None:
            _mute(incident, greater.pk, known.now)
        elif silence is not None:
            outbox.drop_unsent(incident)
        elif _has_failed_since(incident, verdict):
            _release(incident, known.now)
            if incident.pk not in told | waiting:
                outbox.queue_opening(incident, known.now)
            elif is_worse(incident.level, than=incident.told_level):
                outbox.queue_escalation(incident, known.now)


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
        lifecycle.note(incident, EventKind.SILENCED, now, until)


def _mute(incident: Incident, greater_pk: int, now: datetime) -> None:
    if incident.inhibited_by_id != greater_pk:
        greater = Incident.objects.get(pk=greater_pk)
        lifecycle.note(incident, EventKind.SPOKEN_FOR, now, f"by: {greater.summary}")
        Incident.objects.filter(pk=incident.pk).update(inhibited_by=greater_pk)
    outbox.drop_unsent(incident)


def _release(incident: Incident, now: datetime) -> None:
    if incident.inhibited_by_id is not None:
        lifecycle.note(incident, EventKind.RELEASED, now)
        Incident.objects.filter(pk=incident.pk).update(inhibited_by=None)


def _open(incident: Incident, *, told: bool) -> Open:
    return Open(
        pk=incident.pk,
        kind=incident.kind,
        level=incident.level,
        gateway_id=incident.gateway_id,
        team_id=incident.team_id,
        endpoints=_endpoints(incident),
        told=told,
    )


def _endpoints(incident: Incident) -> frozenset[str]:
    if incident.probe is None:
        return frozenset()
    if incident.kind == RuleKind.BREAKER_OPEN:
        return frozenset({incident.evidence.get("endpoint", "")})
    return frozenset(KINDS[ProbeKind(incident.probe.kind)].endpoints)


def _end_unwatched(
    known: Situation, watched: Collection[str], but: Collection[str]
) -> None:
    """End what no rule judges any more: its probe, its team or its rule was taken away.

    Incidents of the kinds in `but` are judged at other times.
    """
    for incident in known.incidents:
        if incident.identity not in watched and incident.kind not in but:
            lifecycle.resolve(incident, known.now)


__all__ = ["evaluate", "evaluate_all", "evaluate_slow", "install_default_rules"]
