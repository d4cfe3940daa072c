"""Everything that `up` and `demo` run, and what must be true before they run it."""

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from datetime import timedelta
from socket import socket
from uuid import uuid4

from django.conf import settings
from django.contrib.staticfiles.storage import (
    ManifestStaticFilesStorage,
    staticfiles_storage,
)
from django.core import checks
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import DatabaseError
from django.utils import timezone

from dashboard import schedules
from dashboard.alerts.services import install_default_rules
from dashboard.management import schema
from dashboard.management.address import Bind
from dashboard.management.edge import UsageError
from dashboard.management.supervisor import Service
from dashboard.management.watches import BeatWatch, WebWatch, latest_beat
from dashboard.probes.models import Heartbeat

WEB_THREADS = 8
# A shift looks at its lease every 3 s.
LEASE_CHECK_S = 4


def check() -> None:
    """Refuse to start an installation that the system checks call wrong; say all of it."""
    wrong = [
        _told(message)
        for message in checks.run_checks()
        if message.level >= checks.ERROR and not message.is_silenced()
    ]
    if wrong:
        raise UsageError("\n".join(wrong))


def _told(message: checks.CheckMessage) -> str:
    return " ".join([message.msg, *filter(None, [message.hint]), f"({message.id})"])


def prepare(tell: Callable[[str], None]) -> None:
    """Bring the database, the static files, the rules and the schedules up to date."""
    with schema.alone(tell):
        schema.refuse_newer()
        # Django's own: Gatewatch's would wait for this very lock.
        call_command(migrate.Command(), interactive=False, verbosity=0)
        install_default_rules()
        schedules.install(timezone.now())
    if isinstance(staticfiles_storage, ManifestStaticFilesStorage):
        collect_static()


def collect_static() -> None:
    """Put the static files where the web server reads them."""
    try:
        # The storage tells of each file on stdout, whatever the verbosity.
        with redirect_stdout(io.StringIO()):
            call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        raise UsageError(
            f"The static files cannot be put into {settings.STATIC_ROOT}: {error}; set "
            "GATEWATCH_STATIC to a folder that this user may write."
        ) from error


def warnings() -> list[str]:
    """Return what an administrator should know of the database, a sentence each."""
    found = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    return [_told(message) for message in found]


def web(server: socket, bind: Bind, workers: int) -> Service:
    """Return the web server; it inherits the listening socket.

    gthread, because an idle preconnected socket blocks a sync worker for 30 s.
    """
    argv = [
        *(sys.executable, "-m", "gunicorn", "dashboard.wsgi"),
        *("--bind", f"fd://{server.fileno()}", "--chdir", str(settings.BASE_DIR)),
        *("--worker-class", "gthread", "--threads", str(WEB_THREADS)),
        *("--workers", str(workers), "--graceful-timeout", "10"),
        *("--log-level", "warning", "--no-control-socket"),
        # No header says where the site begins: it would get into what is kept for all.
        *("--forwarder-headers", ""),
    ]
    # Mails that the web process sends link to where it is reached.
    known = settings.PUBLIC_URL or bind.url
    return Service(
        name="web",
        argv=argv,
        environment={"PUBLIC_URL": known},
        pass_fds=[server.fileno()],
        watch=WebWatch((bind.reachable_host, bind.port)),
    )


def jobs(public_url: str) -> Service:
    """Return the job cluster, which runs the ticks and sends the mails."""
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster"]
    return Service(
        name="jobs",
        argv=argv,
        environment={"PUBLIC_URL": public_url},
        watch=BeatWatch(lambda: latest_beat("tick-0"), schedules.start_now),
        ending=_end_shifts,
    )


def _end_shifts() -> None:
    """Take the leases of the running shifts away, so that they end within seconds.

    A cluster that is asked to stop waits for its tasks, and a shift lasts a minute.
    """
    taken_until = timezone.now() + timedelta(seconds=LEASE_CHECK_S)
    with suppress(DatabaseError):
        Heartbeat.objects.filter(leased_until__gt=timezone.now()).exclude(
            name="deep"
        ).update(holder=uuid4(), leased_until=taken_until)
