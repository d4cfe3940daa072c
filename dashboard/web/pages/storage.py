"""What the storage page shows: what each level takes, and what a setting would cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from dashboard.alerts import retention
from dashboard.rollups.storage import Use, database_bytes, uses
from dashboard.web import words

_TITLES = {
    "raw": ("Results", "each with its attempts; the latest detail there is"),
    "readings": ("Credit readings", "as long as results"),
    "minute": ("Minutes", "the last hours' charts"),
    "hour": ("Hours", "charts of days and weeks"),
    "day": ("Days", "charts of months and years"),
    "incidents": ("Incidents", "with their timelines; open ones stay"),
    "mails": ("Mails and messages", "as long as incidents"),
}
# What is kept by the setting of another, or by one of another name.
_KEPT_AS = {"readings": "raw", "incidents": "incident", "mails": "incident"}


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    serves: str
    setting: str
    kept: str
    rows: str
    oldest: SafeString
    size: str
    row_size: str
    a_day: str
    at_setting: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Storage:
    whole: str
    is_empty: bool
    rows: list[Row]
    at_settings: str
    wanted: str


def storage(days: Mapping[str, int], now: datetime) -> Storage:
    """`days` says for how many days each level might be kept; others as they are set."""
    found = (*uses(now), *retention.uses(now))
    kept = {use.name: days.get(_setting(use), use.kept_days) for use in found}
    return Storage(
        whole=words.size(database_bytes()),
        is_empty=not any(use.rows for use in found),
        rows=[_row(use, kept[use.name], now) for use in found],
        at_settings=words.size(sum(use.bytes_after(use.kept_days) for use in found)),
        wanted=words.size(sum(use.bytes_after(kept[use.name]) for use in found)),
    )


def _setting(use: Use) -> str:
    return _KEPT_AS.get(use.name, use.name)


def _row(use: Use, wanted_days: int, now: datetime) -> Row:
    name, serves = _TITLES[use.name]
    return Row(
        name=name,
        serves=serves,
        setting=f"RETENTION_{_setting(use).upper()}_DAYS",
        kept=words.count(use.kept_days, "day"),
        rows=f"{use.rows:,}",
        oldest=words.time(use.oldest, now, "none so far"),
        size=words.size(use.bytes),
        row_size=words.size(use.row_bytes),
        a_day=words.size(use.bytes_a_day),
        at_setting=words.size(use.bytes_after(use.kept_days)),
        wanted=f"{words.size(use.bytes_after(wanted_days))} for {words.count(wanted_days, 'day')}",
    )
