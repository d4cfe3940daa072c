"""One LLM call on behalf of a job: may it, does it work, and what is written down."""

from dataclasses import dataclass

from dashboard.simulator.answers import Refusal, refuse, text_500
from dashboard.simulator.faults import PROVIDER_FAULTS
from dashboard.simulator.provider import Failure, Reply, failure, reply
from dashboard.simulator.requests import Call
from dashboard.simulator.world import MODELS, Job, JobState, LlmCall, Model

_BY_ALIAS = {model.alias: model for model in MODELS}
LONGEST_PURPOSE = 200


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a call: a reply or a failure, and the seconds it took."""

    call: LlmCall
    took_s: float
    reply: Reply | None = None
    failure: Failure | None = None


def allowed_model(call: Call) -> Model:
    """Return the model asked for, or refuse as the gateway does (contract 3)."""
    alias, team = call.text("model"), call.owner
    model = _BY_ALIAS.get(alias)
    if model is None:
        where = f"model group '{alias}'"
    elif model.group not in team.access_groups:
        where = f"model alias '{alias}'"
    else:
        return model
    raise refuse(403, f"Team '{team.team_id}' does not have access to {where}")


def call_provider(call: Call, job: Job, model: Model) -> Done:
    """Call the provider and note the call on the job, which is then in progress."""
    if len(call.text("purpose")) > LONGEST_PURPOSE:
        raise Refusal(text_500())
    if job.state is JobState.PENDING:
        job.state = JobState.IN_PROGRESS
        job.started_at = call.now
    fault = call.fault(*PROVIDER_FAULTS)
    if fault is not None:
        failed = failure(fault.kind, model)
        took_s = failed.took_s * call.latency.scale
        note = _noted(call, model, took_s, None, failed.detail)
        job.calls.append(note)
        return Done(note, took_s, failure=failed)
    took_s = call.latency.of_reply(call.rng)
    answer = reply(model, call.body["messages"], call.integer("max_tokens"), call.rng)
    note = _noted(call, model, took_s, answer, None)
    job.calls.append(note)
    return Done(note, took_s, reply=answer)


def _noted(
    call: Call, model: Model, took_s: float, answer: Reply | None, error: str | None
) -> LlmCall:
    return LlmCall(
        call_id=call.world.new_id(),
        model=model.alias,
        purpose=call.text("purpose") or None,
        prompt_tokens=answer.prompt_tokens if answer else 0,
        completion_tokens=answer.completion_tokens if answer else 0,
        cost_usd=answer.cost_usd if answer else 0.0,
        latency_ms=round(took_s * 1000),
        error=error,
        created_at=call.now,
    )
