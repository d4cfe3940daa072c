"""The gateway without its sockets: a request in, an answer out, faults in between."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from random import Random

from dashboard.simulator import credit_routes, job_routes, team_faults, team_routes
from dashboard.simulator.answers import Answer, Refusal, refuse, text_500
from dashboard.simulator.faults import (
    ANSWERED_IN_FRONT,
    SPOILT_ON_THE_WAY,
    TEAM_FAULTS,
    Fault,
    FaultBoard,
    FaultKind,
    Standing,
)
from dashboard.simulator.fronts import answer_in_front
from dashboard.simulator.latency import AT_ONCE, Latency
from dashboard.simulator.requests import Auth, Call, Request
from dashboard.simulator.routing import Found, Router
from dashboard.simulator.schemas import check_body, parse_body
from dashboard.simulator.world import ACTIVE, Team, World

ADMIN_KEY = "sk-sim-admin"
ROUTES = (*team_routes.ROUTES, *credit_routes.ROUTES, *job_routes.ROUTES)

_EXPECTED = "Expected: 'Authorization: Bearer sk-xxx...'"
_ADMIN_NEEDED = (
    "Authentication required. Provide either 'Authorization: Bearer <token>' or "
    "'X-Admin-Key: <master_key>'"
)
_KEPT_HEADERS = (
    "accept-encoding",
    "connection",
    "content-type",
    "traceparent",
    "user-agent",
    "x-request-id",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that arrived. `connection` numbers the TCP connections from 1.

    Keys are never kept: `key_team` is the team whose virtual key was shown, if any.
    """

    method: str
    path: str
    headers: dict[str, str]
    at_s: float
    connection: int
    key_team: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to send, how long to wait first, and how it is spoilt on the way."""

    answer: Answer
    delay_s: float = 0.0
    spoilt: Fault | None = None


class Gateway:
    """All rules of the stand-in. `monotonic` and `now` are its only clocks."""

    KEPT_REQUESTS = 10_000

    def __init__(
        self,
        teams: Iterable[Team],
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
        seed: int = 1,
        latency: Latency = AT_ONCE,
        admin_key: str = ADMIN_KEY,
    ) -> None:
        self._monotonic = monotonic
        self._now = now
        self._rng = Random(seed)  # noqa: S311 - a simulation, and to be repeatable
        self._lock = threading.RLock()
        self._router = Router(ROUTES)
        self._admin_key = admin_key
        self.latency = latency
        self.board = FaultBoard(Random(seed + 1))  # noqa: S311 - as above
        self.world = World(teams, self._rng, now())
        self.requests: deque[Seen] = deque(maxlen=self.KEPT_REQUESTS)

    def set_fault(self, fault: Fault) -> None:
        """Switch a fault on, in place of one of the same name. A refill is done at once."""
        with self._lock:
            self._settle()
            self.clear_fault(fault.name)
            if fault.kind is not FaultKind.REFILL:
                self.board.put(fault, self._monotonic())
            if fault.kind in TEAM_FAULTS:
                team_faults.begin(fault, self.world, self._now())

    def clear_fault(self, name: str) -> bool:
        """Switch a fault off by its name; tell whether it stood."""
        with self._lock:
            self._settle()
            gone = self.board.remove(name)
            if gone is not None:
                team_faults.end(gone.fault, self.world, self._now())
        return gone is not None

    def clear_faults(self) -> None:
        for one in self.board.standing():
            self.clear_fault(one.fault.name)

    def faults(self) -> list[Standing]:
        """Return the faults that stand now, oldest first."""
        with self._lock:
            self._settle()
            return self.board.standing()

    def stands(self, fault: Fault) -> bool:
        return any(one.fault == fault for one in self.faults())

    def team(self, team_id: str) -> Team:
        """Return a team, to read or to change. Raises KeyError for an unknown one."""
        with self._lock:
            self._settle()
            return self.world.teams[team_id]

    def handle(self, request: Request, *, connection: int = 0) -> Outcome:
        """Answer one request and note it."""
        with self._lock:
            self._settle()
            owner = self._key_owner(request)
            self._note(request, connection, owner)
            found: Found | Refusal
            try:
                found = self._router.find(request)
            except Refusal as refused:
                found = refused
            return self._outcome(request, found, owner)

    def _outcome(
        self, request: Request, found: Found | Refusal, owner: Team | None
    ) -> Outcome:
        named = found.params.get("team_id") if isinstance(found, Found) else None
        template = found.route.template if isinstance(found, Found) else request.path
        team = named or (owner.team_id if owner else None)
        hits = self.board.draw(request.method, request.path, template, team)
        delay_s = self.latency.of_route(template, self._rng)
        spoilt: Fault | None = None
        for fault in hits:
            if fault.kind in ANSWERED_IN_FRONT:
                return Outcome(answer_in_front(fault), delay_s)
            if fault.kind is FaultKind.SLOW:
                delay_s += fault.delay_s
            elif fault.kind is FaultKind.DRAIN and fault.credits and team:
                self._drain_once(fault, team)
            elif fault.kind in SPOILT_ON_THE_WAY:
                spoilt = spoilt or fault
        if isinstance(found, Refusal):
            return Outcome(found.answer, delay_s, spoilt)
        answer = self._answer(request, found, owner, hits)
        return Outcome(answer, delay_s, spoilt)

    def _answer(
        self,
        request: Request,
        found: Found,
        owner: Team | None,
        hits: tuple[Fault, ...],
    ) -> Answer:
        """Run the checks in the order of contract 2, then the route."""
        route = found.route
        try:
            raw = None
            if route.body is not None:
                kind = request.headers.get("content-type", "")
                raw = parse_body(request.body, kind)
            self._authorise(request, route.auth, owner)
            body = {} if route.body is None else check_body(route.body, raw)
            return route.answer(
                Call(
                    request=request,
                    world=self.world,
                    params=found.params,
                    body=body,
                    team=owner,
                    faults=hits,
                    now=self._now(),
                    rng=self._rng,
                    latency=self.latency,
                )
            )
        except Refusal as refused:
            return refused.answer
        except UnicodeEncodeError:
            # Half a surrogate pair in a text that is echoed: the real one trips too.
            return text_500()

    def _authorise(self, request: Request, auth: Auth, owner: Team | None) -> None:
        if auth is Auth.ADMIN:
            if request.headers.get("x-admin-key") != self._admin_key:
                raise refuse(401, _ADMIN_NEEDED)
        elif auth is Auth.VIRTUAL_KEY:
            header = request.headers.get("authorization", "")
            if not header:
                raise refuse(401, f"Missing Authorization header. {_EXPECTED}")
            if _bearer(header) is None:
                raise refuse(401, f"Invalid Authorization header format. {_EXPECTED}")
            if owner is None:
                raise refuse(401, "Invalid API key")
            if owner.status != ACTIVE:
                raise refuse(
                    403,
                    f"Team access is {owner.status}. Please contact support.",
                )

    def _key_owner(self, request: Request) -> Team | None:
        key = _bearer(request.headers.get("authorization", ""))
        return None if key is None else self.world.by_key.get(key)

    def _note(self, request: Request, connection: int, owner: Team | None) -> None:
        kept = {k: request.headers[k] for k in _KEPT_HEADERS if k in request.headers}
        self.requests.append(
            Seen(
                method=request.method,
                path=request.path,
                headers=kept,
                at_s=self._monotonic(),
                connection=connection,
                key_team=owner.team_id if owner else None,
            )
        )

    def _drain_once(self, fault: Fault, team_id: str) -> None:
        team = self.world.teams.get(team_id)
        if team is not None:
            team_faults.take(team, fault.credits, self.world, self._now())

    def _settle(self) -> None:
        """Bring drains up to now, and end the faults whose time is over."""
        now_s = self._monotonic()
        self.board.each(
            lambda one: team_faults.drain_until(one, now_s, self.world, self._now())
        )
        for over in self.board.sweep(now_s):
            team_faults.end(over.fault, self.world, self._now())


def _bearer(header: str) -> str | None:
    """Return the key of an Authorization header, None when its form is wrong."""
    words = header.split()
    if len(words) != 2 or words[0].lower() != "bearer":
        return None
    return words[1]
