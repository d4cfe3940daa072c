"""What anybody may read: whether a gateway or a team's access works, now and before."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.alerts import silences
from dashboard.lib.buckets import DAY_S
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe, ProbeKind
from dashboard.rollups.numbers import Summary
from dashboard.rollups.queries import by_kind, series
from dashboard.web import words
from dashboard.web.models import PublicPage
from dashboard.web.pages.parts import Badge
from dashboard.web.prober import Prober, prober
from dashboard.web.states import State, Tone, state_of

DAYS = 90
_CELL, _GAP, _HEIGHT = 6, 2, 28
# What a kind of probe proves, told without a word of how it is probed.
NAMES: Mapping[str, str] = {
    ProbeKind.HEALTH: "Gateway",
    ProbeKind.TEAM_STATUS: "Database and teams",
    ProbeKind.BALANCE: "Keys and credits",
    ProbeKind.KEY_CHECK: "Jobs",
    ProbeKind.DEEP_JOB: "Jobs with LLM calls",
    ProbeKind.STREAM_JOB: "Jobs with streamed replies",
}
# A team that is stopped, or has a wrong key, is no fault of its gateway.
_OF_GATEWAY = (ProbeKind.HEALTH, ProbeKind.TEAM_STATUS)
_WORDS = {
    Tone.OK: ("works", "All works."),
    Tone.WARN: ("partly failing", "Some of it fails."),
    Tone.BAD: ("down", "It is down."),
    Tone.UNKNOWN: ("unknown", "Its state is not known at the moment."),
}
# What is announced is no failure: the results of its time are in no number either.
_MAINTENANCE = ("maintenance", "It is being worked on, as was announced.")
_WORST_FIRST = (Tone.BAD, Tone.WARN, Tone.UNKNOWN, Tone.OK)
# Of less than that a share would tell of the first minutes only.
_LEAST_WATCHED_S = DAY_S
# A day is drawn as good from here on, and as bad from there down.
_GOOD, _BAD = 0.995, 0.95


@dataclass(frozen=True, slots=True)
class Bars:
    """The days as an SVG: a path for each kind of day, and all of it in words."""

    width: int
    height: int
    paths: list[tuple[str, str]]
    summary: str


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    badge: Badge
    bars: Bars
    availability: str


@dataclass(frozen=True, slots=True)
class Public:
    title: str
    tone: Tone
    word: str
    sentence: str
    at: str
    components: list[Component]


def public(shown: PublicPage, now: datetime) -> Public:
    """Return what the page tells; a handful of queries, whatever there is."""
    at_work = prober(now)
    probes = _probes(shown)
    judged = _judged(probes, now)
    kinds = by_kind(probes)
    components = [
        _component(kind, [p for p in judged if p.kind == kind], ids, at_work, now)
        for kind, ids in sorted(
            kinds.items(), key=lambda pair: list(NAMES).index(pair[0])
        )
    ]
    tone, (word, sentence) = _present(probes, judged, at_work, now)
    return Public(
        title=shown.title,
        tone=tone,
        word=word,
        sentence=sentence,
        at=words.exact(now),
        components=components,
    )


def state(shown: PublicPage, now: datetime) -> tuple[Tone, str]:
    """Return the present state alone, for a badge; three queries."""
    probes = _probes(shown)
    tone, (word, _) = _present(probes, _judged(probes, now), prober(now), now)
    return tone, word


def _judged(probes: Sequence[Probe], now: datetime) -> list[Probe]:
    """Return the probes that are in no maintenance now."""
    announced = silences.maintenances(now, now)
    return [p for p in probes if not silences.in_maintenance(announced, p, now)]


def _present(
    probes: Sequence[Probe], judged: Sequence[Probe], at_work: Prober, now: datetime
) -> tuple[Tone, tuple[str, str]]:
    """Return the state of all together, and its word and sentence."""
    if probes and not judged:
        return Tone.UNKNOWN, _MAINTENANCE
    kinds: dict[str, list[Probe]] = {}
    for probe in judged:
        kinds.setdefault(probe.kind, []).append(probe)
    tone = _overall([_tone(each, at_work, now) for each in kinds.values()])
    return tone, _WORDS[tone]


def _probes(shown: PublicPage) -> list[Probe]:
    found = Probe.objects.select_related("gateway", "team").filter(enabled=True)
    if shown.team_id is not None:
        return list(found.filter(team=shown.team_id))
    return list(found.filter(gateway=shown.gateway_id, kind__in=_OF_GATEWAY))


def _component(
    kind: str,
    judged: Sequence[Probe],
    probe_ids: Collection[int],
    at_work: Prober,
    now: datetime,
) -> Component:
    days = series(probe_ids, now - timedelta(days=DAYS - 1), now, DAYS, now)
    tone = _tone(judged, at_work, now) if judged else Tone.UNKNOWN
    word, _ = _WORDS[tone] if judged else _MAINTENANCE
    up_s = sum(day.up_s for day in days)
    known_s = up_s + sum(day.down_s for day in days)
    return Component(
        name=NAMES[kind],
        badge=Badge(tone, word),
        bars=_bars(days),
        availability=_available(
            up_s / known_s if known_s else None,
            sum(day.watched_s or 0.0 for day in days),
        ),
    )


def _available(share: float | None, watched_s: float) -> str:
    """Return the share of the time that was watched, and how long that is."""
    if share is None:
        return f"No results in {DAYS} days"
    if watched_s < _LEAST_WATCHED_S:
        return f"Watched for {words.duration(watched_s)} so far"
    is_whole = watched_s >= (DAYS - 1) * DAY_S
    of = f"{DAYS} days" if is_whole else f"{words.roughly(watched_s)} of watching"
    return f"{words.percent(share)} available in {of}"


def _tone(probes: Sequence[Probe], at_work: Prober, now: datetime) -> Tone:
    """Return how a component is: some of its probes failing is not all of them.

    A free probe is held by a person's hand only, who may be one team's: that is unknown.
    """
    states = [state_of(probe, at_work, now).state for probe in probes]
    held = sum(
        state is State.HELD and probe.kind in PAID
        for probe, state in zip(probes, states, strict=True)
    )
    failing = states.count(State.FAILING) + held
    if failing:
        return Tone.BAD if failing == len(states) else Tone.WARN
    return Tone.OK if State.OK in states else Tone.UNKNOWN


def _overall(tones: Collection[Tone]) -> Tone:
    """Return the state of all: down only if everything is."""
    if Tone.BAD in tones and set(tones) != {Tone.BAD}:
        return Tone.WARN
    return next((tone for tone in _WORST_FIRST if tone in tones), Tone.UNKNOWN)


def _bars(days: Sequence[Summary]) -> Bars:
    cells = [_cell(day) for day in days]
    paths = []
    for kind, tall in _HEIGHTS.items():
        path = "".join(
            f"M{place * _CELL} {_HEIGHT - tall}h{_CELL - _GAP}v{tall}h-{_CELL - _GAP}z"
            for place, cell in enumerate(cells)
            if cell == kind
        )
        if path:
            paths.append((kind, path))
    known = len(cells) - cells.count("none")
    bad = cells.count("some") + cells.count("bad")
    good = words.percent(_GOOD)
    days_known = words.count(known, "day")
    summary = f"Below {good} on {bad} of {days_known} with results"
    return Bars(len(cells) * _CELL - _GAP, _HEIGHT, paths, summary)


# A day's height says it as well as its colour.
_HEIGHTS = {"ok": 14, "some": 21, "bad": _HEIGHT, "none": 4}


def _cell(day: Summary) -> str:
    if day.availability is None:
        return "none"
    if day.availability >= _GOOD:
        return "ok"
    return "bad" if day.availability <= _BAD else "some"
