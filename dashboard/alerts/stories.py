"""What a mail tells of one incident, and the headline of several."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboard.alerts.blame import of_alarm
from dashboard.alerts.models import Incident, RuleKind, Severity
from dashboard.alerts.rules.error_rate import minutes
from dashboard.alerts.rules.forecast import last
from dashboard.alerts.runs import RunCounter
from dashboard.lib.spans import duration, roughly
from dashboard.probes.taxonomy import in_a_sentence, meaning
from dashboard.teams.queries import burn

_PROBE_KINDS = (RuleKind.ERROR_RATE, RuleKind.BREAKER_OPEN)
SUBJECT_LENGTH = 150
# A long name must leave room for what is wrong.
_LONGEST_PLACE = 70
# What limits that are no rates are counted in.
LIMIT_UNITS = {
    RuleKind.CREDITS_FORECAST: "h",
    RuleKind.CERTIFICATE: "days",
    RuleKind.NO_DATA: "s",
    RuleKind.CREDITS_UNKNOWN: "s",
    RuleKind.LATENCY: "ms",
    RuleKind.BURN_RATE: "times",
    RuleKind.CREDITS_SPIKE: "times",
}
# By what the number is judged, where its text tells another one beside it.
JUDGED_BY = {RuleKind.CREDITS_FORECAST: ", at the day's pace"}
# Until then a time needs no day.
_SAME_DAY = timedelta(hours=12)
# A mail is read on a phone.
_MOST_COVERED = 10
_STEPS = {
    RuleKind.CREDITS: "Add credits to the team, or slow down what uses them.",
    RuleKind.TEAM_STATE: "Hold the team's jobs until it is active again.",
    RuleKind.BREAKER_OPEN: (
        "Nothing is to be done for the breaker: it tries again by itself, and closes "
        "with the first success."
    ),
    RuleKind.GATEWAY_DOWN: "Check that the gateway runs and can be reached.",
    RuleKind.ERROR_RATE: "Look at the failing runs.",
    RuleKind.CREDITS_FORECAST: "Add credits to the team, or slow down what uses them.",
    RuleKind.CERTIFICATE: "Renew the certificate of the gateway, or of its proxy.",
    RuleKind.AUTH_FAILED: (
        "A manager of the team, or a site administrator, sets its new key. Until then "
        "it is tried every 15 minutes only."
    ),
    RuleKind.LATENCY: "Look at the slow runs: which phase takes the time?",
    RuleKind.BURN_RATE: "Look at the failing runs of the window.",
    RuleKind.STREAM_FAILURES: (
        "Look at the broken replies: do calls without a stream work?"
    ),
    RuleKind.CREDITS_SPIKE: "Find out which jobs spend them; pause those nobody wants.",
    RuleKind.CREDITS_UNKNOWN: (
        "Look the balance up at the gateway: its answers no longer tell it."
    ),
    RuleKind.NO_DATA: (
        "Look at Gatewatch itself (manage.py status): the probe should run, and does not."
    ),
}
_STEP_OF_OWN_FAULT = (
    "Mend Gatewatch itself: the probe runs, and does not get as far as the gateway."
)


@dataclass(frozen=True, slots=True)
class Count:
    """How often an error class occurred."""

    title: str
    count: int


@dataclass(frozen=True, slots=True)
class Look:
    """How an HTML mail shows a state; `tone` is its class, for dark mail programs."""

    mark: str
    tone: str
    colour: str


_LOOKS = {
    "critical": Look("▲", "bad", "#b42318"),
    "warning": Look("▲", "warn", "#b54708"),
    "resolved": Look("✓", "ok", "#067647"),
    "ended": Look("■", "soft", "#52606d"),
}


@dataclass(frozen=True, slots=True)
class Story:
    """One incident, finished for the templates; `runway` only for credits.

    `state` is its severity, or how it is over: "resolved", or "ended" where nobody knows.
    `missed` is one that the reader first hears of now that it is over, and one
    `of_gateway` is a site administrator's to acknowledge.
    """

    rank: tuple[int, datetime]
    kind: str
    severity: str
    state: str
    gateway: str
    team: str
    of_gateway: bool
    subject: str
    probe_id: int | None
    text: str
    blame: str
    since: datetime
    window: str
    samples: int | None
    value: str
    limit: str
    title: str
    advice: str
    next_step: str
    details: tuple[str, ...]
    counts: tuple[Count, ...]
    covered: tuple[str, ...]
    runway: str
    link: str
    lasted: str
    ended: str
    missed: bool
    failed: int | None
    runs: int | None
    # Whether these are of the reader's teams only, and not of the whole gateway.
    of_own_teams: bool

    @property
    def look(self) -> Look:
        return _LOOKS[self.state]

    @property
    def over(self) -> str:
        """How it is over: "resolved after 5 min", or that it ended, and why."""
        why = f": {self.ended}" if self.ended else ""
        return f"{self.state} after {self.lasted}{why}"

    @property
    def place(self) -> str:
        """What it is about, and of which gateway: "Acme (Production)"."""
        if self.subject == self.gateway:
            return self.gateway
        return f"{self.subject} ({self.gateway})"


def next_step(kind: str, error_class: str = "") -> str:
    """Return what to do about an incident of the kind, for its error class if any."""
    if kind == RuleKind.NO_DATA and error_class:
        return _STEP_OF_OWN_FAULT
    return _STEPS[RuleKind(kind)]


def story(
    incident: Incident,
    home: str,
    now: datetime,
    *,
    missed: bool = False,
    of_teams: Collection[int] | None = None,
    counter: RunCounter | None = None,
) -> Story:
    """Tell an incident as of its latest firing, in a few queries.

    A reader who is told `of_teams` only hears nothing of others: what failing calls were
    told may name them.
    """
    evidence = incident.evidence
    since = incident.began_at.astimezone(UTC)
    ended = incident.resolved_at
    runs = (counter or RunCounter()).of(incident, of_teams)
    row = meaning(incident.error_class) if incident.error_class else None
    window_s = evidence.get("window_s")
    return Story(
        rank=(_rank(incident), incident.opened_at),
        kind=incident.kind,
        severity=incident.severity,
        state=incident.state,
        gateway=incident.gateway.name,
        team=str(incident.team or ""),
        of_gateway=incident.team_id is None,
        subject=str(incident.probe or incident.team or incident.gateway),
        probe_id=incident.probe_id,
        text=evidence.get("text") or incident.summary,
        blame=str(of_alarm(incident.kind, incident.error_class)),
        since=since,
        window=minutes(window_s) if window_s else "",
        samples=incident.samples,
        value=_value(incident),
        limit=_in_words(incident, incident.limit),
        title=row.title if row else "",
        advice=row.advice if row else "",
        next_step=next_step(incident.kind, incident.error_class),
        details=tuple(evidence.get("details", ())) if of_teams is None else (),
        counts=_counts(evidence.get("classes", {})),
        covered=_covered(incident, of_teams),
        runway=_runway(incident, now),
        link=f"{home}/incidents/{incident.pk}/",
        lasted=duration(incident.lasted_s(now)) if ended else "",
        ended=incident.ended_because,
        missed=missed,
        failed=runs.bad if runs else None,
        runs=runs.samples if runs else None,
        of_own_teams=of_teams is not None and incident.team_id is None,
    )


def headline(
    stories: Sequence[Story],
    now: datetime,
    *,
    recovery: bool,
    reminder: bool = False,
) -> str:
    """Return the subject: how bad, which one, what, since when or for how long."""
    first = stories[0]
    where = first.place if len(stories) == 1 else _common_place(stories)
    if recovery:
        # Else the last words would be that of what is over: "the key is refused".
        was = f" after {first.lasted}, it was"
        return _subject(_over(stories), where, _what(stories), after=was)
    still = "still " if reminder else ""
    since = min(one.since for one in stories)
    day = f"{since:%-d %b} " if now - since > _SAME_DAY else ""
    when = f" since {day}{since:%H:%M} UTC"
    return _subject(f"{still}{first.severity}", where, _what(stories), when)


def _common_place(stories: Sequence[Story]) -> str:
    """Return the gateway of several, and the team where it is of all of them."""
    gateway, teams = stories[0].gateway, {one.team for one in stories}
    team = teams.pop() if len(teams) == 1 else ""
    return f"{team} ({gateway})" if team else gateway


def _over(stories: Iterable[Story]) -> str:
    states = {one.state for one in stories}
    return states.pop() if len(states) == 1 else "over"


def digest_headline(stories: Sequence[Story]) -> str:
    """Return the subject of what was told together: the worst, and how much more."""
    first, *others = stories
    counts = Counter(one.state for one in others)
    more = ", ".join(f"{number} {state}" for state, number in counts.items())
    text, was = f"{first.text}{first.runway}", ", it was" if first.lasted else ""
    end = f", and {len(others)} more: {more}"
    return _subject(first.state, first.place, text, end, after=was)


def _subject(word: str, where: str, what: str, end: str = "", after: str = "") -> str:
    """Return one line in which a long middle is cut: what is at its ends is the news."""
    start = f"[Gatewatch] {word.upper()} {cut(where, _LONGEST_PLACE)}{after}: "
    return f"{start}{cut(what, SUBJECT_LENGTH - len(start) - len(end))}{end}"


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)].rstrip() + "…"


def _what(stories: Sequence[Story]) -> str:
    first = stories[0]
    if len(stories) == 1 or first.kind == RuleKind.GATEWAY_DOWN:
        return f"{first.text}{first.runway}"
    if all(one.kind in _PROBE_KINDS for one in stories):
        titles = Counter(one.title for one in stories if one.title)
        why = "".join(f" ({in_a_sentence(t)})" for t, _ in titles.most_common(1))
        # A host's breaker is of no probe; two probes may have one name.
        failing = {(one.probe_id, one.subject) for one in stories}
        return f"{len(failing)} probes failing{why}"
    if {(one.kind, one.text) for one in stories} == {(RuleKind.NO_DATA, first.text)}:
        return f"{len(stories)} probes: {first.text}"
    return f"{len(stories)} alarms, first {first.subject}: {first.text}"


def _rank(incident: Incident) -> int:
    """Return how far down a mail it goes: the gateway first, then the critical ones."""
    if incident.kind == RuleKind.GATEWAY_DOWN:
        return 0
    return 1 if incident.severity == Severity.CRITICAL else 2


def _covered(incident: Incident, of_teams: Collection[int] | None) -> tuple[str, ...]:
    """Return what the incidents say that it speaks for; the first few of them."""
    found = incident.inhibits.order_by("opened_at", "pk")
    if of_teams is not None:
        found = found.filter(team__in=of_teams)
    return tuple(found.values_list("summary", flat=True)[:_MOST_COVERED])


def _value(incident: Incident) -> str:
    if incident.limit is None or incident.value is None:
        return ""
    judged_by = JUDGED_BY.get(RuleKind(incident.kind), "")
    return f"{_in_words(incident, incident.value)}{judged_by}"


def _in_words(incident: Incident, value: float | None) -> str:
    """Return the incident's number or its limit with its unit; empty for none."""
    if value is None:
        return ""
    if incident.kind == RuleKind.CREDITS:
        return f"{value:,.0f} credits"
    if incident.kind in LIMIT_UNITS:
        digits = 1 if abs(value) < 10 and value != int(value) else 0
        return f"{value:,.{digits}f} {LIMIT_UNITS[RuleKind(incident.kind)]}"
    return f"{value * 100:.0f} %"


def _counts(classes: dict[str, int]) -> tuple[Count, ...]:
    return tuple(Count(meaning(name).title, count) for name, count in classes.items())


def _runway(incident: Incident, now: datetime) -> str:
    """Return ", about 2 d at the pace of the last 24 h"; empty where that is not known.

    It is the fastest of its paces: who reads a mail is told the soonest end.
    """
    if incident.kind != RuleKind.CREDITS or incident.team is None:
        return ""
    if incident.resolved_at is not None or not incident.value or incident.value <= 0:
        return ""
    pace = burn(incident.team, now)
    if pace is None or pace.hours_range is None:
        return ""
    soonest_h, (_, over) = pace.hours_range[0], pace.fastest
    basis = last(over / timedelta(hours=1))
    return f", about {roughly(soonest_h * 3600)} at the pace of the {basis}"
