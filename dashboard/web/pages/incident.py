"""What one incident shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.db.models import Case, QuerySet, When
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard.alerts.blame import Blame, of_alarm
from dashboard.alerts.models import (
    Change,
    ChannelKind,
    Delivery,
    Incident,
    Notification,
    RuleKind,
)
from dashboard.alerts.silences import active, covering
from dashboard.alerts.stories import JUDGED_BY, LIMIT_UNITS
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.taxonomy import meaning
from dashboard.web import words
from dashboard.web.drawing import ChartTable
from dashboard.web.pages import evidence
from dashboard.web.pages.classes import ClassCount, class_counts
from dashboard.web.pages.incidents import incident_badge
from dashboard.web.pages.outcomes import OutcomeRow, outcome_row
from dashboard.web.pages.parts import Badge, Link
from dashboard.web.states import Tone

MOST_LESSER = 50
# Of an outage a thousand people may be told, again every four hours.
MOST_TOLD = 500
_MOST_DETAILS = 3
_MOST_OWN_PROBES = 5
_RATES = {RuleKind.ERROR_RATE, RuleKind.STREAM_FAILURES, RuleKind.GATEWAY_DOWN}
# How a mail stands, in the words of the manual.
DELIVERIES = {
    Delivery.QUEUED: Badge(Tone.UNKNOWN, "waiting"),
    Delivery.SENT: Badge(Tone.OK, "sent"),
    Delivery.DEAD: Badge(Tone.BAD, "given up"),
    Delivery.DROPPED: Badge(Tone.OFF, "not needed"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """One person who was told, or is to be.

    Not in which words: the mail may have told of other teams, too.
    """

    badge: Badge
    change: str
    recipient: str
    at: SafeString
    note: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    at: SafeString
    what: str
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class OwnProbe:
    """A probe that the visitor may run, of a gateway whose incident is not his."""

    link: Link
    run_url: str


@dataclass(frozen=True, slots=True)
class IncidentPage:
    title: str
    badge: Badge
    kind: str
    places: list[Link]
    began: SafeString
    began_ago: str
    opened: SafeString
    resolved: SafeString | None
    lasted: str
    evaluated: SafeString
    value: str
    limit: str
    samples: str
    advice: str
    blame: Blame
    basis: str
    classes: list[ClassCount]
    details: list[str]
    chart: ChartTable | None
    failed: list[OutcomeRow]
    failed_words: str
    inhibitor: Link | None
    speaking: str
    speaks_for: list[Link]
    speaks_for_more: bool
    silenced: SafeString | None
    silence_url: str
    acknowledged: str
    timeline: list[Moment]
    told: list[Told]
    told_more: bool
    handled_by: str
    own_probes: list[OwnProbe]
    may_acknowledge: bool
    may_take_over: bool
    may_note: bool
    acknowledge_url: str
    note_url: str
    export_url: str


@dataclass(frozen=True, slots=True)
class Visible:
    """What the visitor of an incident may see, and do, beside it."""

    incidents: QuerySet[Incident]
    probes: QuerySet[Probe]
    # Those that he may run, and his own address.
    operated: QuerySet[Probe]
    address: str


def incident(
    shown: Incident,
    notifications: Sequence[Notification],
    visible: Visible,
    now: datetime,
    *,
    may_operate: bool,
    is_mine: bool,
) -> IncidentPage:
    """Return the page, without other teams' incidents and results.

    A gateway's incident is seen by the members of all its teams. It `is_mine` where the
    visitor acknowledged it.
    """
    notifications = readable(
        shown, notifications, visible.address, may_operate=may_operate
    )
    failed = evidence.samples(shown, visible.probes, now)
    ended = shown.resolved_at
    # One that was asked for just now holds before the next round notes it.
    silence = shown.silence or (shown.is_open and covering(active(now), shown))
    spoken_for = lesser_ones(shown, visible.incidents)
    greater = visible.incidents.filter(pk=shown.inhibited_by_id or 0).first()
    return IncidentPage(
        title=shown.summary,
        badge=incident_badge(shown),
        kind=RuleKind(shown.kind).label,
        places=_places(shown),
        began=words.clock(shown.began_at, now),
        began_ago=words.ago(shown.began_at, now),
        opened=words.clock(shown.opened_at, now),
        resolved=words.clock(ended, now) if ended else None,
        lasted=words.duration(shown.lasted_s(now)),
        evaluated=words.time(shown.evaluated_at, now),
        value=_value(shown, shown.value, JUDGED_BY.get(RuleKind(shown.kind), "")),
        limit=_value(shown, shown.limit),
        samples="" if shown.samples is None else f"{shown.samples:,}",
        advice=meaning(shown.error_class).advice if shown.error_class else "",
        blame=of_alarm(shown.kind, shown.error_class),
        basis=evidence.basis(shown),
        classes=class_counts(shown.evidence.get("classes", {})),
        details=_details(shown, failed),
        chart=evidence.chart(shown, visible.probes, now),
        failed=[outcome_row(each, now) for each in failed],
        failed_words=evidence.which(failed),
        inhibitor=Link(greater.summary, reverse("incident", args=[greater.pk]))
        if greater
        else None,
        speaking=_speaking(shown, greater) if greater else "",
        speaks_for=[
            Link(lesser.summary, reverse("incident", args=[lesser.pk]))
            for lesser in spoken_for[:MOST_LESSER]
        ],
        speaks_for_more=len(spoken_for) > MOST_LESSER,
        silenced=words.clock(silence.ends_at, now) if silence else None,
        silence_url=reverse("silence_incident", args=[shown.pk])
        if may_operate and shown.is_open
        else "",
        acknowledged=_acknowledged(shown),
        timeline=_timeline(shown, notifications, now),
        told=[_told(each, now) for each in notifications],
        told_more=len(notifications) > MOST_TOLD,
        handled_by="" if may_operate or ended else _handled_by(shown),
        own_probes=[]
        if may_operate or ended or shown.team_id is not None
        else _own_probes(shown, visible.operated),
        may_acknowledge=may_operate and shown.is_open and shown.acknowledged_at is None,
        may_take_over=may_operate
        and shown.is_open
        and shown.acknowledged_at is not None
        and not is_mine,
        may_note=may_operate,
        acknowledge_url=reverse("acknowledge", args=[shown.pk]),
        note_url=reverse("note", args=[shown.pk]),
        export_url=reverse("export_incident", args=[shown.pk]),
    )


def _handled_by(shown: Incident) -> str:
    """Return who may do what the visitor may not."""
    if shown.team_id is None:
        return (
            "It is of the whole gateway: a site administrator acknowledges or silences "
            "it, and adds notes."
        )
    return "An operator or a manager of the team acknowledges or silences it, and adds notes."


def _own_probes(shown: Incident, operated: QuerySet[Probe]) -> list[OwnProbe]:
    found = operated.filter(gateway=shown.gateway_id, enabled=True, kind__in=CHEAP)
    return [
        OwnProbe(
            Link(str(probe), reverse("probe", args=[probe.pk])),
            reverse("run", args=[probe.pk]),
        )
        for probe in found.order_by("team", "pk")[:_MOST_OWN_PROBES]
    ]


def told_of(shown: Incident) -> list[Notification]:
    """Return what was sent of it, in order; of too much the first, failures, the latest.

    Then it is one more than MOST_TOLD.
    """
    sent = shown.notifications.defer("body")
    first = list(sent.order_by("created_at", "recipient")[: MOST_TOLD // 2])
    given_up_first = Case(When(state=Delivery.DEAD, then=0), default=1)
    others = sent.exclude(pk__in=[each.pk for each in first]).order_by(
        given_up_first, "-created_at", "-pk"
    )
    told = [*first, *others[: MOST_TOLD + 1 - len(first)]]
    return sorted(told, key=attrgetter("created_at", "recipient"))


def _speaking(shown: Incident, greater: Incident) -> str:
    if greater.is_open:
        return "speaks for it"
    so_far = ", and it has not failed since that ended" if shown.is_open else ""
    return f"spoke for it{so_far}"


def lesser_ones(shown: Incident, visible: QuerySet[Incident]) -> list[Incident]:
    """Return the incidents that it speaks for, one more than are told of."""
    found = visible.filter(inhibited_by=shown).order_by("opened_at", "pk")
    return list(found[: MOST_LESSER + 1])


def _details(shown: Incident, failed: Sequence[Outcome]) -> list[str]:
    """Return what the failing answers said.

    Of a gateway's incident only what the visitor's own probes were told: the texts of
    others may name their teams.
    """
    if shown.team_id is not None or shown.probe_id is not None:
        return list(shown.evidence.get("details", ()))
    said = dict.fromkeys(each.detail for each in failed if each.detail)
    return list(said)[:_MOST_DETAILS]


def readable(
    shown: Incident,
    notifications: Sequence[Notification],
    own_address: str,
    *,
    may_operate: bool,
) -> Sequence[Notification]:
    """Return what the visitor may know of who was told; that he was, in any case."""
    if may_operate:
        return notifications
    return [
        _masked(each, own_address, of_all=shown.team_id is None)
        for each in notifications
    ]


def _masked(each: Notification, own_address: str, *, of_all: bool) -> Notification:
    """Return a copy without the address: others than its team's may look at it.

    Of a gateway's incident, of which the readers of all its teams are told, not even the
    host; nor of a channel its name, which may be written like an address.
    """
    name, at, host = each.recipient.partition("@")
    at, host = ("", "") if of_all else (at, host)
    is_mail = each.channel == ChannelKind.EMAIL
    masked = f"{name[:1]}…{at}{host}" if is_mail else each.get_channel_display()
    is_own = is_mail and each.recipient.lower() == own_address.lower()
    return Notification(
        change=each.change,
        channel=each.channel,
        state=each.state,
        recipient=each.recipient if is_own else masked,
        created_at=each.created_at,
        sent_at=each.sent_at,
    )


def _timeline(
    shown: Incident, notifications: Sequence[Notification], now: datetime
) -> list[Moment]:
    """Return what happened and what was mailed, in order, the latest last."""
    lines = [
        (event.at, event.words, str(event.actor or ""), event.text)
        for event in shown.events.select_related("actor")
    ]
    mails: dict[tuple[datetime, str], list[str]] = {}
    for each in notifications:
        if each.state == Delivery.SENT and each.sent_at is not None:
            change = Change(each.change).label.lower()
            mails.setdefault((each.sent_at, change), []).append(each.recipient)
    lines += [
        (at, "Mailed", "", f"{change}, to {', '.join(sorted(people))}")
        for (at, change), people in mails.items()
    ]
    return [
        Moment(words.clock(at, now), what, who, text)
        for at, what, who, text in sorted(lines, key=lambda line: line[0])
    ]


def _value(shown: Incident, value: float | None, judged_by: str = "") -> str:
    if value is None:
        return ""
    if shown.kind in _RATES:
        return words.percent(value)
    if shown.kind == RuleKind.LATENCY:
        return words.milliseconds(value)
    unit = {RuleKind.CREDITS: "credits", **LIMIT_UNITS}.get(RuleKind(shown.kind), "")
    return f"{words.number(value)} {unit}".rstrip() + judged_by


def _places(shown: Incident) -> list[Link]:
    places = []
    if shown.probe:
        places.append(Link(str(shown.probe), reverse("probe", args=[shown.probe.pk])))
    if shown.team:
        places.append(Link(f"Team {shown.team}", reverse("team", args=[shown.team.pk])))
    places.append(Link(f"Gateway {shown.gateway}", ""))
    return places


def _acknowledged(shown: Incident) -> str:
    if shown.acknowledged_at is None:
        return ""
    who = shown.acknowledged_by or "somebody"
    return f"Acknowledged by {who}, {words.exact(shown.acknowledged_at)}"


def _told(each: Notification, now: datetime) -> Told:
    return Told(
        badge=DELIVERIES[Delivery(each.state)],
        change=Change(each.change).label.lower(),
        recipient=each.recipient,
        at=words.clock(each.sent_at or each.created_at, now),
        note=each.trouble,
    )
