"""What needs somebody's attention, worst first."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.urls import reverse

from dashboard.alerts.blame import Blame, of_alarm, of_class
from dashboard.alerts.models import Incident, Rule, RuleKind, Severity
from dashboard.alerts.rules import Level
from dashboard.alerts.stories import next_step
from dashboard.probes.models import Probe
from dashboard.probes.queries import BreakerView
from dashboard.probes.taxonomy import Fault, in_words, meaning
from dashboard.teams.models import CreditReading, Team, TeamStatus
from dashboard.web import credit_levels, words
from dashboard.web.credit_levels import USUAL, Marks
from dashboard.web.prober import Prober
from dashboard.web.states import (
    ProbeState,
    State,
    Tone,
    breaker_word,
    state_of,
    tone_of,
)

URGENCY = {Tone.BAD: 0, Tone.WARN: 1, Tone.UNKNOWN: 2}
_WORRYING = {State.FAILING, State.OVERDUE, State.OWN_FAULT}
# So many probes that fail alike are one thing: probably their gateway.
_TOGETHER = 3
_TEAM_WORDS = {"unknown": "team status unknown"}
_TEAM_KINDS = {RuleKind.TEAM_STATE, RuleKind.AUTH_FAILED}
# What is slow, or has spent its budget, may fail besides.
_NOT_OF_FAILURES = {RuleKind.LATENCY, RuleKind.BURN_RATE}
_FORCED = "forced_open"
# So many classes of failures are named of what fails together.
_MOST_REASONS = 2
# A gateway fails in more than one way at once: some time out where others are refused.
_OUTAGE = ProbeState(State.FAILING, "the gateway's own fault")


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
    # Whether there is any team, or all of them, that the visitor may see.
    is_shared: bool = True
    # Between these two Gatewatch itself did nothing.
    rest: tuple[datetime, datetime] | None = None

    def marks_of(self, team: Team) -> Marks:
        return self.marks.get(team.pk, USUAL)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that needs attention: what, where, why, since when, what next.

    A `wide` one is the whole gateway's: it comes before what is a team's own. `name` is
    where it is, of one whose title goes on to change. What somebody has silenced comes
    after what he has not, and what is `good_since` a moment after all that fails now.
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
    name: str = ""
    good_since: datetime | None = None
    silenced_until: datetime | None = None

    @property
    def urgency(self) -> int:
        """How soon it is to be looked at: the less, the sooner."""
        if self.good_since:
            return len(URGENCY) + 1
        return len(URGENCY) if self.silenced_until else URGENCY[self.tone]


def items(facts: Facts) -> list[Item]:
    """Return what needs attention; a fact that an incident tells is told once.

    One that is good again tells of nothing that fails now.
    """
    standing_ones = [each for each in facts.incidents if not _is_left_over(each)]
    telling = [each for each in standing_ones if each.clear_since is None]
    facts = replace(facts, incidents=telling)
    found = [
        *_incidents(standing_ones),
        *_broken_rules(facts),
        *_failing_probes(facts),
        *_open_breakers(facts),
        *_stopped_teams(facts),
        *_low_credits(facts),
    ]
    return sorted(
        found,
        key=lambda item: (
            item.urgency,
            not item.wide,
            item.since or facts.now,
            item.title,
        ),
    )


def _is_left_over(incident: Incident) -> bool:
    """Say whether what spoke for it is over: what still fails tells of itself."""
    greater = incident.inhibited_by
    return greater is not None and not greater.is_open


def _incidents(incidents: Iterable[Incident]) -> list[Item]:
    return [
        Item(
            tone=Tone.WARN if incident.clear_since else tone_of(incident.severity),
            kind=_kind(incident),
            title=incident.summary,
            why=standing(incident),
            since=incident.began_at,
            url=reverse("incident", args=[incident.pk]),
            advice=_advice(incident.error_class) or next_step(incident.kind),
            blame=of_alarm(incident.kind, incident.error_class),
            wide=incident.kind == RuleKind.GATEWAY_DOWN,
            name=f"{incident.team or incident.gateway}",
            good_since=incident.clear_since,
            silenced_until=incident.silence.ends_at if incident.silence else None,
        )
        for incident in incidents
        if incident.inhibited_by_id is None
    ]


def standing(incident: Incident) -> str:
    """Return what an open incident's summary does not say: its text is its latest firing."""
    good, greater, silence = (
        incident.clear_since,
        incident.inhibited_by,
        incident.silence,
    )
    spoken_for = (
        "a greater one speaks for it"
        if greater and greater.is_open
        else "nothing failed since the alarm that covered it ended"
    )
    parts = [
        "acknowledged" if incident.acknowledged_at else "",
        f"silenced until {words.minute(silence.ends_at)}" if silence else "",
        spoken_for if greater else "",
        f"good again since {words.minute(good)}" if good else "",
        "its latest run was good" if _is_good_for_now(incident) else "",
        "comes and goes, ends after 30 min of calm" if incident.flapping_since else "",
    ]
    return "; ".join(filter(None, parts))


