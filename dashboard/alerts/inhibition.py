"""Which incident speaks for which: one outage, one alarm."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.alerts.models import Incident

# What fails may be of an outage until so long after the first good results, and from so
# long before the outage was noticed.
GRACE = timedelta(minutes=2)
_STOPPED = frozenset({"suspended", "paused"})


@dataclass(frozen=True, slots=True)
class Open:
    """An open incident. `endpoints` are those it is about, none for all of them.

    What fails after `over_since` is not of it, though it is open until it has been good
    for long enough. `fires` says that its rule holds now. Its latest failure was neither
    before `failed_after` nor after `failed_until`, where these are known.
    """

    pk: int
    kind: str
    level: str
    gateway_id: int
    team_id: int | None
    probe_id: int | None = None
    endpoints: frozenset[str] = frozenset()
    told: bool = False
    began_at: datetime | None = None
    over_since: datetime | None = None
    fires: bool = False
    failed_after: datetime | None = None
    failed_until: datetime | None = None
    spoken_for_by: int | None = None


Relation = Callable[[Open, Open], bool]


def over_since(incident: Incident) -> datetime | None:
    """Return from when on what fails is not of it any more; None while it may be.

    One that must be good for a time before it ends is over when it has been for a moment.
    """
    if incident.clear_since is None:
        return incident.resolved_at
    good = incident.clear_since + GRACE
    return min(good, incident.resolved_at or good)


def inhibitors(incidents: Iterable[Open]) -> dict[int, Open]:
    """Return which incident speaks for which, by the lesser one's number.

    Each is held against those of its gateway and its team only: a gateway may have
    thousands, and each against each would hold up the tick for seconds.
    """
    near: dict[tuple[int, int | None], list[Open]] = defaultdict(list)
    for each in incidents:
        near[each.gateway_id, each.team_id].append(each)
    found = {}
    for (gateway_id, team_id), own in near.items():
        wider = near.get((gateway_id, None), []) if team_id is not None else []
        for one in own:
            if (greater := inhibitor(one, [*own, *wider])) is not None:
                found[one.pk] = greater
    return found


def inhibitor(one: Open, incidents: Iterable[Open]) -> Open | None:
    """Return the incident that speaks for `one`, the greatest of them; None for none.

    Between a breaker and the errors of its endpoint the one that people were told of
    first speaks for the other, the breaker if none was. A team's errors speak for no
    breaker of a whole host, which other teams see, too.
    """
    found = [other for other in incidents if _speaks_for(other, one)]
    return max(found, key=lambda other: (RANKS[other.kind], -other.pk), default=None)


def _speaks_for(greater: Open, one: Open) -> bool:
    if greater.pk == one.pk or greater.gateway_id != one.gateway_id:
        return False
    # Whoever sees the one sees the other: of a whole gateway no team's alarm speaks.
    if greater.team_id not in {None, one.team_id} or not _at_one_time(greater, one):
        return False
    if (greater.kind, one.kind) == _ERRORS_AND_BREAKER:
        # Nor health's errors for all: of those the readers of a team are not told.
        if one.probe_id is None and greater.probe_id is not None:
            return False
        return _same_endpoint(one, greater) and _told_first(greater, one)
    if (one.kind, greater.kind) == _ERRORS_AND_BREAKER and _told_first(one, greater):
        return False
    return RELATIONS.get((greater.kind, one.kind), _never)(greater, one)


def _at_one_time(greater: Open, one: Open) -> bool:
    """Say whether what is wrong with the one may be of the other.

    What was over before the other began is not, nor what failed after that was good
    again. What is spoken for and has not failed since stays so.
    """
    if not one.fires and one.spoken_for_by == greater.pk:
        return True
    if greater.over_since is not None and not (
        one.fires and one.failed_after and one.failed_after <= greater.over_since
    ):
        return False
    if greater.began_at is None or one.failed_until is None:
        return True
    # Who is told of a suspension knows it a moment after it made the first call fail.
    return one.failed_until >= greater.began_at - (GRACE if one.fires else timedelta())


def _told_first(one: Open, other: Open) -> bool:
    return one.told and not other.told


def _same_endpoint(breaker: Open, one: Open) -> bool:
    """Say whether an incident is of the breaker's endpoint; a host's has all."""
    if not breaker.endpoints:
        return True
    same_team = breaker.team_id == one.team_id
    return same_team and bool(breaker.endpoints & one.endpoints)


def _always(greater: Open, one: Open) -> bool:
    return True


def _never(greater: Open, one: Open) -> bool:
    return False


def _same_team(greater: Open, one: Open) -> bool:
    return greater.team_id is not None and greater.team_id == one.team_id


def _same_probe(greater: Open, one: Open) -> bool:
    return greater.probe_id is not None and greater.probe_id == one.probe_id


def _stopped(state: Open, one: Open) -> bool:
    return state.level in _STOPPED and _same_team(state, one)


def _gone(left: Open, one: Open) -> bool:
    return left.level == "exhausted" and _same_team(left, one)


_ERRORS_AND_BREAKER = ("error_rate", "breaker_open")
_OF_A_PROBE = (
    *("error_rate", "latency", "burn_rate", "breaker_open"),
    "stream_failures",
)
# (what speaks, for what) -> when it does. The levels of one kind, credits low, critical
# and exhausted, are one incident, so that they need no line here.
RELATIONS: Mapping[tuple[str, str], Relation] = {
    **{("gateway_down", kind): _always for kind in _OF_A_PROBE},
    **{("gateway_down", kind): _always for kind in ("credits_unknown",)},
    **{("team_state", kind): _stopped for kind in _OF_A_PROBE},
    ("team_state", "credits_unknown"): _stopped,
    ("team_state", "auth_failed"): _stopped,
    **{("auth_failed", kind): _same_team for kind in _OF_A_PROBE},
    ("auth_failed", "credits_unknown"): _same_team,
    ("breaker_open", "error_rate"): _same_endpoint,
    ("breaker_open", "latency"): _same_endpoint,
    ("breaker_open", "burn_rate"): _same_endpoint,
    ("error_rate", "latency"): _same_probe,
    ("error_rate", "burn_rate"): _same_probe,
    ("error_rate", "stream_failures"): _same_probe,
    ("credits", "credits_forecast"): _gone,
    ("credits", "credits_spike"): _gone,
}


def ranks(relations: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return how great each kind is: greater than all that it may speak for.

    Raises ValueError for a circle, in which nobody would be told anything.
    """
    below: dict[str, set[str]] = {}
    for greater, lesser in relations:
        below.setdefault(greater, set()).add(lesser)
        below.setdefault(lesser, set())
    found: dict[str, int] = {}

    def rank(kind: str, above: tuple[str, ...]) -> int:
        if kind in above:
            circle = " > ".join([*above[above.index(kind) :], kind])
            raise ValueError(f"these alarms speak for each other: {circle}")
        if kind not in found:
            ranks_below = [rank(each, (*above, kind)) for each in sorted(below[kind])]
            found[kind] = max(ranks_below, default=-1) + 1
        return found[kind]

    for kind in sorted(below):
        rank(kind, ())
    return found


RANKS = ranks(RELATIONS)
