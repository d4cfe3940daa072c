"""When a job costs credits, and how many (contract 1.13, 1.15, 3.1)."""

from datetime import datetime

from dashboard.simulator.world import Job, Team, World


def charge(world: World, team: Team, job: Job, usd: float, now: datetime) -> bool:
    """Charge a job that is completed and tell whether credits were taken.

    A second completion takes nothing but forgets the first, so that a third is charged
    again, as measured. A charge above the balance is skipped whole.
    """
    if job.credit_applied:
        job.credit_applied = False
        return False
    price = _price(team, job, usd)
    if price > team.credits_remaining:
        return False
    world.move_credits(
        team,
        -price,
        kind="deduction",
        reason="Job completed",
        now=now,
        job_id=job.job_id,
    )
    job.credit_applied = True
    return True


def _price(team: Team, job: Job, usd: float) -> int:
    if team.budget_mode == "consumption_tokens":
        tokens = sum(call.tokens for call in job.calls)
        return max(1, tokens // team.tokens_per_credit)
    if team.budget_mode == "consumption_usd":
        return max(1, int(usd * team.credits_per_dollar))
    return 1
