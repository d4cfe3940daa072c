"""How jobs look in answers (contract 3.1)."""

from dashboard.simulator.answers import Json
from dashboard.simulator.stamps import naive, zulu
from dashboard.simulator.world import Job, Team


def job_of(job: Job) -> dict[str, Json]:
    return {
        "job_id": job.job_id,
        "team_id": job.team_id,
        "user_id": job.user_id,
        "job_type": job.job_type,
        "status": job.state.value,
        "created_at": zulu(job.created_at),
        "started_at": zulu(job.started_at) if job.started_at else None,
        "completed_at": zulu(job.completed_at) if job.completed_at else None,
        "metadata": job.metadata,
        "error_message": job.error_message,
        "organization_id": None,
        "external_task_id": None,
        "credit_applied": job.credit_applied,
        "model_groups_used": sorted({call.model for call in job.calls}),
    }


def totals_of(job: Job, team: Team, usd: float, *, charged: bool) -> dict[str, Json]:
    """Return the `costs` of an answer that completes a job."""
    failed = sum(call.error is not None for call in job.calls)
    latency_ms = sum(call.latency_ms for call in job.calls)
    return {
        "total_calls": len(job.calls),
        "successful_calls": len(job.calls) - failed,
        "failed_calls": failed,
        "total_tokens": sum(call.tokens for call in job.calls),
        "total_cost_usd": usd,
        "avg_latency_ms": latency_ms // len(job.calls) if job.calls else 0,
        "credit_applied": charged,
        "credits_remaining": team.credits_remaining,
    }


def breakdown_of(job: Job) -> list[Json]:
    return [
        {
            "call_id": call.call_id,
            "model": call.model,
            "purpose": call.purpose,
            "prompt_tokens": call.prompt_tokens,
            "completion_tokens": call.completion_tokens,
            "cost_usd": call.cost_usd,
            "created_at": naive(call.created_at),
        }
        for call in job.calls
    ]


def calls_of(job: Job) -> list[Json]:
    return [
        {
            "call_id": call.call_id,
            "purpose": call.purpose,
            "model_group": call.model,
            "tokens": call.tokens,
            "latency_ms": call.latency_ms,
            "error": call.error,
        }
        for call in job.calls
    ]


def cost_of(job: Job) -> float:
    return round(sum(call.cost_usd for call in job.calls), 8)
