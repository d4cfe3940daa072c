"""Which incident speaks for which: one outage, one alarm."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_OUTAGE_OF_A_TEAM = frozenset({"suspended", "paused", "key_refused"})


@dataclass(frozen=True, slots=True)
class Open:
    """An open incident. `endpoints` are those it is about, none for all of them."""

    pk: int
    kind: str
    level: str
    gateway_id: int
    team_id: int | None
    endpoints: frozenset[str] = frozenset()
    told: bool = False


def inhibitor(one: Open, incidents: Iterable[Open]) -> Open | None:
    """Return the incident that speaks for `one`, the greatest of them; None for none.

    No chain of inhibitions is a circle: gateway_down > team_state > breaker_open and
    error_rate, and of the last two of one endpoint the one that people were told of
    first speaks for the other, the breaker if none was. Credits that are gone need no
    forecast.
    """
    found = [other for other in incidents if _speaks_for(other, one)]
    return max(found, key=lambda other: (_RANK[other.kind], -other.pk), default=None)


_RANK = {
    "gateway_down": 3,
    "team_state": 2,
    "breaker_open": 1,
    "error_rate": 0,
    "credits": 1,
    "credits_forecast": 0,
    "certificate": 0,
    "no_data": 0,
}


def _speaks_for(greater: Open, one: Open) -> bool:
    if greater.pk == one.pk or greater.gateway_id != one.gateway_id:
        return False
    return _RELATIONS.get((greater.kind, one.kind), _never)(greater, one)


def _same_cause(breaker: Open, errors: Open) -> bool:
    """Say whether the errors are of the breaker's endpoint; a host's has all."""
    if not breaker.endpoints:
        return True
    same_team = breaker.team_id == errors.team_id
    return same_team and bool(breaker.endpoints & errors.endpoints)


def _told_first(errors: Open, breaker: Open) -> bool:
    return errors.told and not breaker.told


def _always(greater: Open, one: Open) -> bool:
    return True


def _never(greater: Open, one: Open) -> bool:
    return False


def _team_stopped(state: Open, one: Open) -> bool:
    return state.level in _OUTAGE_OF_A_TEAM and state.team_id == one.team_id


def _gone(left: Open, forecast: Open) -> bool:
    return left.level == "exhausted" and left.team_id == forecast.team_id


def _breaker_explains(breaker: Open, errors: Open) -> bool:
    return _same_cause(breaker, errors) and not _told_first(errors, breaker)


def _errors_explain(errors: Open, breaker: Open) -> bool:
    return _same_cause(breaker, errors) and _told_first(errors, breaker)


# (what speaks, for what) -> when it does.
_RELATIONS: Mapping[tuple[str, str], Callable[[Open, Open], bool]] = {
    ("gateway_down", "error_rate"): _always,
    ("gateway_down", "breaker_open"): _always,
    ("team_state", "error_rate"): _team_stopped,
    ("team_state", "breaker_open"): _team_stopped,
    ("breaker_open", "error_rate"): _breaker_explains,
    ("error_rate", "breaker_open"): _errors_explain,
    ("credits", "credits_forecast"): _gone,
}
