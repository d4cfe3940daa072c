"""A team's latest transactions and its usage, as its own key last read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.utils.safestring import SafeString

from dashboard.probes.taxonomy import meaning
from dashboard.teams.models import Statement, Team, TeamStatus
from dashboard.teams.statements import AGE, Entry, JobType, Usage, entries_of, usage_of
from dashboard.web import words
from dashboard.web.exports import Sheet
from dashboard.web.pages.parts import Fact

_COLUMNS = (
    *("at_utc", "kind", "credits", "credits_before", "credits_after"),
    *("reason", "job_id"),
)
_TYPE_COLUMNS = ("month", "job_type", "jobs", "cost_usd")
_USAGE_COLUMNS = ("month", "jobs", "failed_jobs", "tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class EntryRow:
    at: SafeString
    kind: str
    change: str
    balance: str
    reason: str
    job: str


@dataclass(frozen=True, slots=True)
class TypeRow:
    name: str
    jobs: str
    cost: str


@dataclass(frozen=True, slots=True)
class Half:
    """How old one half is, and in a sentence why it is missing or not newer."""

    read_at: SafeString
    why: str
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class StatementPart:
    transactions: Half
    rows: list[EntryRow]
    usage: Half
    month: str
    facts: list[Fact]
    types: list[TypeRow]
    sheets: list[Sheet]


def statement_part(team: Team, found: Statement | None, now: datetime) -> StatementPart:
    """Return what the page shows of a statement; None is one never tried."""
    if found is None:
        never = Half(words.time(None, now, ""), _why(team, None, "", now))
        return StatementPart(never, [], never, "", [], [], [])
    entries, used = entries_of(found), usage_of(found)
    return StatementPart(
        transactions=Half(
            words.time(found.transactions_at, now, ""),
            _why(team, found.tried_at, found.transactions_error, now),
            _is_stale(found.transactions_at, now),
        ),
        rows=[_row(each, now) for each in entries],
        usage=Half(
            words.time(found.usage_at, now, ""),
            _why(team, found.tried_at, found.usage_error, now),
            _is_stale(found.usage_at, now),
        ),
        month=_month(used.period) if used else "",
        facts=_facts(used) if used else [],
        types=[_type(each) for each in used.types] if used else [],
        sheets=_sheets(entries, used),
    )


def _is_stale(read_at: datetime | None, now: datetime) -> bool:
    """Say whether newer readings should be there: two were missed."""
    return read_at is not None and now - read_at > 3 * AGE


def _month(period: str) -> str:
    return f"{date.fromisoformat(f'{period}-01'):%B %Y}"


def _why(team: Team, tried_at: datetime | None, error: str, now: datetime) -> str:
    if not team.has_key:
        return "The team has no key here: the gateway tells this to its own key only."
    if team.status in (TeamStatus.SUSPENDED, TeamStatus.PAUSED):
        return f"The team is {team.status}: until it is active, its key reads nothing."
    if tried_at is None:
        return "Not read yet: it is read every hour while the team has a probe."
    if error:
        title = meaning(error).title
        return f"Not told {words.ago(tried_at, now)}: {title} ({error})."
    return ""


def _row(entry: Entry, now: datetime) -> EntryRow:
    at = datetime.fromisoformat(entry.at) if entry.at else None
    balance = ""
    if entry.before is not None and entry.after is not None:
        balance = f"{words.number(entry.before)} → {words.number(entry.after)}"
    return EntryRow(
        at=words.time(at, now, "unknown"),
        kind=entry.kind.replace("_", " ") or "unknown",
        change=_signed(entry.change),
        balance=balance or "unknown",
        reason=entry.reason,
        job=entry.job_id,
    )


def _signed(change: float | None) -> str:
    if change is None:
        return "unknown"
    sign = "+" if change > 0 else "\u2212" if change < 0 else ""
    return f"{sign}{words.number(abs(change))}"


def _type(told: JobType) -> TypeRow:
    return TypeRow(
        told.name or "without a name", _number(told.jobs), _dollars(told.cost_usd)
    )


def _facts(used: Usage) -> list[Fact]:
    return [
        Fact("Jobs", _number(used.jobs)),
        Fact("Failed", _number(used.failed), is_bad=bool(used.failed)),
        Fact("Tokens", _number(used.tokens)),
        Fact("Cost", _dollars(used.cost_usd), "as the gateway reckons it"),
    ]


def _dollars(value: float | None) -> str:
    """Return "$0.5000"; never $0 for what is only near it."""
    if value is None:
        return words.NO_DATA
    return "<$0.0001" if 0 < value < 0.0001 else f"${value:,.4f}"


def _number(value: float | None) -> str:
    return words.NO_DATA if value is None else words.number(value)


def _sheets(entries: Sequence[Entry], used: Usage | None) -> list[Sheet]:
    found = []
    if entries:
        rows = [
            (e.at, e.kind, e.change, e.before, e.after, e.reason, e.job_id)
            for e in entries
        ]
        found.append(Sheet("transactions", [_COLUMNS, *rows]))
    if used:
        row = (used.period, used.jobs, used.failed, used.tokens, used.cost_usd)
        found.append(Sheet("usage", [_USAGE_COLUMNS, row]))
    if used and used.types:
        types = [(used.period, e.name, e.jobs, e.cost_usd) for e in used.types]
        found.append(Sheet("usage by job type", [_TYPE_COLUMNS, *types]))
    return found
