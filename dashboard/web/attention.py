"""What needs somebody's attention, worst first."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.urls import reverse

from dashboard.alerts.blame import Blame, of_alarm, of_class
from dashboard.alerts.models import Incident, Rule, RuleKind
from dashboard.alerts.stories import next_step
from dashboard.probes.models import Probe
from dashboard.probes.queries import BreakerView
from dashboard.probes.taxonomy import Fault, in_words, meaning
from dashboard.teams.models import CreditReading, Team, TeamStatus
from dashboard.web import credit_levels, words
from dashboard.web.credit_levels import USUAL, Marks
from dashboard.web.prober import Prober
from dashboard.web.states import ProbeState, State, Tone, state_of, tone_of

URGENCY = {Tone.BAD: 0, Tone.WARN: 1, Tone.UNKNOWN: 2}
_WORRYING = {State.FAILING, State.OVERDUE, State.OWN_FAULT}
# So many probes that fail alike are one thing: probably their gateway.
_TOGETHER = 3
_TEAM_WORDS = {"unknown": "team status unknown"}
_TEAM_KINDS = {RuleKind.TEAM_STATE, RuleKind.AUTH_FAILED, RuleKind.GATEWAY_DOWN}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known right now of everything that the visitor may see.

    `incidents` are open, `ended` those that ended lately, the latest first.
    """

    now: datetime
    prober: Prober
    probes: Sequence[Probe]
    teams: Sequence[Team]
    incidents: Sequence[Incident]
    breakers: Sequence[BreakerView]
    readings: Mapping[int, CreditReading]
    broken_rules: Sequence[Rule] = ()
    ended: Sequence[Incident] = ()
    marks: Mapping[int, Marks] = field(default_factory=dict)

    def marks_of(self, team: Team) -> Marks:
        return self.marks.get(team.pk, USUAL)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that needs attention: what, where, why, since when, what next.

    A `wide` one is the whole gateway's: it comes before what is a team's own.
    """

    tone: Tone
    kind: str
    title: str
    why: str
    since: datetime | None
    url: str
    advice: str = ""
    blame: Blame | None = None
    wide: bool = False


def items(facts: Facts) -> list[Item]:
    """Return what needs attention; a fact that an incident tells is told once."""
    telling = [each for each in facts.incidents if not _is_left_over(each)]
    facts = replace(facts, incidents=telling)
    found = [
        *_incidents(facts),
        *_broken_rules(facts),
        *_failing_probes(facts),
        *_open_breakers(facts),
        *_stopped_teams(facts),
        *_low_credits(facts),
    ]
    return sorted(
        found,
        key=lambda item: (
            URGENCY[item.tone],
            not item.wide,
            item.since or facts.now,
            item.title,
        ),
    )


def _is_left_over(incident: Incident) -> bool:
    """Say whether what spoke for it is over: what still fails tells of itself."""
    greater = incident.inhibited_by
    return greater is not None and not greater.is_open


def _incidents(facts: Facts) -> list[Item]:
    return [
        Item(
            tone=tone_of(incident.severity),
            kind=_kind(incident),
            title=incident.summary,
            why=standing(incident),
            since=incident.began_at,
            url=reverse("incident", args=[incident.pk]),
            advice=_advice(incident.error_class) or next_step(incident.kind),
            blame=of_alarm(incident.kind, incident.error_class),
            wide=incident.kind == RuleKind.GATEWAY_DOWN,
        )
        for incident in facts.incidents
        if incident.inhibited_by_id is None
    ]


def standing(incident: Incident) -> str:
    """Return what an open incident's summary does not say: its text is its latest firing."""
    good = incident.clear_since
    parts = [
        "acknowledged" if incident.acknowledged_at else "",
        "a greater one speaks for it" if incident.inhibited_by_id else "",
        f"good again since {words.minute(good)}" if good else "",
        "comes and goes, ends after 30 min of calm" if incident.flapping_since else "",
    ]
    return "; ".join(filter(None, parts))


def _broken_rules(facts: Facts) -> list[Item]:
    return [
        Item(
            tone=Tone.UNKNOWN,
            kind="rule error",
            title=f"The rule {rule} cannot be judged",
            why=rule.failure,
            since=rule.failed_at,
            url=reverse("admin:alerts_rule_change", args=[rule.pk]),
            advice="All other rules go on; the log has the error.",
        )
        for rule in facts.broken_rules
    ]


def _kind(incident: Incident) -> str:
    """Return what the incident is by now: "credits critical", not "credits low"."""
    if incident.kind == RuleKind.CREDITS:
        return f"credits {incident.level}"
    if incident.kind == RuleKind.TEAM_STATE:
        return _TEAM_WORDS.get(incident.level, f"team {incident.level}")
    return RuleKind(incident.kind).label.lower()


def _failing_probes(facts: Facts) -> list[Item]:
    """Return what fails that no incident tells of; the same thing many times is one."""
    alike: dict[tuple[str, ProbeState], list[Probe]] = {}
    is_told = _telling(facts.incidents)
    for probe in facts.probes:
        state = state_of(probe, facts.prober, facts.now)
        if state.state in _WORRYING and not is_told(probe):
            alike.setdefault((str(probe.gateway), state), []).append(probe)
    return [
        item
        for (gateway, state), probes in alike.items()
        for item in (
            [_failing_together(gateway, state, probes)]
            if len(probes) >= _TOGETHER
            else [_failing(probe, state) for probe in probes]
        )
    ]


