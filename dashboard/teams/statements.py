"""A team's statement: which is to be read, and how the latest one is kept and found."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import F, Q

from dashboard.teams.models import Statement, Team, TeamStatus

AGE = timedelta(hours=1)
MOST_ENTRIES = 20
MOST_TYPES = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the credits; None and "" where the gateway did not tell."""

    at: str = ""
    kind: str = ""
    amount: float | None = None
    before: float | None = None
    after: float | None = None
    reason: str = ""
    job_id: str = ""

    @property
    def change(self) -> float | None:
        """What the balance itself did; without it, the amount as it was told."""
        if self.before is None or self.after is None:
            return self.amount
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class JobType:
    """What the jobs of one type were and cost."""

    name: str
    jobs: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What the jobs of one month, "2026-03", were and cost; those most used first."""

    period: str
    jobs: float | None = None
    failed: float | None = None
    tokens: float | None = None
    cost_usd: float | None = None
    types: Sequence[JobType] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What one round of reading told: a half or, with its error class, why not."""

    transactions: Sequence[Entry] | None = None
    transactions_error: str = ""
    usage: Usage | None = None
    usage_error: str = ""


def due(now: datetime, most: int, but: Collection[int] = ()) -> Sequence[Team]:
    """Return teams to read, those that waited longest first, of no gateway in `but`.

    They have a key and a probe that is on, and the gateway has not told that they are
    stopped: then their own key reads nothing. A new key is tried at once.
    """
    is_old = (
        Q(statement__isnull=True)
        | Q(statement__tried_at__lte=now - AGE)
        | Q(statement__tried_at__lt=F("key_set_at"))
    )
    teams = (
        Team.objects.filter(is_old, probes__enabled=True)
        .exclude(key_sealed="")
        .exclude(status__in=(TeamStatus.SUSPENDED, TeamStatus.PAUSED))
        .exclude(gateway__in=but)
    )
    oldest_first = F("statement__tried_at").asc(nulls_first=True)
    return list(
        teams.select_related("gateway").distinct().order_by(oldest_first, "pk")[:most]
    )


def keep(team: Team, told: Told, now: datetime) -> None:
    """Write what was told over the team's row; a half that was not told stays."""
    new: dict[str, object] = {
        "tried_at": now,
        "transactions_error": told.transactions_error,
        "usage_error": told.usage_error,
    }
    if told.transactions is not None:
        entries = [asdict(each) for each in told.transactions[:MOST_ENTRIES]]
        new |= {"transactions": entries, "transactions_at": now}
    if told.usage is not None:
        new |= {"usage": asdict(told.usage), "usage_at": now}
    with suppress(IntegrityError):  # the team was deleted meanwhile
        Statement.objects.update_or_create(team=team, defaults=new)


def entries_of(statement: Statement) -> Sequence[Entry]:
    return [Entry(**each) for each in statement.transactions or ()]


def usage_of(statement: Statement) -> Usage | None:
    # As `keep` wrote it; rows of before there were types lack them.
    found: dict[str, Any] | None = statement.usage
    if not found:
        return None
    types = [JobType(**each) for each in found.get("types", ())]
    return Usage(**{**found, "types": types})


def statement_of(team: Team) -> Statement | None:
    """Return the team's statement; no query where it was selected with the team."""
    return getattr(team, "statement", None)
