"""Whether the prober works: the pages turn grey when it does not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dashboard.probes.queries import SILENT_AFTER, last_tick
from dashboard.web import words


class ProberState(StrEnum):
    NEVER = "never"
    WORKING = "working"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Prober:
    """When the prober last worked; `age_s` is None when it never has."""

    age_s: float | None
    state: ProberState

    @property
    def silence(self) -> str:
        return words.duration(self.age_s or 0)


def prober(now: datetime) -> Prober:
    return prober_of(last_tick(now))


def prober_of(age_s: float | None) -> Prober:
    """Return what it means that the last tick was so long ago; None: there was none."""
    if age_s is None:
        return Prober(None, ProberState.NEVER)
    silent = age_s > SILENT_AFTER.total_seconds()
    return Prober(age_s, ProberState.STOPPED if silent else ProberState.WORKING)
