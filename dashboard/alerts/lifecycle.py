"""What a verdict does to the stored incident, and the notifications that go with it.

Every function is one savepoint in the caller's transaction, and changes a row only from
the state that the caller saw: of two evaluators at once, one wins and one does nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from dashboard.alerts import outbox
from dashboard.alerts.models import (
    Event,
    EventKind,
    Incident,
    Pending,
    Rule,
    RuleKind,
    Severity,
)
from dashboard.alerts.rules import CALM, MOST_CHANGES, Evidence, Verdict, is_worse
from dashboard.alerts.targets import Target
from dashboard.lib.lines import one_line

# How often the numbers of a firing incident are written anew.
_REFRESH = timedelta(seconds=10)
_SUMMARY_LENGTH = 300
_TEXT_LENGTH = 1000
# While such an incident eases, the worst numbers stay.
_TOLD_AT_WORST = (
    RuleKind.ERROR_RATE,
    RuleKind.GATEWAY_DOWN,
    RuleKind.LATENCY,
    RuleKind.BURN_RATE,
)
_FLAPS = "; it comes and goes, and is quiet until it is calm for 30 min"


def open_incident(
    target: Target, rule: Rule, verdict: Verdict, now: datetime
) -> Incident | None:
    """Open an incident; None when another evaluator opened it first."""
    flapping_since = now if _flaps(target.identity, now) else None
    try:
        with transaction.atomic():
            incident = Incident.objects.create(
                rule=rule,
                kind=target.kind,
                identity=target.identity,
                gateway=target.gateway,
                team=target.team,
                probe=target.probe,
                severity=verdict.severity,
                level=verdict.level,
                opened_at=now,
                flapping_since=flapping_since,
                **_numbers(target, verdict, now, flaps=flapping_since is not None),
            )
            note(incident, EventKind.OPENED, now, verdict.text)
            if flapping_since:
                note(incident, EventKind.FLAPPING, now)
            forget(target.identity)
            return incident
    except IntegrityError:
        return None


def _flaps(identity: str, now: datetime) -> bool:
    """Say whether one more opening is too much of a change for the last half hour."""
    recent = now - CALM
    own = Incident.objects.filter(identity=identity).order_by("-opened_at")
    before = own.values_list("opened_at", "resolved_at")[:MOST_CHANGES]
    changes = sum(
        at is not None and at > recent for moments in before for at in moments
    )
    return changes + 1 > MOST_CHANGES


def wait(identity: str, now: datetime) -> None:
    """Note that a rule holds from now on, for a target that is not firing yet."""
    Pending.objects.get_or_create(identity=identity, defaults={"since": now})


def forget(identity: str) -> None:
    """Note that a rule holds no longer, or has held long enough."""
    Pending.objects.filter(identity=identity).delete()


def ease(incident: Incident, now: datetime) -> None:
    """Note that an open incident has been good since now."""
    _change(incident, {"clear_since": now, **_flapped(incident, now)})


def doubt(incident: Incident, now: datetime) -> None:
    """Note that nothing says any more that an open incident is good.

    One that comes and goes is over all the same, until it fires: a hiccup in its long
    calm must not let it hide what else fails.
    """
    _change(incident, _flapped(incident, now) or {"clear_since": None})


def fire_on(incident: Incident, now: datetime) -> None:
    """Note that an open incident fires; one that came and went may be steady by now.

    After half an hour of firing its quiet ends, and whoever knows of it is told so.
    """
    since = incident.flapping_since
    if incident.clear_since is not None:
        _change(incident, {"clear_since": None, **_flapped(incident, now)})
    elif since is not None and now - since >= CALM:
        _steady(incident, now)


def _steady(incident: Incident, now: datetime) -> None:
    _change(incident, {"flapping_since": None})
    note(incident, EventKind.STEADY, now)
    if _speaks(incident):
        outbox.queue_reminders({incident.pk: outbox.next_number(incident)}, now)


def _flapped(incident: Incident, now: datetime) -> dict[str, object]:
    return {"flapping_since": now} if incident.flapping_since else {}


def _change(incident: Incident, fields: Mapping[str, object]) -> None:
    Incident.objects.filter(pk=incident.pk, resolved_at=None).update(**fields)
    for name, value in fields.items():
        setattr(incident, name, value)


def keep(incident: Incident, target: Target, verdict: Verdict, now: datetime) -> None:
    """Refresh a firing incident; where its level got worse, escalate it."""
    worse = is_worse(verdict.level, than=incident.level)
    # Of thousands that are open most have nothing to write, nor need a savepoint.
    if worse or now - incident.evaluated_at >= _REFRESH:
        _write(incident, target, verdict, now, worse=worse)


@transaction.atomic
def _write(
    incident: Incident, target: Target, verdict: Verdict, now: datetime, *, worse: bool
) -> None:
    numbers = _refreshed(incident, target, verdict, now)
    # The level is the worst so far, so that each level is told once.
    steps = _step_up(verdict) if worse else {}
    changed = Incident.objects.filter(
        pk=incident.pk, resolved_at=None, level=incident.level
    ).update(**numbers, **steps)
    for name, value in {**numbers, **steps}.items():
        setattr(incident, name, value)
    if changed and worse:
        note(incident, EventKind.ESCALATED, now, verdict.text)
        if incident.inhibited_by_id is None and incident.silence_id is None:
            outbox.queue_escalation(incident, now)


def _step_up(verdict: Verdict) -> dict[str, object]:
    """Return what a worse level changes: who was on it knew of a lesser one."""
    return {"level": verdict.level, "severity": verdict.severity, **_UNKNOWN_SO_FAR}


_UNKNOWN_SO_FAR = {"acknowledged_at": None, "acknowledged_by": None}


@transaction.atomic
def raise_severity(incident: Incident, now: datetime, why: str) -> None:
    """Make a warning critical, by what it speaks for: at once, as where it gets worse."""
    fields = {"severity": Severity.CRITICAL, **_UNKNOWN_SO_FAR}
    own = Incident.objects.filter(
        pk=incident.pk, resolved_at=None, severity=Severity.WARNING
    )
    changed = own.update(**fields)
    for name, value in fields.items():
        setattr(incident, name, value)
    if changed:
        note(incident, EventKind.ESCALATED, now, why)
        if incident.inhibited_by_id is None and incident.silence_id is None:
            outbox.queue_escalation(incident, now)


def _refreshed(
    incident: Incident, target: Target, verdict: Verdict, now: datetime
) -> dict[str, object]:
    """Return the new numbers; of an outage the worst ones stay, and its beginning.

    Its latest failure is always the latest: what it may be part of depends on it.
    """
    before = incident.value
    eases = before is not None and verdict.value is not None and verdict.value < before
    if eases and incident.kind in _TOLD_AT_WORST and incident.level == verdict.level:
        latest = as_json(Evidence(latest=verdict.evidence.latest))
        return {"evaluated_at": now, "evidence": {**incident.evidence, **latest}}
    flaps = incident.flapping_since is not None
    numbers = _numbers(target, verdict, now, flaps=flaps)
    since = incident.evidence.get("since")
    if since:
        numbers["evidence"] = {**_evidence(verdict, flaps=flaps), "since": since}
    return numbers


def begin_anew(
    incident: Incident, target: Target, verdict: Verdict, since: datetime, now: datetime
) -> None:
    """Let an incident that nobody was told of be what fails now, and since when."""
    anew = replace(verdict, evidence=replace(verdict.evidence, since=since))
    flaps = incident.flapping_since is not None
    # A breaker, which has no level, may have been made critical by what it speaks for.
    steps = {"level": verdict.level, "severity": verdict.severity}
    _change(
        incident,
        {
            **_numbers(target, anew, now, flaps=flaps),
            **(steps if verdict.level else {}),
        },
    )


@transaction.atomic
def resolve(incidents: Collection[Incident], now: datetime, why: str = "") -> None:
    """End those of the incidents that are open: a gateway's may end by the thousand.

    `why` is for such as end without having recovered.
    """
    stored = Incident.objects.filter(pk__in=[each.pk for each in incidents])
    lasting = stored.filter(resolved_at=None).order_by("pk").select_for_update()
    pks = set(lasting.values_list("pk", flat=True))
    ended = [each for each in incidents if each.pk in pks]
    for incident in ended:
        incident.resolved_at = incident.evaluated_at = now
        if why:
            incident.evidence = {**incident.evidence, "ended": why}
    if ended:
        Incident.objects.filter(pk__in=pks).update(resolved_at=now, evaluated_at=now)
        if why:
            Incident.objects.bulk_update(ended, ["evidence"], batch_size=100)
        note_all(ended, EventKind.RESOLVED, now, why)
        outbox.queue_recoveries(ended, now)


@transaction.atomic
def acknowledge(incident: Incident, user: User, now: datetime, text: str = "") -> bool:
    """Note that `user` is on it; False when somebody was before, or it is over.

    Reminders end until it gets worse.
    """
    changed = Incident.objects.filter(
        pk=incident.pk, acknowledged_at=None, resolved_at=None
    ).update(acknowledged_at=now, acknowledged_by=user)
    if changed:
        note(incident, EventKind.ACKNOWLEDGED, now, text, user)
    return bool(changed)


@transaction.atomic
def take_over(incident: Incident, user: User, now: datetime, text: str = "") -> bool:
    """Note that `user` is on it in place of who was; False when that is no more so."""
    before = incident.acknowledged_by
    if before == user:
        return False
    changed = Incident.objects.filter(
        pk=incident.pk,
        acknowledged_at=incident.acknowledged_at,
        acknowledged_at__isnull=False,
        acknowledged_by=before,
        resolved_at=None,
    ).update(acknowledged_at=now, acknowledged_by=user)
    if changed:
        told = f"taken over from {before or 'somebody'}"
        line = f"{told}: {text}" if text else told
        note(incident, EventKind.ACKNOWLEDGED, now, line, user)
    return bool(changed)


def remind(incidents: Iterable[Incident], now: datetime) -> None:
    """Queue the reminders that are due of open incidents that nobody is on.

    Of one that has been good for a moment, or that comes and goes, nobody is reminded.
    """
    untouched = [
        incident
        for incident in incidents
        if _speaks(incident)
        and incident.flapping_since is None
        and incident.clear_since is None
    ]
    numbers = outbox.due_reminders(untouched, now) if untouched else {}
    if numbers:
        outbox.queue_reminders(numbers, now)


def _speaks(incident: Incident) -> bool:
    """Say whether people are to hear of it again: nobody is on it or speaks for it."""
    return (
        incident.acknowledged_at is None
        and incident.inhibited_by_id is None
        and incident.silence_id is None
    )


def note(
    incident: Incident,
    kind: EventKind,
    now: datetime,
    text: str = "",
    actor: User | None = None,
) -> None:
    """Write one line of the incident's timeline, without what would break or reorder it."""
    note_all([incident], kind, now, text, actor)