def _failing(probe: Probe, state: ProbeState) -> Item:
    missing = state.state is State.OVERDUE
    return Item(
        tone=state.tone,
        kind=state.state.value,
        title=f"{probe}: {state.reason}",
        why="" if missing else "from its latest result",
        since=_since(probe),
        url=reverse("probe", args=[probe.pk]),
        advice="" if missing else _advice(probe.last_error),
        blame=None if missing else of_class(probe.last_error),
    )


def _failing_together(gateway: str, state: ProbeState, probes: Sequence[Probe]) -> Item:
    missing = state.state is State.OVERDUE
    named = ", ".join(str(probe) for probe in probes[:_TOGETHER])
    more = len(probes) - _TOGETHER
    return Item(
        tone=state.tone,
        kind=state.state.value,
        title=f"{gateway}: {words.count(len(probes), 'probe')}, {state.reason}",
        why=f"{named} and {more} more" if more else named,
        since=_since_together(probes),
        url="#probes",
        advice="" if missing else _advice(probes[0].last_error),
        blame=None if missing else of_class(probes[0].last_error),
        wide=not missing and meaning(probes[0].last_error).fault is not Fault.TEAM,
    )


def _since_together(probes: Sequence[Probe]) -> datetime | None:
    """Return when enough of them failed to be one thing.

    What failed for a reason of its own before that does not date it.
    """
    known = sorted(at for at in map(_since, probes) if at)
    return known[:_TOGETHER][-1] if known else None


def _since(probe: Probe) -> datetime | None:
    return probe.failing_since or probe.last_at


def _telling(incidents: Collection[Incident]) -> Callable[[Probe], bool]:
    """Return what says whether one of these speaks of a probe, its team or its gateway.

    It walks them once, and not for each of thousands of probes.
    """
    probes = {incident.probe_id for incident in incidents}
    places = {(i.gateway_id, i.team_id) for i in incidents if i.kind in _TEAM_KINDS}

    def is_told(probe: Probe) -> bool:
        own = {(probe.gateway_id, probe.team_id), (probe.gateway_id, None)}
        return probe.pk in probes or not own.isdisjoint(places)

    return is_told


def _open_breakers(facts: Facts) -> list[Item]:
    told = {
        (incident.gateway_id, incident.probe_id)
        for incident in facts.incidents
        if incident.kind in {RuleKind.BREAKER_OPEN, RuleKind.GATEWAY_DOWN}
    }
    return [
        _open_breaker(breaker)
        for breaker in facts.breakers
        if not breaker.state.endswith("closed") and told.isdisjoint(_places_of(breaker))
    ]


def _places_of(breaker: BreakerView) -> set[tuple[int, int | None]]:
    """Return which gateway and probe an incident has that speaks of the breaker."""
    gateway_id, probe = breaker.gateway.pk, breaker.probe
    return {(gateway_id, None), (gateway_id, probe.pk if probe else None)}


def _open_breaker(breaker: BreakerView) -> Item:
    where = f"{breaker.probe.team or breaker.gateway}" if breaker.probe else ""
    page = (
        reverse("probe", args=[breaker.probe.pk])
        if breaker.probe
        else reverse("overview") + "#breakers"
    )
    return Item(
        tone=Tone.WARN,
        kind=f"breaker {breaker.state.replace('_', '-')}",
        title=f"{where or breaker.gateway}: {breaker.endpoint}",
        why=in_words(breaker.reason),
        since=breaker.opened_at,
        url=page,
        advice="Paid probes wait until it closes by itself.",
    )


def _stopped_teams(facts: Facts) -> list[Item]:
    told = {i.team_id for i in facts.incidents if i.kind == RuleKind.TEAM_STATE}
    return [
        Item(
            tone=Tone.BAD if team.status == TeamStatus.SUSPENDED else Tone.WARN,
            kind=f"team {team.status}",
            title=f"Team {team} is {team.status}",
            why=f"as {team.gateway} told",
            since=None,
            url=reverse("team", args=[team.pk]),
            advice="Ask the gateway's administrator why.",
            blame=of_class(f"team_{team.status}"),
        )
        for team in facts.teams
        if team.status in {TeamStatus.SUSPENDED, TeamStatus.PAUSED}
        and team.pk not in told
    ]


def _low_credits(facts: Facts) -> list[Item]:
    told = {i.team_id for i in facts.incidents if i.kind == RuleKind.CREDITS}
    found = []
    for team in facts.teams:
        reading = facts.readings.get(team.pk)
        if reading is None or reading.remaining is None or team.pk in told:
            continue
        tone, word = credit_levels.level(reading, facts.marks_of(team))
        if tone in {Tone.BAD, Tone.WARN}:
            found.append(
                Item(
                    tone=tone,
                    kind=f"credits {word}",
                    title=f"{team}: {credit_levels.left_words(reading)}",
                    why="",
                    since=None,
                    url=reverse("team", args=[team.pk]),
                    advice=next_step(RuleKind.CREDITS),
                    blame=of_alarm(RuleKind.CREDITS, ""),
                )
            )
    return found


def _advice(error_class: str) -> str:
    return meaning(error_class).advice if error_class else ""
