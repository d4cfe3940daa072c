"""Who speaks for whom among the open incidents, and what of them is told to people."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings

from dashboard.alerts import lifecycle, outbox, silences, targets
from dashboard.alerts.inhibition import Open, inhibitors, over_since
from dashboard.alerts.models import (
    EventKind,
    Incident,
    RuleKind,
    Severity,
    Silence,
)
from dashboard.alerts.rules import Verdict, is_worse
from dashboard.alerts.rules.verdict import in_rate
from dashboard.alerts.situation import Situation
from dashboard.probes.kinds import KINDS
from dashboard.probes.models import ProbeKind

# Their rules tell the very moment of the latest failure.
_TELL_FAILURES = {
    RuleKind.ERROR_RATE,
    RuleKind.AUTH_FAILED,
    RuleKind.STREAM_FAILURES,
}


def speak(known: Situation, firing: Mapping[str, Verdict]) -> None:
    """Decide which of the open incidents speaks for which, and queue what is to be told.

    The mail of an incident that another speaks for is withdrawn; when this one fails
    again after that one has been good for two minutes, or has ended, it is told after all.
    """
    if not known.incidents and not firing:
        return
    gateway_ids = {probe.gateway_id for probe in known.probes}
    incidents = list(
        Incident.objects.filter(
            resolved_at=None, gateway__in=gateway_ids
        ).select_related("gateway", "team", "probe", "inhibited_by")
    )
    silenced = silences.active(known.now)
    told = outbox.told(incidents)
    told_of = told | outbox.queued_or_dead(incidents)
    greater_of = inhibitors(
        _open(each, firing.get(each.identity), known.now, told=each.pk in told)
        for each in incidents
    )
    _raise(incidents, greater_of, silenced, known.now)
    spoken_for: list[tuple[Incident, int]] = []
    silent: list[Incident] = []
    for incident in incidents:
        greater = greater_of.get(incident.pk)
        verdict = firing.get(incident.identity)
        silence = silences.covering(silenced, incident)
        _note_silence(incident, silence, known.now)
        # A silenced one, too: nobody is mailed of it, but pages count it.
        is_on_its_own = greater is None and _is_released(
            incident, verdict, known, told=incident.pk in told
        )
        if greater is not None:
            spoken_for.append((incident, greater.pk))
        elif silence is not None:
            silent.append(incident)
        elif is_on_its_own:
            if incident.pk not in told_of:
                outbox.queue_opening(incident, known.now)
            elif _is_told_too_little(incident):
                outbox.queue_escalation(incident, known.now)
    _mute(spoken_for, {incident.pk: incident for incident in incidents}, known.now)
    outbox.drop_unsent([*silent, *(lesser for lesser, _ in spoken_for)])


def _is_told_too_little(incident: Incident) -> bool:
    """Say whether it got worse than was told, or the news of that was withdrawn."""
    if incident.level and not incident.told_level:
        return True
    return is_worse(incident.level, than=incident.told_level)


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


def _is_released(
    incident: Incident, verdict: Verdict | None, known: Situation, *, told: bool
) -> bool:
    """Say whether nothing speaks for it any more, and note it where that is new.

    Whoever was told nothing of it so far is told what fails now, and not what was wrong
    in the outage that is over.
    """
    if verdict is None or not _has_failed_since(incident, verdict, known.now):
        return False
    greater = incident.inhibited_by
    if greater is None:
        return True
    lifecycle.note(incident, EventKind.RELEASED, known.now)
    Incident.objects.filter(pk=incident.pk).update(inhibited_by=None)
    over = over_since(greater)
    if over is not None and not told:
        since = _fails_since(incident, verdict, known, over)
        target = targets.of_incident(incident)
        lifecycle.begin_anew(incident, target, verdict, since, known.now)
    return True


def _fails_since(
    incident: Incident, verdict: Verdict, known: Situation, over: datetime
) -> datetime:
    """Return since when one fails that an outage spoke for, which is over.

    What has not been well in between is as old as it was.
    """
    since = verdict.evidence.since or known.now
    if incident.probe is None or since > over:
        return since
    failing_since = incident.probe.failing_since
    if failing_since is not None and failing_since <= over:
        return incident.began_at
    ran = in_rate(known.samples.get(incident.probe.pk, ()))
    return next((each.at for each in ran if each.bad and each.at > over), since)


def _has_failed_since(incident: Incident, verdict: Verdict, now: datetime) -> bool:
    """Say whether it fires by a failure after the end of what spoke for it."""
    greater = incident.inhibited_by
    over = None if greater is None else over_since(greater)
    return over is None or _failed_after(incident, verdict, now) > over


def _failed_after(incident: Incident, verdict: Verdict, now: datetime) -> datetime:
    """Return the earliest that the latest failure of one that fires can have been.

    A state without a moment of its own is bad now.
    """
    latest = verdict.evidence.latest
    return now if latest is None else max(latest, incident.began_at)


def _failed_until(incident: Incident, verdict: Verdict | None) -> datetime | None:
    """Return its latest failure; None where only its state, or its window, is known."""
    if incident.kind not in _TELL_FAILURES:
        return None
    if verdict is not None:
        return verdict.evidence.latest
    stored = incident.evidence.get("latest")
    return datetime.fromisoformat(stored) if stored else None


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


def _open(
    incident: Incident, verdict: Verdict | None, now: datetime, *, told: bool
) -> Open:
    return Open(
        pk=incident.pk,
        kind=incident.kind,
        level=incident.level,
        gateway_id=incident.gateway_id,
        team_id=incident.team_id,
        probe_id=incident.probe_id,
        endpoints=_endpoints(incident),
        told=told,
        began_at=_first_began_at(incident),
        over_since=over_since(incident),
        fires=verdict is not None,
        failed_after=None if verdict is None else _failed_after(incident, verdict, now),
        failed_until=_failed_until(incident, verdict),
        spoken_for_by=incident.inhibited_by_id,
    )


def _first_began_at(incident: Incident) -> datetime:
    """Return when the first run may have begun that failed by it.

    A breaker is opened by failures that were before it, each as long as a run may last.
    """
    if incident.kind != RuleKind.BREAKER_OPEN:
        return incident.began_at
    return incident.began_at - timedelta(seconds=settings.DEEP_DEADLINE_S)


def _endpoints(incident: Incident) -> frozenset[str]:
    if incident.probe is None:
        return frozenset()
    if incident.kind == RuleKind.BREAKER_OPEN:
        return frozenset({incident.evidence.get("endpoint", "")})
    return frozenset(KINDS[ProbeKind(incident.probe.kind)].endpoints)
