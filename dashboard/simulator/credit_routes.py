"""/api/credits: balance, check, transactions, and what an admin adds."""

from dashboard.simulator import schemas
from dashboard.simulator.answers import Answer, Json, detail, json_answer
from dashboard.simulator.faults import FaultKind
from dashboard.simulator.requests import Auth, Call, Route
from dashboard.simulator.stamps import zulu
from dashboard.simulator.world import Team, Transaction

LARGEST_INTEGER = 2**31 - 1
_OVERFLOW = (
    "(psycopg2.errors.NumericValueOutOfRange) integer out of range\n\n"
    "[SQL: UPDATE team_credits SET credits_allocated=%(credits_allocated)s "
    "WHERE team_credits.team_id = %(team_id)s]"
)


def credits_of(team: Team) -> dict[str, Json]:
    """Return the `credits` object, which is the balance too (contract 3.1)."""
    return {
        "team_id": team.team_id,
        "organization_id": team.organization_id,
        "credits_allocated": team.credits_allocated,
        "credits_used": team.credits_used,
        "credits_remaining": team.credits_remaining,
        "credit_limit": None,
        "auto_refill": team.auto_refill,
        "refill_amount": team.refill_amount,
        "refill_period": None,
        "last_refill_at": None,
        "budget_mode": team.budget_mode,
        "credits_per_dollar": team.credits_per_dollar,
        "tokens_per_credit": team.tokens_per_credit,
        "cost_markup_percentage": 0.0,
        "status": team.status,
        "created_at": zulu(team.created_at) if team.created_at else None,
        "updated_at": zulu(team.updated_at) if team.updated_at else None,
    }


def transaction_of(row: Transaction) -> dict[str, Json]:
    return {
        "transaction_id": row.transaction_id,
        "team_id": row.team_id,
        "organization_id": row.organization_id,
        "job_id": row.job_id,
        "transaction_type": row.transaction_type,
        "credits_amount": row.credits_amount,
        "credits_before": row.credits_before,
        "credits_after": row.credits_after,
        "reason": row.reason,
        "created_at": zulu(row.created_at),
    }


def balance(call: Call) -> Answer:
    return json_answer(credits_of(call.own_team("access credit balance")))


def check(call: Call) -> Answer:
    """Say by a word in a 200 whether there is enough (contract 1.1)."""
    needed = schemas.query_integer(call.request.query, "credits_needed", 1)
    team = call.own_team("check credits")
    remaining = team.credits_remaining
    if remaining < needed or call.fault(FaultKind.ERROR_IN_200):
        error = (
            f"Insufficient credits. Team has {remaining} credits remaining, but "
            f"{needed} required. Allocated: {team.credits_allocated}, "
            f"Used: {team.credits_used}"
        )
        return json_answer(
            {
                "team_id": team.team_id,
                "has_credits": False,
                "error": error,
                "credits_needed": needed,
            }
        )
    return json_answer(
        {
            "team_id": team.team_id,
            "has_credits": True,
            "credits_remaining": remaining,
            "credits_needed": needed,
        }
    )


def transactions(call: Call) -> Answer:
    limit = schemas.query_integer(call.request.query, "limit", 50)
    team = call.own_team("access credit transactions")
    rows = [
        row for row in reversed(call.world.transactions) if row.team_id == team.team_id
    ][: max(0, limit)]
    return json_answer(
        {
            "team_id": team.team_id,
            "total": len(rows),
            "transactions": [transaction_of(row) for row in rows],
        }
    )


def add(call: Call) -> Answer:
    """Add credits; an unknown team is made, without key, as the real one does."""
    amount = call.integer("credits") or 0
    team_id = call.params["team_id"]
    if abs(amount) > LARGEST_INTEGER:
        return detail(400, _overflow(team_id, amount))
    team = call.world.teams.get(team_id)
    if team is None:
        team = Team(
            team_id, organization_id=None, credits_allocated=0, credits_remaining=0
        )
        call.world.add_team(team, call.now)
    team.credits_allocated += amount
    row = call.world.move_credits(
        team,
        amount,
        kind="allocation",
        reason=call.text("reason") or "Manual credit allocation",
        now=call.now,
    )
    return json_answer(
        {
            "team_id": team_id,
            "credits_added": amount,
            "transaction": transaction_of(row),
        }
    )


def replenish(call: Call) -> Answer:
    """Add what was paid for; before and after are of the allocation (contract 3)."""
    kinds = {"subscription": "subscription_payment", "one_time": "one_time_payment"}
    kind = kinds.get(call.text("payment_type"))
    team = call.known_team()
    amount = call.integer("credits") or 0
    if kind is None or amount <= 0:
        return detail(400, "Invalid payment_type or credits")
    before = team.credits_allocated
    team.credits_allocated += amount
    call.world.move_credits(
        team, amount, kind=kind, reason=call.text("reason") or kind, now=call.now
    )
    return json_answer(
        {
            "team_id": team.team_id,
            "credits_added": amount,
            "credits_before": before,
            "credits_after": team.credits_allocated,
            "payment_type": call.text("payment_type"),
        }
    )


def _overflow(team_id: str, amount: int) -> str:
    """Return the raw SQL error that the real server lets through (contract 1.14)."""
    parameters = {"credits_allocated": amount, "team_id": team_id}
    return f"{_OVERFLOW}\n[parameters: {parameters}]"


_TEAM = "/api/credits/teams/{team_id}"
ROUTES = (
    Route("GET", f"{_TEAM}/balance", Auth.VIRTUAL_KEY, balance),
    Route("POST", f"{_TEAM}/check", Auth.VIRTUAL_KEY, check),
    Route("GET", f"{_TEAM}/transactions", Auth.VIRTUAL_KEY, transactions),
    Route(
        "POST",
        f"{_TEAM}/add",
        Auth.ADMIN,
        add,
        (
            schemas.Field("credits", schemas.integer),
            schemas.maybe("reason", schemas.text),
        ),
    ),
    Route(
        "POST",
        f"{_TEAM}/replenish",
        Auth.ADMIN,
        replenish,
        (
            schemas.Field("credits", schemas.integer),
            schemas.Field("payment_type", schemas.text),
            schemas.maybe("payment_amount_usd", schemas.number),
            schemas.maybe("reason", schemas.text),
        ),
    ),
)
