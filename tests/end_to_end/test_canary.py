"""Secrets are put in wherever they can enter, and looked for wherever anything comes out.

That is the database, pages, admin, mails, commands, logs and tasks: C-01, C-02, C-03, C-05.
"""

import base64
import io
import logging
import queue
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from multiprocessing import Value
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ
from django_q.monitor import monitor
from django_q.tasks import async_task
from django_q.worker import worker
from pytest_django import Settings

from dashboard import pipeline
from dashboard.alerts.channels import seal_into
from dashboard.alerts.delivery import send_test_mail
from dashboard.alerts.models import Channel, ChannelKind, Incident, Notification
from dashboard.alerts.services import install_default_rules
from dashboard.pipeline.dead_mans_ping import ping_when_due
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.services import watch_gateway, watch_team
from dashboard.teams.keys import resolve, set_key
from dashboard.teams.models import Gateway, Statement, Team
from dashboard.web.models import PublicPage
from tests.alerts.conftest import make_recipient
from tests.apiclient.rogue import rogue
from tests.end_to_end.leaky import (
    ANSWERS,
    CHANNEL_TOKEN,
    DATABASE_PASSWORD,
    MAIL_PASSWORD,
    PING_TOKEN,
    VIRTUAL_KEY,
    WEBHOOK_SECRET,
    forms,
    leaky,
    leaky_mail_server,
    leaky_receiver,
    posted,
)
from tests.factories import make_gateway, make_team

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 5


def add_channels(url: str) -> None:
    for kind in (ChannelKind.WEBHOOK, ChannelKind.SLACK):
        channel = Channel(name=kind.value, kind=kind, allow_private=True)
        secret = WEBHOOK_SECRET if kind == ChannelKind.WEBHOOK else ""
        seal_into(channel, f"{url}/{CHANNEL_TOKEN}", secret)
        channel.save()


