"""The switches of a running stand-in, at /_simulator, for this machine only."""

import json
from dataclasses import asdict, fields
from ipaddress import ip_address

import msgspec

from dashboard.simulator.answers import Answer, Json, detail, json_answer
from dashboard.simulator.faults import Fault, FaultKind, Standing
from dashboard.simulator.gateway import Gateway
from dashboard.simulator.requests import Request
from dashboard.simulator.world import Team, TeamShape

PREFIX = "/_simulator/"
_FAULT_FIELDS = frozenset(field.name for field in fields(Fault))


class Control:
    """GET state; GET, POST and DELETE faults; DELETE faults/NAME; PATCH teams/ID."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handle(self, request: Request, peer: str) -> Answer:
        """Answer one request from `peer`, an IP address."""
        if not ip_address(peer).is_loopback:
            return detail(403, f"{PREFIX} answers only to this machine, not to {peer}")
        body: Json = None
        if request.method in {"POST", "PATCH"}:
            # A page in a browser cannot send this type here without asking first.
            if request.headers.get("content-type") != "application/json":
                return detail(415, "Content-Type must be application/json")
            try:
                body = json.loads(request.body)
            except ValueError as broken:
                return detail(400, f"The body is not JSON: {broken}")
        try:
            return self._route(request.method, request.path[len(PREFIX) :], body)
        except ValueError as wrong:
            return detail(400, str(wrong))

    def _route(self, method: str, place: str, body: Json) -> Answer:
        noun, _, name = place.partition("/")
        if noun == "faults":
            return self._faults(method, name, body)
        if noun == "teams" and method == "PATCH":
            return self._change_team(name, body)
        if place == "state" and method == "GET":
            return json_answer(self._state())
        return detail(404, f"{PREFIX}{place} does not exist for {method}")

    def _faults(self, method: str, name: str, body: Json) -> Answer:
        gateway = self._gateway
        match method, name:
            case "GET", "":
                pass
            case "POST", "":
                gateway.set_fault(parse_fault(body))
            case "DELETE", "":
                gateway.clear_faults()
            case "DELETE", _ if gateway.clear_fault(name):
                pass
            case "DELETE", _:
                return detail(404, f"No fault is named {name!r}")
            case _:
                return detail(405, "GET, POST and DELETE are known here")
        return json_answer([_shown(one) for one in gateway.faults()])

    def _state(self) -> Json:
        gateway = self._gateway
        return {
            "teams": [_team(one) for one in gateway.world.teams.values()],
            "faults": [_shown(one) for one in gateway.faults()],
            "jobs": len(gateway.world.jobs),
            "requests": len(gateway.requests),
        }

    def _change_team(self, team_id: str, body: Json) -> Answer:
        if team_id not in self._gateway.world.teams:
            return detail(404, f"No team is named {team_id!r}")
        if not isinstance(body, dict):
            raise ValueError("The body must be an object")  # noqa: TRY004 - bad input, not a bug
        team = self._gateway.team(team_id)
        for name, value in body.items():
            _set(team, name, value)
        return json_answer(_team(team))


def parse_fault(body: Json) -> Fault:
    """Return the fault that a JSON object describes; ValueError says what is wrong."""
    if not isinstance(body, dict):
        raise ValueError(  # noqa: TRY004 - bad input, not a bug
            "A fault is an object such as {'kind': 'slow'}"
        )
    unknown = sorted(set(body) - _FAULT_FIELDS)
    if unknown:
        raise ValueError(
            f"Unknown: {', '.join(unknown)}. Known: {', '.join(sorted(_FAULT_FIELDS))}"
        )
    kind = body.get("kind")
    if kind not in {one.value for one in FaultKind}:
        known = ", ".join(one.value for one in FaultKind)
        raise ValueError(f"kind={kind!r} is not one of: {known}")
    try:
        fault = msgspec.convert(body, Fault)
    except msgspec.ValidationError as wrong:
        raise ValueError(str(wrong)) from None
    if fault.kind is FaultKind.REFUSE and fault.lasts_s is None:
        raise ValueError("refuse needs lasts_s: nobody could reach this switch again")
    return fault


def _set(team: Team, name: str, value: Json) -> None:
    match name, value:
        case ("credits_remaining" | "credits_allocated", int()):
            setattr(team, name, value)
        case "status", str():
            team.status = value
        case "shape", str():
            team.shape = TeamShape(value)
        case _:
            raise ValueError(
                f"{name}={value!r} cannot be set: credits_remaining, credits_allocated "
                "(whole numbers), status and shape (texts) can"
            )


def _shown(one: Standing) -> dict[str, Json]:
    return {**asdict(one.fault), "hits": one.hits}


def _team(team: Team) -> dict[str, Json]:
    return {
        "team_id": team.team_id,
        "status": team.status,
        "shape": team.shape.value,
        "credits_allocated": team.credits_allocated,
        "credits_remaining": team.credits_remaining,
    }
