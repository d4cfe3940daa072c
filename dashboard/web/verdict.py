"""The verdict on everything that somebody may see, in one sentence."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dashboard.web import words
from dashboard.web.attention import Facts, Item
from dashboard.web.prober import ProberState
from dashboard.web.states import State, Tone, state_of

ASK_FOR_TEAM = "Ask a manager of the team, or a site administrator, to add you."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's first sentence. `problems` counts what needs attention.

    `aloud` is for who hears the page: no word of it changes while nothing else does.
    """

    tone: Tone
    sentence: str
    detail: str
    problems: int
    aloud: str = ""


def verdict(facts: Facts, found: Sequence[Item]) -> Verdict:
    for decide in (_nothing_set_up, _prober_silent):
        if early := decide(facts):
            return early
    if found:
        bad = [item for item in found if not item.good_since]
        sentence = _attention(len(bad)) if bad else _good_again(len(found))
        return Verdict(
            tone=found[0].tone,
            sentence=sentence,
            detail=_first(found[0], facts),
            problems=len(bad),
            aloud=f"{sentence}: {_aloud(found[0])}",
        )
    return _all_clear(facts)


def _attention(number: int) -> str:
    needs = "needs" if number == 1 else "need"
    return f"{words.count(number, 'thing')} {needs} attention"


def _good_again(number: int) -> str:
    ends = "ends if it stays good" if number == 1 else "end if they stay good"
    return f"Good again: {words.count(number, 'open alarm')} {ends}"


def _first(item: Item, facts: Facts) -> str:
    """Return what is worst, whose fault it is, and since when."""
    if item.good_since:
        return f"Good again since {words.minute(item.good_since)}, it was: {item.title}"
    parts = [item.title]
    if item.silenced_until:
        parts.append(f"silenced until {words.minute(item.silenced_until)}")
    # At 3 a.m. the first question is whether it is us.
    if item.blame:
        parts.append(f"whose fault: {item.blame}")
    if item.since:
        parts.append(f"for {words.duration((facts.now - item.since).total_seconds())}")
    return " · ".join(parts)


def _aloud(item: Item) -> str:
    """Return the same in words that stay: its numbers, and for how long, go on."""
    since = f"since {words.minute(item.since)}" if item.since else ""
    if item.good_since:
        since = f"good again since {words.minute(item.good_since)}"
    parts = [f"{item.kind}, {item.name or item.title}", f"{item.blame or ''}", since]
    return "; ".join(filter(None, parts))


def _nothing_set_up(facts: Facts) -> Verdict | None:
    if facts.probes:
        return None
    if not facts.is_shared:
        return Verdict(Tone.UNKNOWN, "No team is shared with you yet", ASK_FOR_TEAM, 0)
    return Verdict(
        Tone.UNKNOWN,
        "Nothing is watched yet",
        "No gateway is set up, or no probe is: a site administrator does it.",
        0,
    )


def _prober_silent(facts: Facts) -> Verdict | None:
    if facts.prober.state is ProberState.WORKING:
        return None
    if facts.prober.age_s is None:
        if any(probe.last_at for probe in facts.probes):
            return Verdict(Tone.UNKNOWN, "Unknown: the prober does not work", "", 0)
        return Verdict(
            Tone.UNKNOWN,
            "Waiting for the first result",
            "The prober has not begun; manage.py up starts it.",
            0,
        )
    silence = words.duration(facts.prober.age_s)
    return Verdict(
        Tone.UNKNOWN,
        f"Unknown: the prober has not worked for {silence}",
        "Everything below is the last that was known; manage.py up starts it again.",
        0,
        aloud="Unknown: the prober does not work",
    )


def _all_clear(facts: Facts) -> Verdict:
    states = [state_of(probe, facts.prober, facts.now).state for probe in facts.probes]
    answered = states.count(State.OK)
    latest = max((p.last_at for p in facts.probes if p.last_at), default=None)
    if not answered or latest is None:
        return Verdict(
            Tone.UNKNOWN,
            "Waiting for the first result",
            "Probes are set up; their first results are due within a minute.",
            0,
        )
    return Verdict(
        Tone.OK,
        f"All clear: {words.count(answered, 'probe')} answered",
        ", ".join(
            [
                f"the latest {words.ago(latest, facts.now)}",
                *_quiet_ones(states),
                *_rested(facts),
            ]
        ),
        0,
    )


def _rested(facts: Facts) -> list[str]:
    """Return when nothing was watched within the last day: what is clear is the rest."""
    if facts.rest is None:
        return []
    began, ended = map(words.minute, facts.rest)
    return [f"but nothing was watched from {began} to {ended} {words.zone()}"]


def _quiet_ones(states: Collection[State]) -> list[str]:
    return [
        f"{number} {word}"
        for state, word in (
            (State.WAITING, "waiting for a first result"),
            (State.HELD, "held by a breaker"),
            (State.CAPPED, "stopped by a cap"),
            (State.NO_KEY, "without a key"),
            (State.OFF, "switched off"),
        )
        if (number := sum(1 for each in states if each is state))
    ]
