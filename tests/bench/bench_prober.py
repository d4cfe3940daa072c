"""Compare the prober with blackbox_exporter and raw httpx. Not a test.

    python -m tests.bench.bench_prober [seconds]

A stand-in in a process of its own answers after exactly 50 ms. Each contender asks the same
endpoints in the same rhythm, each question on a fresh connection:

    gatewatch     dashboard.pipeline.tick with everything behind it: claims, store, rollups,
                  rules, all in a database of its own (SQLite, or DATABASE_URL's server)
    blackbox      prometheus-blackbox-exporter, paced by a small pool of threads here; only
                  its own process counts, and it stores nothing
    raw httpx     one httpx.Client in a pool of threads; it stores nothing

`excess` is the measured latency less 50 ms, `late` how long after its due moment a probe
started. Below each table is where our own CPU goes, by each thread's own clock. `flush` is
a recorder's flush of 100 outcomes by itself: stored and folded, and judged as well.
"""

# ruff: noqa: E402 (models can only be imported once Django is set up)

import asyncio
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import httpx
from django.conf import settings
from django.db import connection
from django.utils import timezone

from dashboard import pipeline
from dashboard.alerts import services as alerts
from dashboard.alerts.services import install_default_rules
from dashboard.pipeline import prober
from dashboard.pipeline.answers import Answer, answer
from dashboard.pipeline.asks import prepare, put
from dashboard.pipeline.prober import Prober
from dashboard.pipeline.recorder import FLUSH_AT, Recorder
from dashboard.pipeline.shift import Shift
from dashboard.probes import services as probes_
from dashboard.probes.models import Outcome, Probe, ProbeKind
from dashboard.probes.services import Spent
from dashboard.rollups import services as rollups
from dashboard.teams import credit_hours
from dashboard.teams import services as teams
from dashboard.teams.models import Gateway, Team
from tests.bench.parts import Place, parted

DELAY_S = 0.05
SECONDS = 28.0
# Endpoints and the seconds between two questions to the same one.
CASES = ((10, 5), (100, 5), (1000, 10))
PER_GATEWAY = 10
# As many as gateways, so that each has breakers of its own.
HOSTS = [f"127.0.0.{number}" for number in range(1, 101)]
FLUSHES = 40
BLACKBOX = "prometheus-blackbox-exporter"
_HEALTH = {"status": "healthy", "service": "saas-llm-api"}
_TEAM = {
    "team_id": "team",
    "organization_id": "org",
    "status": "active",
    "credits_allocated": 1000,
    "credits_remaining": 400,
    "credits_used": 600,
    "allowed_model_aliases": ["chat-fast"],
}
# What our own CPU is spent on; the rest is Python's threads and what is once a tick.
PARTS: Mapping[str, Sequence[Place]] = {
    "the request itself": [(prober, "put")],
    "waiting for its moment": [(Prober, "_next"), (Prober, "_begin"), (Prober, "_end")],
    "claims": [(Prober, "start_due"), (prober, "claim_due"), (Shift, "renew")],
    "outcome stored": [(probes_, "record")],
    "status and credits stored": [(teams, "record_sightings")],
    "rollups folded": [(rollups, "fold")],
    "commit, breakers": [(Recorder, "flush"), (Recorder, "_refresh")],
    "judging": [(alerts, "evaluate"), (alerts, "evaluate_all")],
    "judging what looks far back": [
        (alerts, "evaluate_slow"),
        (credit_hours, "fold"),
    ],
}
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figures:
    """What one contender measured and cost; None where it has none."""

    name: str
    latencies_s: Sequence[float]
    cpu_s: float
    late_s: Sequence[float]
    rss_mb: float | None = None
    database_s: float | None = None
    parts_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def cpu_per_1000_s(self) -> float:
        return self.cpu_s / len(self.latencies_s) * 1000


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve())
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    settings.TICK_SLOTS = 1
    with _stand_in() as port, _database():
        for endpoints, period_s in CASES:
            _make_probes(port, endpoints, period_s)
            urls = [_url_of(probe) for probe in _probes()]
            _print_table(
                f"{endpoints} endpoints, one question each per {period_s} s, {seconds:g} s",
                [
                    *_blackbox(urls, period_s, seconds),
                    _raw_httpx(urls, period_s, seconds),
                    _gatewatch(period_s, seconds),
                ],
            )
        _print_flushes()


# The stand-in.


