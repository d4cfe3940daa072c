"""What the first-run guide shows: what the gateway answered, and which teams it has."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.pipeline.roster import MOST_TEAMS, Listed
from dashboard.pipeline.trial import Answered, Trial
from dashboard.web import words
from dashboard.web.pages.parts import Badge
from dashboard.web.states import Tone

# More than these nobody looks through: then none is ticked, and a button ticks all.
_TICKED_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class AnswerRow:
    badge: Badge
    asked: str
    told: str
    advice: str


@dataclass(frozen=True, slots=True)
class TeamChoice:
    team_id: str
    name: str
    credits: str
    is_ticked: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """The second page of the guide."""

    sentence: str
    tone: Tone
    answers: list[AnswerRow]
    teams: list[TeamChoice]
    found: str
    left_out: str


def tried(trial: Trial, chosen: list[str] | None = None) -> Tried:
    """Return what to show; `chosen` are ticks that were sent already."""
    listed = list(trial.roster.new)[:MOST_TEAMS] if trial.roster else []
    return Tried(
        sentence=_sentence(trial, len(listed)),
        tone=Tone.OK if trial.ok else Tone.BAD,
        answers=[_answer(each) for each in trial.answers],
        teams=[_choice(each, len(listed), chosen) for each in listed],
        found=_found(trial, len(listed)),
        left_out=_left_out(trial),
    )


def _sentence(trial: Trial, number: int) -> str:
    if trial.ok and number:
        return f"It answers, and has {words.count(number, 'team')}."
    if trial.ok:
        return "It answers."
    return "Something is wrong; it can be watched all the same, or tried again."


def _answer(answered: Answered) -> AnswerRow:
    if answered.error:
        return AnswerRow(
            Badge(Tone.BAD, "failed"), answered.asked, answered.error, answered.advice
        )
    took = "" if answered.latency_s is None else _took(answered)
    return AnswerRow(
        Badge(Tone.OK, "ok"), answered.asked, f"HTTP {answered.status_code}{took}", ""
    )


def _took(answered: Answered) -> str:
    phases = [
        f"{name} {words.milliseconds(seconds * 1000)}"
        for name, seconds in (("connect", answered.connect_s), ("TLS", answered.tls_s))
        if seconds is not None
    ]
    whole = words.milliseconds((answered.latency_s or 0) * 1000)
    return f" in {whole}" + (f" ({', '.join(phases)})" if phases else "")


def _choice(listed: Listed, number: int, chosen: list[str] | None) -> TeamChoice:
    left = "credits unknown"
    if listed.remaining is not None:
        left = f"{words.amount(listed.remaining, 'credit')} left"
        if listed.allocated:
            allocated = words.amount(listed.allocated, "credit")
            left = f"{words.number(listed.remaining)} of {allocated} left"
    status = listed.status or "status unknown"
    return TeamChoice(
        team_id=listed.team_id,
        name=listed.team_id,
        credits=f"{status}, {left}",
        is_ticked=number <= _TICKED_AT_MOST
        if chosen is None
        else listed.team_id in chosen,
    )


def _found(trial: Trial, number: int) -> str:
    if trial.roster is None:
        return "It gave no answer, so its teams are not known."
    if trial.roster.error:
        return "It did not tell its teams: type their ids below."
    if not number:
        return "Its list is empty: type the ids of its teams below."
    return ""


def _left_out(trial: Trial) -> str:
    if trial.roster is None:
        return ""
    said = []
    if trial.roster.unusable:
        entries = words.count(trial.roster.unusable, "entry", "entries")
        said.append(f"{entries} of the list cannot be read, or not as an id.")
    if len(trial.roster.new) > MOST_TEAMS:
        said.append(f"Only the first {MOST_TEAMS} are shown; import the rest later.")
    return " ".join(said)


def unknown_words(team_ids: Sequence[str]) -> str:
    return f"The gateway knows no {_named(team_ids)}: correct the spelling, or take it out."


def unchecked_words(team_ids: Sequence[str]) -> str:
    return (
        f"The gateway did not tell whether it has {_named(team_ids)}: watched all the "
        "same. If one stays at “not found”, its id is wrong."
    )


def _named(team_ids: Sequence[str]) -> str:
    """Return the first few of them by name, and how many more there are."""
    named = " and ".join(f"“{each}”" for each in team_ids[:_NAMED])
    more = len(team_ids) - _NAMED
    return f"{named} and {words.count(more, 'more', 'more')}" if more > 0 else named


_NAMED = 5
