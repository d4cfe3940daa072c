"""manage.py rebuild_rollups: prove that rollups equal outcomes, or make them so."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import UTC, date, datetime

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dashboard.management.edge import UsageError
from dashboard.rollups import rebuild
from dashboard.rollups.models import Level
from dashboard.rollups.rebuild import Difference
from dashboard.rollups.retention import kept_from

_MOST_SHOWN = 50
_COMPARED = (
    *("samples", "bad", "excluded", "first_try_ok", "attempts", "classes"),
    *("up_s", "down_s"),
)


class Command(BaseCommand):
    help = (
        "Compare the rollups with the outcomes that they were folded from, and mend the "
        "ones that differ. Days whose outcomes are no longer kept are never touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; exit 1 when a rollup differs.",
        )
        parser.add_argument(
            "--since",
            type=_day,
            metavar="YYYY-MM-DD",
            help="The first day, in UTC; without it all days that have their outcomes.",
        )

    def handle(self, *args: object, **options: object) -> None:
        now = timezone.now()
        since = _since(options["since"], now)
        check = bool(options["check"])
        found = (rebuild.check if check else rebuild.rebuild)(since, now)
        number = self._show(found)
        if number and check:
            raise CommandError(
                f"{number} rollups differ; `manage.py rebuild_rollups` mends them.",
                returncode=1,
            )
        said = f"Mended {number} rollups." if number else "All rollups are right."
        self.stdout.write(f"{said} Looked at {since:%Y-%m-%d} and later.")

    def _show(self, differences: Iterator[Difference]) -> int:
        number = 0
        for number, each in enumerate(differences, start=1):
            if number <= _MOST_SHOWN:
                self.stdout.write(_line(each))
        if number > _MOST_SHOWN:
            self.stdout.write(f"… and {number - _MOST_SHOWN} more.")
        return number


def _line(each: Difference) -> str:
    level = Level(each.key.level).label.lower()
    bucket = f"probe {each.key.probe_id}, {level} {each.key.start:%Y-%m-%d %H:%M}"
    if each.stored is None or each.true is None:
        return f"{bucket}: {'not there' if each.stored is None else 'has no outcomes'}"
    changes = [
        f"{name} {getattr(each.stored, name)!s} is {getattr(each.true, name)!s}"
        for name in _COMPARED
        if getattr(each.stored, name) != getattr(each.true, name)
    ]
    return f"{bucket}: {', '.join(changes) or 'latencies differ'}"


def _since(day: object, now: datetime) -> datetime:
    kept = kept_from("raw", now)
    if not isinstance(day, date):
        return kept
    since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if since < kept:
        raise UsageError(
            f"--since {day} is before {kept:%Y-%m-%d}, the first day whose outcomes are "
            "still kept (RETENTION_RAW_DAYS); older rollups cannot be rebuilt."
        )
    return since


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a day like 2026-03-02") from None
