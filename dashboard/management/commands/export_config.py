from django.core.management.base import BaseCommand

from dashboard.management.config.export import export


class Command(BaseCommand):
    help = "Print the configuration as TOML for load_config; keys become env:NAME."
    requires_system_checks = []

    def handle(self, **_: object) -> None:
        self.stdout.write(export(), ending="")
