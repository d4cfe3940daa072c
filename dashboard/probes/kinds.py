"""What each kind of probe proves, costs and asks, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dashboard.probes.models import ProbeKind


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: `endpoints` are the "METHOD /route" of its calls, the main one first.

    `paid` probes cost credits or load: they are held while a breaker is open, but a job
    that they have created is ended; they run in a lane of their own, and are off until
    somebody accepts their cost.
    """

    proves: str
    period_s: int
    endpoints: tuple[str, ...]
    needs_key: bool = False
    paid: bool = False
    for_team: bool = True
    credits_per_run: float = 0.0
    # At most: the question, and the few tokens that its answer may have.
    tokens_per_run: int = 0

    @property
    def retries(self) -> int:
        """How often the main call is tried again: a monitor hides no failure."""
        return 0 if self.paid else 1


_CREATE, _COMPLETE = "POST /api/jobs/create", "POST /api/jobs/{job_id}/complete"

KINDS: Mapping[ProbeKind, Kind] = MappingProxyType(
    {
        ProbeKind.HEALTH: Kind(
            "The gateway's process answers; it asks neither its database nor a provider.",
            period_s=60,
            endpoints=("GET /health",),
            for_team=False,
        ),
        ProbeKind.TEAM_STATUS: Kind(
            "The gateway reads its database; tells the team's status and credits.",
            period_s=60,
            endpoints=("GET /api/teams/{team_id}",),
        ),
        ProbeKind.BALANCE: Kind(
            "The team's key is accepted; tells the team's credits.",
            period_s=300,
            endpoints=("GET /api/credits/teams/{team_id}/balance",),
            needs_key=True,
        ),
        ProbeKind.KEY_CHECK: Kind(
            "The team can create a job; the job is failed at once, which is free.",
            period_s=900,
            endpoints=(_CREATE, _COMPLETE),
            needs_key=True,
            paid=True,
        ),
        ProbeKind.DEEP_JOB: Kind(
            "A whole job with an LLM call works; each run costs a credit and tokens.",
            period_s=900,
            endpoints=("POST /api/jobs/{job_id}/llm-call", _CREATE, _COMPLETE),
            needs_key=True,
            paid=True,
            credits_per_run=1.0,
            tokens_per_run=50,
        ),
        ProbeKind.STREAM_JOB: Kind(
            "A reply comes as a stream, whole; tells the time to its first token. Each "
            "run costs a credit and tokens. Some gateways' streams inside jobs fail.",
            period_s=900,
            endpoints=("POST /api/jobs/{job_id}/llm-call-stream", _CREATE, _COMPLETE),
            needs_key=True,
            paid=True,
            credits_per_run=1.0,
            tokens_per_run=50,
        ),
    }
)

PAID = tuple(kind for kind, row in KINDS.items() if row.paid)
# Those whose reply is a stream of events.
STREAMED = (ProbeKind.STREAM_JOB,)
CHEAP = tuple(kind for kind, row in KINDS.items() if not row.paid)
NEED_KEY = tuple(kind for kind, row in KINDS.items() if row.needs_key)
# A reading of the team's credits comes of each of their answers.
TELL_CREDITS = (ProbeKind.TEAM_STATUS, ProbeKind.BALANCE)
TEAM_KINDS = tuple(kind for kind, row in KINDS.items() if row.for_team)


def runs_a_day(period_s: int) -> float:
    return 86_400 / period_s