@pytest.fixture
def admin(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Client:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "user", MAIL_PASSWORD
    settings.MAIL_GROUP_WAIT_S = settings.MAIL_GROUP_INTERVAL_S = 0
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", DATABASE_PASSWORD)
    user = User.objects.create_superuser("root", "root@example.com", "correct horse")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def watch(base_url: str) -> Team:
    gateway = make_gateway(base_url=base_url, allow_private=True)
    team = make_team(gateway, team_id="acme")
    set_key(team, VIRTUAL_KEY, timezone.now())
    watch_gateway(gateway, timezone.now())
    watch_team(team, timezone.now())
    install_default_rules()
    paid = Probe.objects.filter(kind__in=PAID)
    paid.update(enabled=True, model="chat-fast", daily_credit_cap=1000)
    return team


def test_no_secret_comes_out_anywhere(
    admin: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    printed: list[str] = []
    statements: list[str] = []
    with (
        rogue(leaky) as gateway,
        rogue(leaky_mail_server) as post,
        rogue(leaky_receiver) as receiver,
    ):
        team = watch(gateway.url)
        make_recipient("ops@example.com")
        add_channels(receiver.url)
        settings.PING_URL = f"{receiver.url}/{PING_TOKEN}"
        ping = ping_when_due(timezone.now())
        for _ in range(ROUNDS):
            Probe.objects.update(next_run=timezone.now() - timedelta(seconds=1))
            pipeline.tick(seconds=0.1)
            pipeline.deep()
            statements.append(read_statement_again())
        printed += [run("probe"), run("probe", "--json")]
        printed += tried(admin, gateway.url)
        printed += typed(admin, team)
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", post.port
        printed.append(send_test_mail("root@example.com", timezone.now()))
        pipeline.deliver_due()
        assert ping is not None
        ping.join(5)
        tests = [f"/channels/{each.pk}/test/" for each in Channel.objects.all()]
        printed += [
            admin.post(address, follow=True).content.decode() for address in tests
        ]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    Notification.objects.update(due_at=timezone.now(), leased_until=None, batch=None)
    pipeline.deliver(seconds=0)
    fail_a_task()
    printed += [run("export_config"), run("status"), run("status", "--json")]
    printed += pages(admin, team)

    # Everything was tried: what is looked at below is not empty.
    assert Outcome.objects.exclude(error_class="").count() > 2 * ROUNDS
    assert Incident.objects.exists()
    assert mail.outbox
    assert "[hidden]" in str(statements)
    assert "server_error" in str(statements)
    assert "535" in str(printed)
    assert "HTTP 404" in str(printed)
    assert len(posted) > len(tests)
    assert Failure.objects.exists()
    assert any("call.failed" in record.getMessage() for record in caplog.records)
    key = resolve(team)
    assert key is not None
    assert key.reveal() == VIRTUAL_KEY
    for place, text in (
        ("database", "\n".join(stored())),
        ("printed", "\n".join([*printed, *statements])),
        ("mails", "\n".join(m.message().as_string() for m in mail.outbox)),
        ("posted", "\n".join(map(repr, posted))),
        ("mail bodies", "\n".join(f"{m.body}{vars(m)}" for m in mail.outbox)),
        ("logs", "\n".join(repr(vars(record)) for record in caplog.records)),
    ):
        assert text
        for form in forms():
            found = text.find(form)
            assert found < 0, f"{place}: …{text[max(0, found - 300) : found + 60]}"


def test_no_dump_of_the_database_holds_a_key(admin: Client) -> None:
    """C-01: neither as text nor in UTF-16 nor in base64, deleted or not."""
    team = watch("https://gateway.example")
    for number in range(50):
        set_key(team, f"{VIRTUAL_KEY}{number}", timezone.now())
    Team.objects.all().delete()
    name = str(connection.settings_dict["NAME"])
    files = [Path(f"{name}{end}") for end in ("", "-wal")]
    # PostgreSQL's files are its server's: there a dump of all rows stands for them.
    kept = [file.read_bytes() for file in files if file.exists()]
    found = b"".join(kept or ["\n".join(stored()).encode()])

    assert b"gateway.example" in found
    for form in (
        VIRTUAL_KEY.encode(),
        VIRTUAL_KEY.encode("utf-16-le"),
        VIRTUAL_KEY.encode("utf-16-be"),
        base64.b64encode(VIRTUAL_KEY.encode())[:-4],
    ):
        assert form not in found


def run(*arguments: str) -> str:
    out = io.StringIO()
    with suppress(SystemExit):
        call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def fail_a_task() -> None:
    """Let a queued tick fail in the middle, with all that it knows in its error."""

    def broken(execute: object, sql: str, params: object, *_: object) -> object:
        if "probes_outcome" in sql and "INSERT" in sql:
            raise RuntimeError(f"{sql} {params}")
        return execute(sql, params, *_)  # type: ignore[operator]  # Django's own

    OrmQ.objects.all().delete()
    async_task("dashboard.pipeline.tick", 0.1)
    tasks: queue.Queue[object] = queue.Queue()
    results: queue.Queue[object] = queue.Queue()
    tasks.put(OrmQ.objects.get().task)
    tasks.put("STOP")
    Probe.objects.update(next_run=timezone.now() - timedelta(seconds=1))
    with rogue(leaky) as gateway, connection.execute_wrapper(broken):
        Gateway.objects.update(base_url=gateway.url)
        set_key(Team.objects.get(), VIRTUAL_KEY, timezone.now())
        worker(tasks, results, Value("f", -1))
    results.put("STOP")
    monitor(results)


def stored() -> Iterator[str]:
    """Yield every row of every table, and what is pickled in the queue's."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            yield from (f"{table}: {row!r}" for row in cursor.fetchall())
    for model in apps.get_models(include_auto_created=True):
        yield from (repr(row) for row in model._default_manager.values())
    yield from (repr(row.task) for row in OrmQ.objects.all())


def read_statement_again() -> str:
    """Read the team's statement, though it is not due; return what was kept of it."""
    Team.objects.update(status="active")
    Statement.objects.all().delete()
    assert pipeline.read_statements() == 1
    return str(Statement.objects.values())


def tried(admin: Client, url: str) -> Iterator[str]:
    """Yield what the first-run guide shows of a gateway before it is saved."""
    asked = {"name": "Tried", "base_url": url, "allow_private": "on"}
    for _ in range(ROUNDS):
        sent = {**asked, "team_id": "acme", "key": VIRTUAL_KEY}
        answer = admin.post(reverse("start"), sent)
        assert answer.status_code == 200
        yield answer.content.decode()


_FORMATS = ("csv", "json")


def pages(admin: Client, team: Team) -> list[str]:
    """Return every page that an administrator can open, the admin's own too."""
    addresses = ["overview", "teams", "incidents", "mail", "start", "password"]
    addresses += ["channels", "silences", "credits", "breakers", "status"]
    found = [reverse(name) for name in [*addresses, "healthz", "healthz_prober"]]
    found += [reverse(name, args=[team.pk]) for name in ("team", "team_settings")]
    found += [reverse("team_rule", args=[team.pk, "credits"]), reverse("audit")]
    found += [reverse("probe", args=[probe.pk]) for probe in Probe.objects.all()]
    results = [reverse("outcome", args=[row.pk]) for row in Outcome.objects.all()]
    found += [*results, reverse("outcomes"), f"{reverse('search')}?q=acme"]
    found += [f"{address}?format=csv" for address in (*results, reverse("outcomes"))]
    found += [f"{reverse('outcomes')}?format=json", reverse("trends")]
    found += [reverse("incident", args=[row.pk]) for row in Incident.objects.all()]
    saved = [reverse(name) for name in ("overview", "trends", "credits", "breakers")]
    saved += [reverse("status"), reverse("team", args=[team.pk])]
    found += [f"{address}?format={kind}" for address in saved for kind in _FORMATS]
    found += [f"{reverse('search')}?q=acme&format=json", reverse("storage")]
    opened = PublicPage.objects.create(
        title="Open", team=team, is_open=True, has_badge=True
    )
    found += [reverse(name, args=[opened.slug]) for name in ("public", "badge")]
    index = admin.get("/admin/").content.decode()
    lists = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', index)))
    assert len(lists) > 8
    for address in lists:
        shown = admin.get(address).content.decode()
        found += [address, *re.findall(rf'href="({address}\d+/change/)', shown)]
    texts = []
    for address in found:
        answer = admin.get(address)
        assert answer.status_code == 200, address
        texts.append(f"{address} {answer.content.decode()}")
    return texts


def typed(admin: Client, team: Team) -> list[str]:
    """Type the key everywhere that takes one, rightly and wrongly; import; rotate."""
    settings_page = reverse("team_settings", args=[team.pk])
    change = f"/admin/teams/team/{team.pk}/change/"
    members = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    keys = {"action": "rotate_key", "_selected_action": team.pk, "confirmed": "1"}
    sent: list[tuple[str, dict[str, object]]] = [
        (settings_page, {"part": "key", "key": VIRTUAL_KEY}),
        (settings_page, {"part": "key", "key": f"{VIRTUAL_KEY} {VIRTUAL_KEY}"}),
        (settings_page, {"part": "nothing", "key": VIRTUAL_KEY}),
        (change, {"gateway": "", "key": VIRTUAL_KEY, **members}),
        (change, {"key": f"{VIRTUAL_KEY}\n", **members}),
        ("/admin/teams/team/", {"action": VIRTUAL_KEY, "key": VIRTUAL_KEY}),
        ("/admin/teams/team/", {**keys, f"key-{team.pk}": f"{VIRTUAL_KEY} x"}),
        ("/admin/teams/team/", {**keys, f"key-{team.pk}": VIRTUAL_KEY}),
        ("/log-in/", {"username": "root", "password": VIRTUAL_KEY}),
        (reverse("import_teams", args=[team.gateway_id]), {"teams": VIRTUAL_KEY[:5]}),
    ]
    texts = [
        admin.post(address, fields, follow=True).content.decode()
        for address, fields in sent
    ]
    for _ in ANSWERS["/teams"]:
        address = reverse("import_teams", args=[team.gateway_id])
        texts.append(admin.get(address).content.decode())
    return [*texts, run("rotate_keys")]


def test_a_password_that_cannot_be_sent_stops_no_delivery(
    admin: Client, settings: Settings
) -> None:
    """It is encoded as ASCII, which raises no SMTPException."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST_PASSWORD = "CANARY-é"
    with rogue(leaky_mail_server) as post:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", post.port
        said = send_test_mail("root@example.com", timezone.now())

    assert said
    assert "CANARY" not in said
