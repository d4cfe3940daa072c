"""Faults that change teams rather than answers: status, drain, refill."""

from collections.abc import Iterable
from datetime import datetime

from dashboard.simulator.faults import Fault, FaultKind, Standing
from dashboard.simulator.world import ACTIVE, Job, JobState, Team, World

_STATUS = {
    FaultKind.TEAM_SUSPENDED: "suspended",
    FaultKind.TEAM_PAUSED: "paused",
}
# The type of the jobs that use up what a drain takes.
_DRAINS = "chat"


def begin(fault: Fault, world: World, now: datetime) -> None:
    """Apply what a team fault does at once."""
    for team in _targets(fault, world):
        if fault.kind in _STATUS:
            team.status = _STATUS[fault.kind]
            team.updated_at = now
        elif fault.kind is FaultKind.REFILL:
            missing = team.credits_allocated - team.credits_remaining
            amount = fault.credits or max(0, missing)
            world.move_credits(
                team, amount, kind="one_time_payment", reason="Refill", now=now
            )


def end(fault: Fault, world: World, now: datetime) -> None:
    """Undo a status that is still the fault's own; credits stay as they are."""
    for team in _targets(fault, world):
        if team.status == _STATUS.get(fault.kind):
            team.status = ACTIVE
            team.updated_at = now


def drain_until(one: Standing, now_s: float, world: World, now: datetime) -> None:
    """Take what a drain by the second has used since it was last settled."""
    if one.fault.kind is not FaultKind.DRAIN or not one.fault.credits_per_s:
        return
    ends_at_s = one.ends_at_s
    until_s = now_s if ends_at_s is None else min(now_s, ends_at_s)
    used = one.fault.credits_per_s * (until_s - one.settled_at_s)
    one.settled_at_s = until_s
    for team in _targets(one.fault, world):
        team.owed_credits += used
        whole = int(team.owed_credits)
        team.owed_credits -= whole
        take(team, whole, world, now)


def take(team: Team, credits_: int, world: World, now: datetime) -> None:
    """Let a job of somebody's use up to this many credits; a drain ends at zero."""
    amount = min(credits_, max(0, team.credits_remaining))
    if not amount:
        return
    job = world.add_job(
        Job(
            job_id=world.new_id(),
            team_id=team.team_id,
            job_type=_DRAINS,
            created_at=now,
            state=JobState.COMPLETED,
            started_at=now,
            completed_at=now,
            credit_applied=True,
        )
    )
    world.move_credits(
        team,
        -amount,
        kind="deduction",
        reason="Job completed",
        now=now,
        job_id=job.job_id,
    )


def _targets(fault: Fault, world: World) -> Iterable[Team]:
    if fault.team is None:
        return list(world.teams.values())
    team = world.teams.get(fault.team)
    return [] if team is None else [team]
