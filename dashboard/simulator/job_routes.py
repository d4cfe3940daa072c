"""/api/jobs and what a team may ask about its jobs."""

import re
import uuid
from typing import cast

from dashboard.simulator import schemas
from dashboard.simulator.answers import (
    Answer,
    Json,
    Refusal,
    detail,
    event,
    json_answer,
    refuse,
    stream,
    text_500,
)
from dashboard.simulator.charging import charge
from dashboard.simulator.job_payloads import (
    breakdown_of,
    calls_of,
    cost_of,
    job_of,
    totals_of,
)
from dashboard.simulator.llm import allowed_model, call_provider
from dashboard.simulator.requests import Auth, Call, Route
from dashboard.simulator.single_call import (
    LLM_FIELDS,
    SINGLE_FIELDS,
    create_and_call,
    create_and_stream,
    new_job,
    replied,
)
from dashboard.simulator.stamps import naive
from dashboard.simulator.world import Job, JobState

LONGEST_ERROR_MESSAGE = 1000
_NO_CONTEXT_MANAGER = (
    "'Response' object does not support the asynchronous context manager protocol"
)


def create(call: Call) -> Answer:
    job = new_job(call, cast("dict[str, Json] | None", call.body.get("metadata", {})))
    return json_answer(
        {
            "job_id": job.job_id,
            "status": job.state.value,
            "created_at": naive(job.created_at),
        }
    )


def get(call: Call) -> Answer:
    return json_answer(job_of(_own_job(call)))


def costs(call: Call) -> Answer:
    job = _own_job(call)
    total: dict[str, Json] = {
        "total_cost_usd": cost_of(job),
        "breakdown": breakdown_of(job),
    }
    return json_answer(
        {
            "job_id": job.job_id,
            "team_id": job.team_id,
            "job_type": job.job_type,
            "status": job.state.value,
            "costs": total,
        }
    )


def patch_metadata(call: Call) -> Answer:
    job = _own_job(call)
    added = cast("dict[str, Json]", call.body["metadata"])
    job.metadata = {**(job.metadata or {}), **added}
    return json_answer(
        {
            "job_id": job.job_id,
            "metadata": job.metadata,
            "updated_at": naive(call.now),
        }
    )


def llm_call(call: Call) -> Answer:
    """Call the provider; a failure leaves the job in progress (contract 4)."""
    job = _own_job(call)
    done = call_provider(call, job, allowed_model(call))
    if done.failure is not None:
        return detail(500, done.failure.detail, think_s=done.took_s)
    return json_answer(
        {"call_id": done.call.call_id, **replied(done)}, think_s=done.took_s
    )


def llm_call_stream(call: Call) -> Answer:
    """Fail inside a 200, always: so does the real one (contract 1.6)."""
    _own_job(call)
    allowed_model(call)
    return stream(event({"error": _NO_CONTEXT_MANAGER}))


def complete(call: Call) -> Answer:
    """End a job; only `completed` costs, even without a single call."""
    job = _own_job(call)
    too_long = len(call.text("error_message")) > LONGEST_ERROR_MESSAGE
    if too_long or (job.metadata is None and call.body.get("metadata")):
        raise Refusal(text_500())
    team = call.owner
    job.completed_at = call.now
    job.error_message = call.text("error_message") or None
    charged = False
    if call.text("status") == "completed":
        job.state = JobState.COMPLETED
        charged = charge(call.world, team, job, cost_of(job), call.now)
    else:
        job.state = JobState.FAILED
    return json_answer(
        {
            "job_id": job.job_id,
            "status": job.state.value,
            "completed_at": naive(call.now),
            "costs": totals_of(job, team, cost_of(job), charged=charged),
            "calls": calls_of(job),
        }
    )


