from argparse import ArgumentParser
from contextlib import closing

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from dashboard.management import stack
from dashboard.management.address import Bind, listen
from dashboard.management.edge import UsageError
from dashboard.management.supervisor import Service, Supervisor
from dashboard.web.setup import setup_url


class Command(BaseCommand):
    help = "Run Gatewatch: the web server and the jobs, restarted when they fail."
    # stack.check() says what is wrong, a line each.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-web", action="store_true", help="run only the jobs")
        parser.add_argument(
            "--no-jobs", action="store_true", help="run only the web server"
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=2,
            help="processes of the web server (default: 2; each has 8 threads)",
        )
        add_bind(parser)

    def handle(
        self, *, bind: str, no_web: bool, no_jobs: bool, workers: int, **_: object
    ) -> None:
        if no_web and no_jobs:
            raise UsageError("--no-web with --no-jobs leaves nothing to run; drop one.")
        if workers < 1:
            raise UsageError(f"--workers {workers}: at least one is needed.")
        stack.check()
        if no_web:
            self._prepare()
            self._tell("Gatewatch's jobs run (Ctrl-C stops them).")
            Supervisor([stack.jobs(settings.PUBLIC_URL)]).run()
            return
        server, bound = listen(Bind.parse(bind))
        with closing(server):
            self._prepare()
            services = [stack.web(server, bound, workers)]
            if not no_jobs:
                services.append(stack.jobs(settings.PUBLIC_URL or bound.url))
            self._serve(services, bound)

    def _prepare(self) -> None:
        stack.prepare(self._tell)
        for warning in stack.warnings():
            self._tell(warning)

    def _tell(self, sentence: str) -> None:
        """Say it at once: a journal's pipe would keep it until the process ends."""
        self.stdout.write(sentence)
        self.stdout.flush()

    def _serve(self, services: list[Service], bound: Bind) -> None:
        address = settings.PUBLIC_URL or bound.url
        self.stdout.write(f"Gatewatch runs at {address} (Ctrl-C stops it).")
        if settings.PUBLIC_URL:
            self.stdout.write(f"It listens at {bound.url}.")
        if bound.is_wildcard and not settings.PUBLIC_URL:
            self.stdout.write(
                "Only this machine is let in: set PUBLIC_URL to how others reach it, as "
                f"http://HOST:{bound.port}."
            )
        if not settings.EMAIL_CONFIGURED:
            self.stdout.write(
                "Mail is not set up: alarms wait until EMAIL_URL is set, as "
                "submission://USER:PASSWORD@HOST:587."
            )
        link = setup_url(timezone.now(), address)
        if link:
            self.stdout.write(f"Nobody can log in yet. Make the first admin at {link}")
        self.stdout.flush()
        Supervisor(services).run()


def add_bind(parser: ArgumentParser) -> None:
    """Add the argument that `up` and `demo` share."""
    parser.add_argument(
        "--bind",
        default="127.0.0.1:8000",
        metavar="HOST:PORT",
        help="where the web server listens (default: 127.0.0.1:8000)",
    )