def _is_good_for_now(incident: Incident) -> bool:
    """Say whether nothing fails at the moment, though that is not yet its end."""
    probe = incident.probe
    if probe is None or incident.clear_since or incident.kind != RuleKind.ERROR_RATE:
        return False
    ran = probe.last_at is not None and probe.last_at > incident.opened_at
    return ran and not probe.last_error


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
    """Return what fails that no incident tells of; the same thing many times is one.

    What fails by its gateway's own fault is one thing with all its probes, whatever is
    told of some of them, until the gateway itself is told to be down.
    """
    down = {i.gateway_id for i in facts.incidents if i.kind == RuleKind.GATEWAY_DOWN}
    alike: dict[tuple[int, ProbeState], dict[Probe, ProbeState]] = {}
    for probe in facts.probes:
        state = state_of(probe, facts.prober, facts.now)
        if state.state in _WORRYING and probe.gateway_id not in down:
            cause = _OUTAGE if _is_of_outage(probe, state) else state
            alike.setdefault((probe.gateway_id, cause), {})[probe] = state
    is_told = _telling(facts.incidents)
    found = []
    for (_, cause), states in alike.items():
        untold = {probe: state for probe, state in states.items() if not is_told(probe)}
        together = states if cause is _OUTAGE else untold
        found += (
            [_failing_together(together)]
            if len(together) >= _TOGETHER
            else [_failing(probe, state) for probe, state in untold.items()]
        )
    return found


def _is_of_outage(probe: Probe, state: ProbeState) -> bool:
    if state.state is not State.FAILING:
        return False
    return meaning(probe.last_error).fault is Fault.GATEWAY


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


def _failing_together(states: Mapping[Probe, ProbeState]) -> Item:
    """Return what fails alike at one gateway as one thing, by what most of it has."""
    probes, reasons = list(states), Counter(states.values())
    state = reasons.most_common(1)[0][0]
    worst = next(probe for probe in probes if states[probe] == state)
    missing = state.state is State.OVERDUE
    named = ", ".join(str(probe) for probe in probes[:_TOGETHER])
    more = len(probes) - _TOGETHER
    number = words.count(len(probes), "probe")
    return Item(
        tone=state.tone,
        kind=state.state.value,
        title=f"{worst.gateway}: {number}, {_reasons(reasons)}",
        why=f"{named} and {more} more" if more else named,
        since=_since_together(probes),
        url="#probes",
        advice="" if missing else _advice(worst.last_error),
        blame=None if missing else of_class(worst.last_error),
        wide=not missing and meaning(worst.last_error).fault is not Fault.TEAM,
        name=f"{worst.gateway}",
    )


def _reasons(counts: Counter[ProbeState]) -> str:
    """Return "Server error", or "Timed out (9), Server error (7)" of more than one."""
    if len(counts) == 1:
        return next(iter(counts)).reason
    said = [f"{s.reason} ({n})" for s, n in counts.most_common(_MOST_REASONS)]
    return ", ".join([*said, *(["and others"] if len(counts) > _MOST_REASONS else [])])


def _since_together(probes: Sequence[Probe]) -> datetime | None:
    """Return when enough of them failed to be one thing.

    What failed for a reason of its own before that does not date it.
    """
    known = sorted(at for at in map(_since, probes) if at)
    return known[:_TOGETHER][-1] if known else None


def _since(probe: Probe) -> datetime | None:
    return probe.failing_since or probe.last_at


def _telling(incidents: Collection[Incident]) -> Callable[[Probe], bool]:
    """Return what says whether one of these tells of what a probe has, or of its team.

    One that another speaks for stands on no list: it tells nothing. It walks them once,
    and not for each of thousands of probes.
    """
    shown = [each for each in incidents if each.inhibited_by_id is None]
    probes = {each.probe_id for each in shown if _tells_of_failures(each)}
    teams = {each.team_id for each in shown if _stops_team(each)}

    def is_told(probe: Probe) -> bool:
        of_team = probe.team_id is not None and probe.team_id in teams
        return of_team or probe.pk in probes

    return is_told


def _stops_team(incident: Incident) -> bool:
    return incident.kind in _TEAM_KINDS and incident.level != Level.UNKNOWN


def _tells_of_failures(incident: Incident) -> bool:
    """Say whether its line is no lesser one than "failing" would be."""
    if incident.kind == RuleKind.BREAKER_OPEN:
        return incident.severity == Severity.CRITICAL
    return incident.kind not in _NOT_OF_FAILURES


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
    if breaker.state == _FORCED:
        # A person did it, and must undo it: no alarm speaks for that.
        return set()
    return {(gateway_id, None), (gateway_id, probe.pk if probe else None)}


def _open_breaker(breaker: BreakerView) -> Item:
    where = f"{breaker.probe.team or breaker.gateway}" if breaker.probe else ""
    page = (
        reverse("probe", args=[breaker.probe.pk])
        if breaker.probe
        else reverse("overview") + "#breakers"
    )
    is_forced = breaker.state == _FORCED
    return Item(
        tone=Tone.WARN,
        kind=f"breaker {breaker_word(breaker.state)}",
        title=f"{where or breaker.gateway}: {breaker.endpoint}",
        why=in_words(breaker.reason),
        since=breaker.opened_at,
        url=page,
        advice="Nothing is sent until somebody resets it on Breakers."
        if is_forced
        else "Paid probes wait until it closes by itself.",
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