def usage(call: Call) -> Answer:
    """Sum a month up; any other period is a 200 of zeros (contract 3)."""
    period = schemas.query_text(call.request.query, "period")
    team = call.own_team("access usage data")
    jobs: list[Job] = []
    if re.fullmatch(r"\d{4}-\d{2}", period):
        jobs = [
            job
            for job in call.world.jobs_of(team.team_id)
            if job.created_at.strftime("%Y-%m") == period
        ]
    usd = round(sum(cost_of(job) for job in jobs), 8)
    types: dict[str, Json] = {}
    for kind in sorted({job.job_type for job in jobs}):
        these = [job for job in jobs if job.job_type == kind]
        spent = round(sum(cost_of(job) for job in these), 8)
        types[kind] = {"count": len(these), "cost_usd": spent}
    summary: dict[str, Json] = {
        "total_jobs": len(jobs),
        "successful_jobs": sum(job.state is JobState.COMPLETED for job in jobs),
        "failed_jobs": sum(job.state is JobState.FAILED for job in jobs),
        "total_cost_usd": usd,
        "total_tokens": sum(one.tokens for job in jobs for one in job.calls),
        "avg_cost_per_job": usd / len(jobs) if jobs else 0.0,
    }
    return json_answer(
        {
            "team_id": team.team_id,
            "period": period,
            "summary": summary,
            "job_types": types,
        }
    )


def team_jobs(call: Call) -> Answer:
    query = call.request.query
    limit = schemas.query_integer(query, "limit", 100)
    offset = schemas.query_integer(query, "offset", 0)
    team = call.own_team("access jobs")
    wanted = query.get("status")
    unknown = wanted is not None and wanted not in set(JobState)
    if limit < 0 or offset < 0 or unknown:
        raise Refusal(text_500())
    found = [
        job
        for job in call.world.jobs_of(team.team_id)
        if wanted is None or job.state == wanted
    ][offset : offset + limit]
    return json_answer(
        {
            "team_id": team.team_id,
            "total": len(found),
            "jobs": [job_of(job) for job in found],
        }
    )


def _own_job(call: Call) -> Job:
    """Return the job in the path: a bad id is a text 500, then 404, then 403."""
    try:
        job_id = str(uuid.UUID(call.params["job_id"]))
    except ValueError:
        raise Refusal(text_500()) from None
    job = call.world.jobs.get(job_id)
    if job is None:
        raise refuse(404, "Job not found")
    if job.team_id != call.owner.team_id:
        raise refuse(403, "Job does not belong to your team")
    return job


_KEY = Auth.VIRTUAL_KEY
_JOB = "/api/jobs/{job_id}"
ROUTES = (
    Route(
        "POST",
        "/api/jobs/create",
        _KEY,
        create,
        (
            schemas.Field("team_id", schemas.text),
            schemas.Field("job_type", schemas.text),
            schemas.maybe("user_id", schemas.text),
            schemas.maybe("metadata", schemas.mapping),
        ),
    ),
    Route("POST", "/api/jobs/create-and-call", _KEY, create_and_call, SINGLE_FIELDS),
    Route(
        "POST",
        "/api/jobs/create-and-call-stream",
        _KEY,
        create_and_stream,
        SINGLE_FIELDS,
    ),
    Route("GET", _JOB, _KEY, get),
    Route("GET", f"{_JOB}/costs", _KEY, costs),
    Route(
        "PATCH",
        f"{_JOB}/metadata",
        _KEY,
        patch_metadata,
        (schemas.Field("metadata", schemas.mapping),),
    ),
    Route("POST", f"{_JOB}/llm-call", _KEY, llm_call, LLM_FIELDS),
    Route("POST", f"{_JOB}/llm-call-stream", _KEY, llm_call_stream, LLM_FIELDS),
    Route(
        "POST",
        f"{_JOB}/complete",
        _KEY,
        complete,
        (
            schemas.Field("status", schemas.one_of("completed", "failed")),
            schemas.maybe("metadata", schemas.mapping),
            schemas.maybe("error_message", schemas.text),
        ),
    ),
    Route("GET", "/api/teams/{team_id}/usage", _KEY, usage),
    Route("GET", "/api/teams/{team_id}/jobs", _KEY, team_jobs),
)
