"""manage.py backtest_rules: what the rules would have told in the last days."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from dashboard.alerts.backtest import Alarm, backtest, can_replay, in_words, probes_of
from dashboard.alerts.models import Rule
from dashboard.lib.spans import duration
from dashboard.management.edge import UsageError
from dashboard.management.tables import table

_MOST_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Judge the stored past by the rules, also by those that are switched off, and "
        "list the alarms that there would have been. Changes and sends nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, default=7, help="How many days back; 7 by default."
        )
        parser.add_argument(
            "--rule", metavar="NAME", help="One rule, by its name; all by default."
        )

    def handle(self, *args: object, **options: object) -> None:
        days, name = options["days"], options["rule"]
        if not isinstance(days, int) or days < 1:
            raise UsageError(f"--days {days} is not a positive number of days.")
        now = timezone.now()
        for rule in _rules(name):
            if not can_replay(rule):
                self.stdout.write(f"{rule}: what it is judged by is not stored.\n")
                continue
            found = backtest(rule, probes_of(rule), now - timedelta(days=days), now)
            off = "" if rule.enabled else " (switched off)"
            self.stdout.write(f"{rule}{off}, {in_words(found, days, now)}.")
            if found:
                self.stdout.write(_table(found))
            if len(found) > _MOST_SHOWN:
                self.stdout.write(f"… and {len(found) - _MOST_SHOWN} before.")
            self.stdout.write("")


def _rules(name: object) -> list[Rule]:
    rules = Rule.objects.select_related("gateway", "team", "probe")
    if name is None:
        return list(rules)
    found = list(rules.filter(name=name))
    if not found:
        known = ", ".join(rules.values_list("name", flat=True))
        raise UsageError(f"There is no rule {name!r}; there are: {known}.")
    return found


def _table(found: list[Alarm]) -> str:
    rows = [
        [
            f"  {alarm.opened_at:%Y-%m-%d %H:%M}",
            duration((alarm.ended_at - alarm.opened_at).total_seconds())
            if alarm.ended_at
            else "still",
            alarm.severity,
            alarm.target,
            alarm.text,
        ]
        for alarm in found[-_MOST_SHOWN:]
    ]
    return table(["  opened (UTC)", "lasted", "severity", "of", "what"], rows)
