"""In which state a probe is, decided from its own row: one rule for all pages."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dashboard.alerts.models import Severity
from dashboard.probes.models import Probe
from dashboard.probes.rhythm import period_now_s, waits_for_key
from dashboard.probes.taxonomy import ErrorClass, counted, meaning
from dashboard.web import words
from dashboard.web.prober import Prober, ProberState

# Never call a probe overdue before this, whatever its period.
_LEAST_PATIENCE = timedelta(seconds=180)


class Tone(StrEnum):
    """How urgent something is; the pages have one colour and one icon for each."""

    BAD = "bad"
    WARN = "warn"
    UNKNOWN = "unknown"
    OFF = "off"
    OK = "ok"


def tone_of(severity: str) -> Tone:
    """Return how an alarm of this severity is shown."""
    return Tone.BAD if severity == Severity.CRITICAL else Tone.WARN


class State(StrEnum):
    """The word that a page shows, worst first: the order of the tables."""

    FAILING = "failing"
    OVERDUE = "no results"
    OWN_FAULT = "our fault"
    HELD = "held"
    CAPPED = "cap reached"
    STALE = "stale"
    WAITING = "waiting"
    OK = "ok"
    NO_KEY = "no key"
    OFF = "off"


_TONES = {
    State.FAILING: Tone.BAD,
    State.OVERDUE: Tone.WARN,
    State.OWN_FAULT: Tone.WARN,
    State.HELD: Tone.UNKNOWN,
    State.CAPPED: Tone.OFF,
    State.STALE: Tone.UNKNOWN,
    State.WAITING: Tone.UNKNOWN,
    State.NO_KEY: Tone.OFF,
    State.OK: Tone.OK,
    State.OFF: Tone.OFF,
}
_PLACES = {state: place for place, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class ProbeState:
    """A probe's state, and the reason in a few words ("Server error")."""

    state: State
    reason: str = ""

    @property
    def tone(self) -> Tone:
        return _TONES[self.state]

    @property
    def place(self) -> int:
        """The worse the state, the smaller."""
        return _PLACES[self.state]


def state_of(probe: Probe, prober: Prober, now: datetime) -> ProbeState:
    if still := _still_state(probe, now):
        return still
    if prober.state is not ProberState.WORKING and probe.last_at:
        return ProbeState(State.STALE, f"last known: {_last_word(probe)}")
    if is_overdue(probe, prober, now):
        return ProbeState(State.OVERDUE, "results are missing")
    if probe.last_at is None:
        return ProbeState(
            State.WAITING, f"for the first result, {_expected(probe, now)}"
        )
    return _last_state(probe)


def _still_state(probe: Probe, now: datetime) -> ProbeState | None:
    """Return the state of a probe that does not run, and is not meant to."""
    if not probe.enabled:
        return ProbeState(State.OFF)
    if waits_for_key(probe):
        return ProbeState(State.NO_KEY, "waits for the team's key")
    # One that has run since, with a cap that was raised, is as its result says.
    was_capped = probe.capped_on == now.astimezone(UTC).date()
    if was_capped and probe.last_error == ErrorClass.CONFIG:
        return ProbeState(State.CAPPED, "spent its credits of today (UTC)")
    return None


def is_overdue(probe: Probe, prober: Prober, now: datetime) -> bool:
    """Say whether a result is missing though the prober works."""
    if prober.state is not ProberState.WORKING:
        return False
    patience = max(3 * timedelta(seconds=period_now_s(probe)), _LEAST_PATIENCE)
    return now - (probe.last_at or probe.next_run) > patience


def _last_state(probe: Probe) -> ProbeState:
    if not probe.last_error:
        return ProbeState(State.OK)
    title = meaning(probe.last_error).title
    if probe.last_error == ErrorClass.BREAKER_HELD:
        return ProbeState(State.HELD, title)
    if not counted(probe.last_error):
        return ProbeState(State.OWN_FAULT, title)
    return ProbeState(State.FAILING, title)


def _last_word(probe: Probe) -> str:
    return meaning(probe.last_error).title if probe.last_error else "ok"


def _expected(probe: Probe, now: datetime) -> str:
    return (
        "due now" if probe.next_run <= now else f"due {words.ago(probe.next_run, now)}"
    )


def breaker_word(state: str) -> str:
    """Return what the pages call a breaker's state: "half-open", "forced open"."""
    return state.replace("half_", "half-").replace("_", " ")
