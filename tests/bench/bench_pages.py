"""Measure the pages: time and queries on the server, bytes and paint in a browser. Not a test.

    python -m tests.bench.bench_pages [outcomes of the large case]

Two sites are filled, each in a database of its own (SQLite): 10 teams with 100 endpoints,
and 100 teams with 1,000 and as many outcomes as asked for, 1,000,000 without a word. Both
have two hours of minutes, 30 days of hours and 90 of days for each endpoint, 30 days of
credits, and 200 incidents.

`server` is the whole request inside Django, the median of RUNS after a first one. `bytes`
are as the browser received them, compressed: cold with all files, warm a second visit,
renewed one refresh of the live part. Paint and layout shift are the browser's own.
"""

# ruff: noqa: E402 (models can only be imported once Django is set up)

import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import django

VAR = Path(tempfile.mkdtemp(prefix="gatewatch-bench-"))
os.environ["GATEWATCH_VAR"] = str(VAR)
os.environ["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"
os.environ["SECRET_KEY"] = "only-for-benchmarks-" + "x" * 40
for unwanted in ("DATABASE_URL", "PUBLIC_URL"):
    os.environ.pop(unwanted, None)
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import F, Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import CDPSession, Page, Response, async_playwright

from dashboard.alerts.models import Incident, RuleKind, Severity
from dashboard.lib import buckets
from dashboard.lib.buckets import DAY_S, HOUR_S, MINUTE_S
from dashboard.probes.kinds import TEAM_KINDS
from dashboard.probes.models import Heartbeat, Outcome, Probe, ProbeKind
from dashboard.rollups.models import Rollup
from dashboard.rollups.services import fold
from dashboard.teams.models import CreditHour, CreditReading, Gateway, Team
from dashboard.web.models import PublicPage

RUNS = 5
OUTCOMES = 1_000_000
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
PAGES = (
    *("overview", "probe", "outcomes", "teams", "team", "credits", "incidents"),
    *("incident", "breakers", "silences", "mail", "status", "public"),
)
_TEMPLATE_LATENCIES_US = [40_000 + 700 * n for n in range(60)]


@dataclass(slots=True)
class Figures:
    """What one page cost; bytes and paint are None where no browser looked."""

    name: str
    first_s: float = 0.0
    server_s: list[float] = field(default_factory=list)
    queries: int = 0
    cold: int = 0
    warm: int = 0
    renewed: int = 0
    paint_ms: float = 0.0
    shift: float = 0.0


def main() -> None:
    outcomes = int(sys.argv[1]) if len(sys.argv) > 1 else OUTCOMES
    call_command("collectstatic", interactive=False, verbosity=0)
    try:
        for teams, endpoints, stored in ((10, 100, 100_000), (100, 1000, outcomes)):
            _new_database()
            _fill(teams, endpoints, stored)
            rows = [Figures(name) for name in PAGES]
            cookie = _ask_server(rows)
            with _serving() as url:
                asyncio.run(_browse(rows, url, cookie))
            title = f"{teams} teams, {endpoints:,} endpoints, {stored:,} outcomes"
            _print(title, rows)
    finally:
        shutil.rmtree(VAR, ignore_errors=True)


# The site.


def _new_database() -> None:
    connection.close()
    for old in VAR.glob("gatewatch.sqlite3*"):
        old.unlink()
    call_command("migrate", verbosity=0)


def _fill(teams: int, endpoints: int, outcomes: int) -> None:
    now = timezone.now()
    began = now - timedelta(days=90)
    gateway = Gateway.objects.create(name="Gateway", base_url="https://g.example")
    made = [
        Team.objects.create(gateway=gateway, team_id=f"team-{number}", status="active")
        for number in range(teams)
    ]
    wanted: list[tuple[Gateway, Team | None, ProbeKind]]
    wanted = [(team.gateway, team, kind) for team in made for kind in TEAM_KINDS]
    wanted.append((gateway, None, ProbeKind.HEALTH))
    while len(wanted) < endpoints:
        other = Gateway.objects.create(
            name=f"Gateway {len(wanted)}", base_url=f"https://g{len(wanted)}.example"
        )
        wanted.append((other, None, ProbeKind.HEALTH))
    Gateway.objects.update(created_at=began)
    Team.objects.update(created_at=began)
    Probe.objects.bulk_create(
        Probe(
            gateway=at,
            team=team,
            kind=kind,
            period_s=60,
            next_run=now + timedelta(days=1),
            last_at=now,
            last_error="server_error" if number % 50 == 7 else "",
        )
        for number, (at, team, kind) in enumerate(wanted[:endpoints])
    )
    Heartbeat.objects.create(name="tick-0", beat_at=now + timedelta(hours=1))
    _write_rollups(now)
    _write_outcomes(outcomes, endpoints)
    _write_credits(made, now)
    Incident.objects.bulk_create(
        Incident(
            kind=RuleKind.ERROR_RATE,
            identity=f"error_rate:probe:{number}",
            gateway=gateway,
            team=made[number % teams],
            severity=Severity.WARNING,
            summary="12 % of 90 results failed (server error)",
            error_class="server_error",
            opened_at=now - timedelta(hours=number),
            evaluated_at=now,
            resolved_at=None if number < 5 else now - timedelta(hours=number - 1),
        )
        for number in range(200)
    )
    PublicPage.objects.create(
        title="Gateway", slug="gateway", gateway=gateway, is_open=True
    )
    User.objects.create_superuser("root", "root@example.com")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _write_rollups(now: datetime) -> None:
    """Fold a minute of one probe for real, and copy its rows to all probes and times."""
    probe = Probe.objects.order_by("pk").first()
    assert probe is not None
    start = buckets.floor(now, DAY_S) - timedelta(days=200)
    fold(
        Outcome.objects.bulk_create(
            Outcome(
                probe=probe,
                started_at=start + timedelta(seconds=place),
                latency_us=latency_us,
                elapsed_us=latency_us,
                attempts=1,
            )
            for place, latency_us in enumerate(_TEMPLATE_LATENCIES_US)
        )
    )
    names = ", ".join(_columns(Rollup, but={"id", "probe", "start"}))
    for level, number in ((MINUTE_S, 120), (HOUR_S, 30 * 24), (DAY_S, 90)):
        last = int(buckets.floor(now, level).timestamp())
        # All names are the model's.
        statement = f"""
            WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < {number - 1})
            INSERT INTO rollups_rollup (probe_id, start, {names})
            SELECT probes_probe.id, strftime('%Y-%m-%d %H:%M:%S', {last} - place.n * {level}, 'unixepoch'), {names}
            FROM probes_probe, place, (SELECT * FROM rollups_rollup WHERE level = {level} ORDER BY start LIMIT 1)
        """  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(statement)
    Rollup.objects.filter(start__lt=now - timedelta(days=150)).delete()
    failed = Rollup.objects.annotate(place=F("pk") % 20).filter(place=7)
    failed.update(bad=1, classes={"server_error": 1})


def _write_outcomes(number: int, endpoints: int) -> None:
    """Write outcomes a minute apart for all probes alike, into the next half hour.

    So there is a newest one as long as it is measured, as on a site that runs. The first
    of those that were folded is what they are copied from.
    """
    each, last = number // endpoints, int(timezone.now().timestamp()) + 1800
    names = ", ".join(_columns(Outcome, but={"id", "probe", "started_at"}))
    statement = f"""
        WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < {each - 1})
        INSERT INTO probes_outcome (probe_id, started_at, {names})
        SELECT probes_probe.id, strftime('%Y-%m-%d %H:%M:%S', {last} - place.n * 60, 'unixepoch'), {names}
        FROM probes_probe, place,
            (SELECT * FROM probes_outcome ORDER BY id LIMIT 1)
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement)
    Outcome.objects.filter(started_at__lt=timezone.now() - timedelta(days=150)).delete()
    failed = Outcome.objects.filter(pk__endswith="7")
    failed.filter(started_at__gt=timezone.now() - timedelta(days=1)).update(
        error_class="server_error", status_code=500, detail="Internal error"
    )


def _columns(model: type[Model], but: Collection[str]) -> list[str]:
    fields = model._meta.concrete_fields
    return [each.column for each in fields if each.name not in but]


def _write_credits(teams: Sequence[Team], now: datetime) -> None:
    """Write a day of readings a minute, and 30 days of hours."""
    floor = buckets.floor(now, HOUR_S)
    for place, team in enumerate(teams):
        CreditReading.objects.bulk_create(
            (
                CreditReading(
                    team=team,
                    read_at=now - timedelta(minutes=n),
                    allocated=10_000.0,
                    remaining=1000.0 + n * (place + 1) / 60,
                    auto_refill=False,
                )
                for n in range(24 * 60)
            ),
            batch_size=2000,
        )
        CreditHour.objects.bulk_create(
            CreditHour(
                team=team,
                hour=floor - timedelta(hours=n),
                first=1000.0 + n * (place + 1),
                last=1000.0 + (n - 1) * (place + 1),
                least=1000.0 + (n - 1) * (place + 1),
                spent=float(place + 1),
                refilled=0.0,
                allocated=10_000.0,
                readings=60,
            )
            for n in range(30 * 24)
        )


def _address(name: str) -> str:
    if name == "probe":
        found = Probe.objects.filter(kind=ProbeKind.TEAM_STATUS).order_by("pk")
        return reverse(name, args=[found[0].pk])
    if name == "team":
        return reverse(name, args=[Team.objects.order_by("pk")[0].pk])
    if name == "incident":
        return reverse(name, args=[Incident.objects.order_by("pk")[0].pk])
    if name == "public":
        return reverse(name, args=["gateway"])
    return reverse(name)


# The server.


def _ask_server(rows: Sequence[Figures]) -> str:
    """Ask for every page as an administrator; return his session."""
    client = Client(headers={"Accept-Encoding": "gzip"}, SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get())
    for row in rows:
        address = _address(row.name)
        for run in range(RUNS + 1):
            with CaptureQueriesContext(connection) as seen:
                began = time.perf_counter()
                answer = client.get(address)
                took = time.perf_counter() - began
            assert answer.status_code == 200, (address, answer.status_code)
            if run:
                row.server_s.append(took)
            else:
                row.first_s, row.queries = took, len(seen)
    return client.cookies["sessionid"].value


@contextmanager
def _serving() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "up", "--no-jobs", "--bind"]
    process = subprocess.Popen(
        [*command, f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


# The browser.


async def _browse(rows: Sequence[Figures], url: str, cookie: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for row in rows:
            # A context of its own: nothing is in its cache yet.
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            await context.add_cookies(
                [{"name": "sessionid", "value": cookie, "url": url}]
            )
            page = await context.new_page()
            session = await context.new_cdp_session(page)
            received = await _counting(session)
            # SQLite's file is the same, so its addresses are, too.
            address = url + await asyncio.to_thread(_address, row.name)
            await _visit(page, address)
            row.cold = sum(received)
            row.paint_ms, row.shift = await _paint(page)
            received.clear()
            await _visit(page, address)
            row.warm = sum(received)
            received.clear()
            if await page.locator("[data-live]").count():
                async with page.expect_response(_is_renewal) as renewed:
                    await page.locator("[data-live]").dispatch_event("renew")
                await (await renewed.value).finished()
                await page.wait_for_timeout(100)
            row.renewed = sum(received)
            await context.close()
        await browser.close()


def _is_renewal(answer: Response) -> bool:
    return answer.request.headers.get("hx-request") == "true"


async def _counting(session: CDPSession) -> list[int]:
    received: list[int] = []
    session.on(
        "Network.loadingFinished",
        lambda told: received.append(int(told["encodedDataLength"])),
    )
    await session.send("Network.enable")
    return received


async def _visit(page: Page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_load_state("networkidle")


async def _paint(page: Page) -> tuple[float, float]:
    """Return the first contentful paint in ms, and the sum of all layout shifts."""
    told = await page.evaluate(
        """() => new Promise((done) => {
            let shift = 0;
            new PerformanceObserver((list) => list.getEntries().forEach((each) => {
                shift += each.hadRecentInput ? 0 : each.value;
            })).observe({ type: "layout-shift", buffered: true });
            const paint = performance.getEntriesByName("first-contentful-paint")[0];
            setTimeout(() => done([paint ? paint.startTime : 0, shift]), 300);
        })"""
    )
    return float(told[0]), float(told[1])


def _print(title: str, rows: Sequence[Figures]) -> None:
    _line("")
    _line(f"{title}, {_sqlite_mb():.0f} MB")
    _line("")
    _row(
        "page",
        "server",
        "first",
        "queries",
        "cold",
        "warm",
        "renewed",
        "paint",
        "shift",
    )
    _row(*["---"] * 9)
    for row in rows:
        _row(
            row.name,
            f"{statistics.median(row.server_s) * 1000:.0f} ms",
            f"{row.first_s * 1000:.0f} ms",
            f"{row.queries}",
            *(f"{size / 1000:.1f} kB" for size in (row.cold, row.warm, row.renewed)),
            f"{row.paint_ms:.0f} ms",
            f"{row.shift:.3f}",
        )


def _sqlite_mb() -> float:
    return sum(each.stat().st_size for each in VAR.glob("gatewatch.sqlite3*")) / 1e6


def _row(*cells: str) -> None:
    _line(f"| {' | '.join(cells)} |")


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