async def _serve() -> None:
    first, *others = HOSTS
    server = await asyncio.start_server(_converse, first, 0)
    port: int = server.sockets[0].getsockname()[1]
    for host in others:
        await asyncio.start_server(_converse, host, port)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            # A timer of the event loop is up to a millisecond late: not this answer.
            due_s = time.perf_counter() + DELAY_S
            path = head.split(b" ", 2)[1].decode()
            team = {**_TEAM, "team_id": path.rpartition("/")[2]}
            body = json.dumps(_HEALTH if path == "/health" else team).encode()
            await asyncio.sleep(due_s - time.perf_counter() - 0.001)
            while time.perf_counter() < due_s:
                pass
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            await writer.drain()
    writer.close()


@contextmanager
def _stand_in() -> Iterator[int]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_prober", "serve"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


# Our own pipeline.


@contextmanager
def _database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        install_default_rules()
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
        shutil.rmtree(settings.VAR_DIR, ignore_errors=True)


def _make_probes(port: int, endpoints: int, period_s: int) -> None:
    """Make a health probe for each gateway and one for each of its teams."""
    Gateway.objects.all().delete()
    gateways = [
        Gateway.objects.create(
            name=host, base_url=f"http://{host}:{port}", allow_private=True
        )
        for host in HOSTS[: endpoints // PER_GATEWAY]
    ]
    for number in range(endpoints):
        gateway = gateways[number // PER_GATEWAY]
        team, kind = None, ProbeKind.HEALTH
        if number % PER_GATEWAY:
            team = Team.objects.create(gateway=gateway, team_id=f"team-{number}")
            kind = ProbeKind.TEAM_STATUS
        Probe.objects.create(
            gateway=gateway,
            team=team,
            kind=kind,
            period_s=period_s,
            next_run=timezone.now(),
        )


def _probes() -> list[Probe]:
    return list(Probe.objects.select_related("gateway", "team").order_by("pk"))


def _url_of(probe: Probe) -> str:
    path = f"/api/teams/{probe.team.team_id}" if probe.team else "/health"
    return f"{probe.gateway.base_url}{path}"


def _gatewatch(period_s: int, seconds: float) -> Figures:
    first = timezone.now() + timedelta(seconds=0.2)
    probes = _probes()
    due_at = {}
    for number, probe in enumerate(probes):
        due_at[probe.pk] = first + timedelta(seconds=period_s * number / len(probes))
        Probe.objects.filter(pk=probe.pk).update(next_run=due_at[probe.pk])
    queries_s: list[float] = []

    def timed(execute: Callable[..., object], *arguments: object) -> object:
        began_s = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            queries_s.append(time.perf_counter() - began_s)

    # Once in a process, not in a tick; nor is its start the others'.
    pipeline.spare_collector()
    cpu_s = time.process_time()
    with connection.execute_wrapper(timed), parted(PARTS) as parts_s:
        pipeline.tick(seconds=seconds)
    cpu_s = time.process_time() - cpu_s
    outcomes = list(Outcome.objects.filter(probe__in=probes))
    assert not [o for o in outcomes if o.error_class], "the stand-in failed"
    late_s = [
        (outcome.started_at - due_at[outcome.probe_id]).total_seconds() % period_s
        for outcome in outcomes
    ]
    return Figures(
        "gatewatch, stored",
        [outcome.latency_us / 1e6 for outcome in outcomes],
        cpu_s,
        late_s,
        _rss_mb("self"),
        sum(queries_s),
        {**parts_s, "the rest": cpu_s - parts_s.total()},
    )


def _print_flushes() -> None:
    recorder = Recorder()
    with ThreadPoolExecutor(8) as pool:
        asks = [prepare(probe, Spent()) for probe in _probes()[:FLUSH_AT]]
        breakers = recorder.breakers({ask.gateway_id for ask in asks})
        put_ = [(ask, breakers[ask.gateway_id]) for ask in asks]
        answers = list(pool.map(lambda each: put(*each), put_))
    _line(f"\nflush of {len(answers)} outcomes", "p50 ms", "p95 ms", "CPU ms")
    for name, judged in (("stored and folded", False), ("judged as well", True)):
        wall_s, cpu_s = [], []
        for _ in range(FLUSHES):
            number = next(_numbers)
            if judged:
                # A new one judges what it stores first, whenever the last did.
                recorder = Recorder()
            else:
                recorder.all_judged()
            for each in answers:
                recorder.add(_again(each, number))
            # As if it were then: what is dated ahead of the clock is counted nowhere.
            now = timezone.now() + timedelta(seconds=5 * (number + 1))
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            recorder.flush(now)
            wall_s.append(time.perf_counter() - began_s)
            cpu_s.append(time.process_time() - began_cpu_s)
        _line(name, _ms(wall_s, 50), _ms(wall_s, 95), _ms(cpu_s, 50))


_numbers = itertools.count()


def _again(seen: Answer, number: int) -> Answer:
    """Return the answer as if it had been seen a period later."""
    started_at = seen.report.started_at + timedelta(seconds=5 * (number + 1))
    return answer(seen.ask, replace(seen.report, started_at=started_at))


# The others.


def _paced(
    urls: Sequence[str],
    period_s: int,
    seconds: float,
    ask: Callable[[str], float | None],
) -> tuple[list[float], list[float]]:
    """Ask each URL in its rhythm; return the latencies and the lateness, in seconds."""
    latencies_s: list[float] = []
    late_s: list[float] = []

    def run(url: str, due_s: float) -> None:
        late_s.append(time.perf_counter() - due_s)
        latency_s = ask(url)
        if latency_s is not None:
            latencies_s.append(latency_s)

    began_s = time.perf_counter() + 0.2
    step_s = period_s / len(urls)
    with ThreadPoolExecutor(16) as pool:
        for number in range(int(seconds / step_s)):
            due_s = began_s + number * step_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            pool.submit(run, urls[number % len(urls)], due_s)
    return latencies_s, late_s


def _raw_httpx(urls: Sequence[str], period_s: int, seconds: float) -> Figures:
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(trust_env=False, limits=limits) as client:

        def ask(url: str) -> float:
            began_s = time.perf_counter()
            client.get(url).json()
            return time.perf_counter() - began_s

        cpu_s = time.process_time()
        latencies_s, late_s = _paced(urls, period_s, seconds, ask)
        return Figures("raw httpx", latencies_s, time.process_time() - cpu_s, late_s)


def _blackbox(urls: Sequence[str], period_s: int, seconds: float) -> list[Figures]:
    program = shutil.which(BLACKBOX)
    if program is None:
        _line(f"{BLACKBOX} is not installed: no comparison with it")
        return []
    with _running_blackbox(program) as (pid, address):
        with httpx.Client(trust_env=False) as client:

            def ask(url: str) -> float | None:
                told = client.get(
                    f"{address}/probe", params={"target": url, "module": "http"}
                ).text
                found = re.search(r"^probe_duration_seconds (\S+)", told, re.MULTILINE)
                assert "probe_success 1" in told, told
                return float(found[1]) if found else None

            cpu_s = _cpu_s(pid)
            latencies_s, late_s = _paced(urls, period_s, seconds, ask)
            cpu_s = _cpu_s(pid) - cpu_s
        return [Figures("blackbox", latencies_s, cpu_s, late_s, _rss_mb(pid))]


@contextmanager
def _running_blackbox(program: str) -> Iterator[tuple[int, str]]:
    port = 19_115
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "blackbox.yml"
        config.write_text(
            "modules: {http: {prober: http, timeout: 5s,"
            " http: {preferred_ip_protocol: ip4}}}"
        )
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ]
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(100):
                with suppress(httpx.ConnectError):
                    httpx.get(f"{address}/-/healthy", trust_env=False)
                    break
                time.sleep(0.05)
            yield process.pid, address
        finally:
            process.kill()
            process.wait()


def _cpu_s(pid: int) -> float:
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _rss_mb(pid: int | str) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+) kB", text)
    return int(kilobytes) / 1024


