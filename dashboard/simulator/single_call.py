"""create-and-call and its stream: a job, its one LLM call and its end in one request."""

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
from dashboard.simulator.faults import FaultKind
from dashboard.simulator.job_payloads import totals_of
from dashboard.simulator.llm import Done, allowed_model, call_provider
from dashboard.simulator.provider import KEEPALIVE, frames
from dashboard.simulator.requests import Call
from dashboard.simulator.stamps import naive
from dashboard.simulator.world import Job, JobState

LONGEST_JOB_TYPE = 100

LLM_FIELDS: schemas.Schema = (
    schemas.Field("model", schemas.text),
    schemas.Field("messages", schemas.list_of(schemas.mapping)),
    schemas.maybe("purpose", schemas.text),
    schemas.maybe("temperature", schemas.number),
    schemas.maybe("max_tokens", schemas.integer),
    schemas.maybe("response_format", schemas.mapping),
    schemas.maybe("tools", schemas.list_of(schemas.mapping)),
    schemas.maybe("tool_choice", schemas.anything),
    schemas.maybe("top_p", schemas.number),
    schemas.maybe("frequency_penalty", schemas.number),
    schemas.maybe("presence_penalty", schemas.number),
    schemas.maybe("stop", schemas.list_of(schemas.text)),
    schemas.maybe("call_metadata", schemas.mapping),
)
SINGLE_FIELDS: schemas.Schema = (
    schemas.Field("team_id", schemas.text),
    schemas.Field("job_type", schemas.text),
    *LLM_FIELDS,
    schemas.maybe("user_id", schemas.text),
    schemas.maybe("job_metadata", schemas.mapping),
)


def new_job(call: Call, metadata: dict[str, Json] | None) -> Job:
    """Write a new job of the key's own team down."""
    asked, team = call.text("team_id"), call.owner
    if asked != team.team_id:
        raise refuse(403, f"API key does not belong to team '{asked}'")
    job_type = call.text("job_type")
    if len(job_type) > LONGEST_JOB_TYPE or "\0" in job_type:
        raise Refusal(text_500())
    return call.world.add_job(
        Job(
            job_id=call.world.new_id(),
            team_id=team.team_id,
            job_type=job_type,
            created_at=call.now,
            user_id=call.text("user_id") or None,
            metadata=metadata,
        )
    )


def replied(done: Done) -> dict[str, Json]:
    """Return `response` and `metadata` of a call that worked."""
    if done.reply is None:
        raise ValueError("a failed call has no reply")
    return {
        "response": {
            "content": done.reply.content,
            "finish_reason": done.reply.finish_reason,
        },
        "metadata": {
            "tokens_used": done.reply.tokens,
            "latency_ms": done.call.latency_ms,
            "model": done.call.model,
        },
    }


def create_and_call(call: Call) -> Answer:
    """Do all in one; its cost in USD is always 0.0, as measured (contract 3.1)."""
    job, done = _run(call)
    if done.failure is not None:
        _fail(call, job, done.failure.detail)
        return detail(500, done.failure.detail, think_s=done.took_s)
    charged = _finish(call, job)
    return json_answer(
        {
            "job_id": job.job_id,
            "status": job.state.value,
            **replied(done),
            "costs": totals_of(job, call.owner, 0.0, charged=charged),
            "completed_at": naive(call.now),
        },
        think_s=done.took_s,
    )


def create_and_stream(call: Call) -> Answer:
    """Stream in the provider's own dialect; whatever fails does so inside the 200."""
    job, done = _run(call)
    error: str | None = None
    if done.failure is not None:
        error = done.failure.stream_error
    elif call.fault(FaultKind.ERROR_IN_200):
        error = "500: Failed to call provider API: Server error"
    if error is not None or done.reply is None:
        _fail(call, job, error or "")
        return stream(KEEPALIVE, event({"error": error}), think_s=done.took_s)
    model = allowed_model(call)
    chunks = frames(model, done.reply, int(call.now.timestamp()))
    if call.fault(FaultKind.STREAM_CUT):
        # The server died here: the job stays in progress for ever, not charged.
        return stream(*chunks, think_s=done.took_s, cut_after=len(chunks) // 2)
    _finish(call, job)
    return stream(*chunks, think_s=done.took_s)


def _run(call: Call) -> tuple[Job, Done]:
    metadata = cast("dict[str, Json] | None", call.body.get("job_metadata", {}))
    job = new_job(call, metadata)
    try:
        model = allowed_model(call)
    except Refusal:
        _fail(call, job, "Model access denied")
        raise
    return job, call_provider(call, job, model)


def _finish(call: Call, job: Job) -> bool:
    job.state = JobState.COMPLETED
    job.completed_at = call.now
    return charge(call.world, call.owner, job, 0.0, call.now)


def _fail(call: Call, job: Job, why: str) -> None:
    job.state = JobState.FAILED
    job.completed_at = call.now
    job.error_message = why
