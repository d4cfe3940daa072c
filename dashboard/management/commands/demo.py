import fcntl
import os
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections
from django.utils import timezone

from dashboard.management import demo, stack
from dashboard.management.address import Bind, listen
from dashboard.management.commands.up import add_bind
from dashboard.management.edge import UsageError
from dashboard.management.supervisor import Service, Supervisor

# What a production environment may hold; the demo never touches any of it.
FOREIGN = (
    *("DATABASE_URL", "PUBLIC_URL", "EMAIL_URL", "ALLOWED_HOSTS"),
    # The watcher of the real one would be told that all is well.
    "GATEWATCH_PING_URL",
)
WORKERS = 2


class Command(BaseCommand):
    help = "Show Gatewatch at work: a stand-in gateway, its past, and faults going on."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_bind(parser)
        parser.add_argument(
            "--fresh", action="store_true", help="begin with a new database"
        )

    def handle(self, *, bind: str, fresh: bool, **_: object) -> None:
        asked = Bind.parse(bind)
        if not settings.DEMO:
            _start_again_as_demo()
        stack.check()
        server, bound = listen(asked)
        with closing(server), _alone(settings.VAR_DIR / "demo.lock"):
            database = Path(settings.DATABASES["default"]["NAME"])
            if fresh:
                _remove(database)
            if not database.exists():
                self.stdout.write(
                    "Writing 30 days of history; this takes some seconds."
                )
                self.stdout.flush()
            gateway = Bind("127.0.0.1", _free_port())
            stack.prepare(self.stdout.write)
            demo.seed(gateway.url, timezone.now())
            connections.close_all()
            self._tell(bound)
            web = stack.web(server, bound, WORKERS)
            Supervisor([_stand_in(gateway), web, stack.jobs(bound.url)]).run()

    def _tell(self, bound: Bind) -> None:
        self.stdout.write(
            f"The demo runs at {bound.url} (Ctrl-C stops it).\n"
            f"Log in as {settings.DEMO_USER} with password {settings.DEMO_PASSWORD}"
        )
        if not bound.is_loopback:
            self.stdout.write("Others can reach it, and its log-in is no secret.")
        self.stdout.flush()


def _start_again_as_demo() -> None:
    """Become the same command with the demo's settings, and no others."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in FOREIGN
    }
    python, arguments = sys.executable, sys.orig_argv[1:]
    os.execve(python, [python, *arguments], {**kept, "GATEWATCH_DEMO": "1"})  # noqa: S606


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the demo's lock; refuse to be the second one on the same database."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"Another demo runs on {path.parent}; stop it first, or name another "
                "folder in GATEWATCH_VAR."
            ) from None
        yield


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _stand_in(bind: Bind) -> Service:
    argv = [
        *(sys.executable, str(settings.BASE_DIR / "manage.py"), "simulate_gateway"),
        *("--bind", f"{bind.host}:{bind.port}", "--script", "demo"),
    ]
    return Service("stand-in", argv, ready=lambda: _accepts(bind))


def _accepts(bind: Bind) -> bool:
    try:
        socket.create_connection((bind.host, bind.port), timeout=0.5).close()
    except OSError:
        return False
    return True
