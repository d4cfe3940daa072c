"""/health, /api/models and /api/teams, which ask for no key at all (contract 1.3)."""

from dashboard.simulator import schemas
from dashboard.simulator.answers import Answer, Json, detail, json_answer
from dashboard.simulator.credit_routes import credits_of
from dashboard.simulator.requests import Auth, Call, Route
from dashboard.simulator.stamps import naive, offset
from dashboard.simulator.world import ACTIVE, MODELS, Team, TeamShape

BUDGET_MODES = ("job_based", "consumption_usd", "consumption_tokens")


def health(call: Call) -> Answer:
    """Say healthy, whatever the rest does (contract 1.5)."""
    del call
    return json_answer({"status": "healthy", "service": "saas-llm-api"})


def models(call: Call) -> Answer:
    at = offset(call.world.started_at)
    return json_answer(
        [
            {
                "model_alias": model.alias,
                "display_name": model.alias,
                "provider": model.provider,
                "actual_model": model.actual,
                "litellm_model_id": None,
                "access_groups": [model.group],
                "description": None,
                "pricing_input": 0.15,
                "pricing_output": 0.6,
                "status": ACTIVE,
                "teams_using": None,
                "created_at": at,
                "updated_at": at,
            }
            for model in MODELS
        ]
    )


def list_teams(call: Call) -> Answer:
    return json_answer([_listed(team) for team in call.world.teams.values()])


def get_team(call: Call) -> Answer:
    team = call.known_team()
    rest: dict[str, Json] = {
        "access_groups": list(team.access_groups),
        "allowed_model_aliases": call.world.allowed_models(team),
        "virtual_key": team.virtual_key,
    }
    return json_answer(_shaped(team, rest))


def create_team(call: Call) -> Answer:
    team_id = call.text("team_id")
    if team_id in call.world.teams:
        return detail(400, f"Team '{team_id}' already exists")
    mode = call.text("budget_mode") or "job_based"
    if mode not in BUDGET_MODES:
        return detail(400, f"Invalid budget_mode. Must be one of: {list(BUDGET_MODES)}")
    groups = call.body["access_groups"]
    known = {model.group for model in MODELS}
    wanted = [str(one) for one in groups] if isinstance(groups, list) else []
    for group in wanted:
        if group not in known:
            return detail(404, f"Access group '{group}' not found")
    allocated = call.integer("credits_allocated") or 0
    team = Team(
        team_id,
        organization_id=call.text("organization_id"),
        credits_allocated=allocated,
        credits_remaining=allocated,
        budget_mode=mode,
        access_groups=tuple(wanted),
    )
    call.world.add_team(team, call.now)
    return json_answer(
        {
            "team_id": team_id,
            "organization_id": team.organization_id,
            "access_groups": wanted,
            "allowed_model_aliases": call.world.allowed_models(team),
            "credits_allocated": allocated,
            "credits_remaining": allocated,
            "virtual_key": team.virtual_key,
            "message": "Team created successfully",
        }
    )


def update_team(call: Call) -> Answer:
    team = call.known_team()
    allocated = call.integer("credits_allocated")
    used = call.integer("credits_used")
    used = team.credits_used if used is None else used
    team.credits_allocated = team.credits_allocated if allocated is None else allocated
    team.credits_remaining = team.credits_allocated - used
    team.budget_mode = call.text("budget_mode") or team.budget_mode
    team.updated_at = call.now
    return json_answer(
        {
            "team_id": team.team_id,
            "credits_allocated": team.credits_allocated,
            "credits_used": team.credits_used,
            "credits_remaining": team.credits_remaining,
            "budget_mode": team.budget_mode,
            "credits_per_dollar": team.credits_per_dollar,
            "message": "Team updated successfully",
        }
    )


def suspend(call: Call) -> Answer:
    return _set_status(call, "suspended", "suspended")


def resume(call: Call) -> Answer:
    """Make the team active, from paused too, which no route can bring about."""
    return _set_status(call, ACTIVE, "resumed")


def _set_status(call: Call, status: str, done: str) -> Answer:
    team = call.known_team()
    team.status = status
    team.updated_at = call.now
    return json_answer(
        {
            "team_id": team.team_id,
            "status": status,
            "message": f"Team '{team.team_id}' has been {done}",
        }
    )


def _listed(team: Team) -> dict[str, Json]:
    return {
        "team_id": team.team_id,
        "organization_id": team.organization_id,
        "credits_allocated": team.credits_allocated,
        "credits_remaining": team.credits_remaining,
        "credits_used": team.credits_used,
        "access_groups": list(team.access_groups),
        "virtual_key": team.virtual_key,
        "budget_mode": team.budget_mode,
        "credits_per_dollar": team.credits_per_dollar,
        "status": team.status,
        "created_at": naive(team.created_at) if team.created_at else None,
    }


def _shaped(team: Team, rest: dict[str, Json]) -> dict[str, Json]:
    """Return the team in the shape that it is set to show."""
    head: dict[str, Json] = {
        "team_id": team.team_id,
        "organization_id": team.organization_id,
    }
    numbers: dict[str, Json] = {
        "credits_allocated": team.credits_allocated,
        "credits_remaining": team.credits_remaining,
    }
    if team.shape is TeamShape.FLAT:
        return {**head, "status": team.status, **numbers, **rest}
    if team.shape is TeamShape.DOCS:
        return {**head, "credits": numbers, **rest}
    if team.shape is TeamShape.HOSTILE:
        spoilt: dict[str, Json] = {
            "credits_allocated": None,
            "credits_remaining": str(team.credits_remaining),
        }
        return {**head, "status": team.status.upper(), **spoilt, **rest}
    return {**head, "credits": credits_of(team), **rest, **numbers}


ROUTES = (
    Route("GET", "/health", Auth.NONE, health),
    Route("GET", "/api/models", Auth.NONE, models),
    Route("GET", "/api/teams", Auth.NONE, list_teams),
    Route("GET", "/api/teams/{team_id}", Auth.NONE, get_team),
    Route(
        "POST",
        "/api/teams/create",
        Auth.NONE,
        create_team,
        (
            schemas.Field("organization_id", schemas.text),
            schemas.Field("team_id", schemas.text),
            schemas.Field("access_groups", schemas.list_of(schemas.text)),
            schemas.Field("credits_allocated", schemas.integer, required=False),
            schemas.Field("budget_mode", schemas.text, required=False),
        ),
    ),
    Route(
        "PUT",
        "/api/teams/{team_id}",
        Auth.NONE,
        update_team,
        (
            schemas.maybe("credits_allocated", schemas.integer),
            schemas.maybe("credits_used", schemas.integer),
            schemas.maybe("budget_mode", schemas.text),
        ),
    ),
    Route("PUT", "/api/teams/{team_id}/suspend", Auth.NONE, suspend),
    Route("PUT", "/api/teams/{team_id}/resume", Auth.NONE, resume),
)
