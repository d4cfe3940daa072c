from django.core.management.commands import migrate

from dashboard.management import schema


class Command(migrate.Command):
    """Django's, which takes its turn, and leaves the database of a newer version alone."""

    def handle(self, *args: object, **options: object) -> None:
        with schema.alone(self.stderr.write):
            schema.refuse_newer()
            super().handle(*args, **options)