# The table.


def _print_table(title: str, rows: Sequence[Figures]) -> None:
    _line(f"\n{title}")
    _line(
        *("", "probes", "excess p50", "p95 ms", "late p50", "p95 ms"),
        *("CPU s/1000", "x first", "db s/1000", "RSS MB"),
    )
    for row in rows:
        excess_s = [latency_s - DELAY_S for latency_s in row.latencies_s]
        per_1000 = 1000 / len(row.latencies_s)
        _line(
            row.name,
            str(len(row.latencies_s)),
            *(_ms(excess_s, 50), _ms(excess_s, 95)),
            *(_ms(row.late_s, 50), _ms(row.late_s, 95)),
            f"{row.cpu_per_1000_s:.2f}",
            f"{row.cpu_per_1000_s / rows[0].cpu_per_1000_s:.2f}",
            "" if row.database_s is None else f"{row.database_s * per_1000:.2f}",
            "" if row.rss_mb is None else f"{row.rss_mb:.0f}",
        )
        total_s = sum(row.parts_s.values())
        for part, part_s in sorted(row.parts_s.items(), key=lambda each: -each[1]):
            share = f"{part_s / total_s * 100:.0f} %"
            _line(f"    {part}", f"{part_s * per_1000:.3f}", share)


def _ms(values_s: Sequence[float], percent: int) -> str:
    return f"{statistics.quantiles(values_s, n=100)[percent - 1] * 1000:.1f}"


def _line(first: str, *cells: str) -> None:
    sys.stdout.write(f"{first:<32}{''.join(f'{cell:>11}' for cell in cells)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
