"""Read teams' statements with their own keys: seldom, once, and to nobody's alarm.

Nothing of this is an outcome: a gateway that has no such endpoints is as well as another.
"""

import logging
from datetime import datetime
from typing import TypeVar

from apiclient import CallReport, Client, ErrorClass, TeamUsage, Transaction, operations
from apiclient.operations import Operation
from apiclient.payloads import is_job_id
from apiclient.redact import Secret, redact
from dashboard.teams.keys import KeyUnavailableError, resolve
from dashboard.teams.models import Team
from dashboard.teams.statements import (
    MOST_ENTRIES,
    MOST_TYPES,
    Entry,
    JobType,
    Told,
    Usage,
)

T = TypeVar("T")

logger = logging.getLogger(__name__)

DEADLINE_S = 5.0
_MOST_BYTES = 1_000_000
_REASON_LENGTH = 120
_KIND_LENGTH = 40


def read_statement(team: Team, now: datetime) -> Told:
    """Ask for the latest transactions, and the usage of the month that `now` is in.

    Never raises for what the gateway or the key does: that is the error class.
    """
    try:
        key = resolve(team)
        if key is None:
            return _untold(ErrorClass.CONFIG)
        # As for a probe: a client of its own, so that no connection or key is shared.
        client = Client(
            base_url=team.gateway.base_url,
            team_id=team.team_id,
            virtual_key=key,
            allow_private=team.gateway.allow_private,
            fresh_connections=True,
            breakers=None,
            max_body_bytes=_MOST_BYTES,
        )
        with client:
            return _asked(client, team, key, f"{now:%Y-%m}")
    except (KeyUnavailableError, ValueError):
        return _untold(ErrorClass.CONFIG)
    except Exception:
        logger.exception("statement.internal_error", extra={"team": team.pk})
        return _untold(ErrorClass.INTERNAL)


def _asked(client: Client, team: Team, key: Secret, month: str) -> Told:
    moved = _once(client, operations.team_transactions(team.team_id, MOST_ENTRIES))
    used = _once(client, operations.team_usage(team.team_id, month))
    return Told(
        transactions=None
        if moved.value is None
        else [_entry(each, key) for each in moved.value[:MOST_ENTRIES]],
        transactions_error=moved.error or "",
        usage=None if used.value is None else _usage(used.value, month, key),
        usage_error=used.error or "",
    )


def _once(client: Client, operation: Operation[T]) -> CallReport[T]:
    return client.report(
        operation.with_timeout(DEADLINE_S), max_retries=0, deadline_s=DEADLINE_S
    )


def _untold(error: ErrorClass) -> Told:
    return Told(transactions_error=error, usage_error=error)


def _entry(told: Transaction, key: Secret) -> Entry:
    return Entry(
        at=told.created_at.isoformat() if told.created_at else "",
        kind=redact(told.transaction_type, key.reveal(), limit=_KIND_LENGTH),
        amount=told.amount,
        before=told.before,
        after=told.after,
        reason=redact(told.reason, key.reveal(), limit=_REASON_LENGTH),
        job_id=told.job_id if is_job_id(told.job_id) else "",
    )


def _usage(told: TeamUsage, month: str, key: Secret) -> Usage:
    types = [
        JobType(
            redact(name, key.reveal(), limit=_KIND_LENGTH), each.count, each.cost_usd
        )
        for name, each in told.job_types.items()
    ]
    return Usage(
        period=month,
        jobs=told.total_jobs,
        failed=told.failed_jobs,
        tokens=told.total_tokens,
        cost_usd=told.total_cost_usd,
        types=sorted(types, key=lambda each: -(each.jobs or 0.0))[:MOST_TYPES],
    )
