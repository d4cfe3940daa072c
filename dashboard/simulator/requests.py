"""One request as the gateway sees it, and what a route's function is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random

from dashboard.simulator.answers import Answer, Json, refuse
from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.latency import Latency
from dashboard.simulator.schemas import Schema
from dashboard.simulator.world import Team, World


@dataclass(frozen=True, slots=True)
class Request:
    """What came in: `path` is decoded, header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


class Auth(StrEnum):
    """Which key a route asks for (contract 2)."""

    NONE = "none"
    VIRTUAL_KEY = "virtual_key"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed the checks up to validation, on its way to its route."""

    request: Request
    world: World
    params: Mapping[str, str]
    body: Mapping[str, Json]
    team: Team | None
    faults: tuple[Fault, ...]
    now: datetime
    rng: Random
    latency: Latency

    @property
    def owner(self) -> Team:
        """Return the team behind the virtual key; only such routes may ask."""
        if self.team is None:
            raise LookupError("this route asks for no virtual key")
        return self.team

    def fault(self, *kinds: FaultKind) -> Fault | None:
        """Return the first fault of these kinds that hits this request."""
        return next((one for one in self.faults if one.kind in kinds), None)

    def text(self, name: str) -> str:
        """Return a text of the checked body, "" where it was left out or null."""
        value = self.body.get(name)
        return value if isinstance(value, str) else ""

    def integer(self, name: str) -> int | None:
        value = self.body.get(name)
        return value if isinstance(value, int) else None

    def own_team(self, what: str) -> Team:
        """Return the team in the path, which must be the key's own."""
        if self.params["team_id"] != self.owner.team_id:
            raise refuse(403, f"Cannot {what} for a different team")
        return self.owner

    def known_team(self) -> Team:
        """Return the team in the path, or refuse with 404."""
        team_id = self.params["team_id"]
        team = self.world.teams.get(team_id)
        if team is None:
            raise refuse(404, f"Team '{team_id}' not found")
        return team


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the gateway's route table."""

    method: str
    template: str
    auth: Auth
    answer: Callable[[Call], Answer]
    body: Schema | None = None