def note_all(
    incidents: Iterable[Incident],
    kind: EventKind,
    now: datetime,
    text: str,
    actor: User | None = None,
) -> None:
    """Write the same line into the timeline of each."""
    line = one_line(text)[:_TEXT_LENGTH]
    Event.objects.bulk_create(
        Event(incident=each, kind=kind, at=now, text=line, actor=actor)
        for each in incidents
    )


def _numbers(
    target: Target, verdict: Verdict, now: datetime, *, flaps: bool
) -> dict[str, object]:
    return {
        "summary": f"{target.name}: {verdict.text}"[:_SUMMARY_LENGTH],
        "value": verdict.value,
        "limit": verdict.limit,
        "samples": verdict.samples,
        "error_class": verdict.error_class,
        "evidence": _evidence(verdict, flaps=flaps),
        "evaluated_at": now,
    }


def _evidence(verdict: Verdict, *, flaps: bool) -> dict[str, object]:
    text = f"{verdict.text}{_FLAPS}" if flaps else verdict.text
    return {"text": text, **as_json(verdict.evidence)}


def as_json(evidence: Evidence) -> dict[str, object]:
    """Return the evidence as it is stored; what has no value is left out."""
    stored: dict[str, object] = {}
    for field in fields(evidence):
        value = getattr(evidence, field.name)
        if isinstance(value, datetime):
            value = value.isoformat()
        elif isinstance(value, Mapping):
            value = dict(value)
        elif isinstance(value, tuple):
            value = list(value)
        if value not in (None, "", [], {}):
            stored[field.name] = value
    return stored
