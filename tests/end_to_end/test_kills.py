"""Kill -9 of every child while probes are in flight and a mail waits: nothing doubled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from dashboard.simulator.faults import Fault, FaultKind
from dashboard.simulator.running import RunningGateway, running_gateway
from dashboard.simulator.world import Team, example_key
from tests.alerts.mailbox import Mailbox, open_mailbox
from tests.commands.stack import Up, children, kill, manage, plain, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.hostile]
PERIOD_S = 5
MAIL_WAIT_S = 12
CONFIG = """
[[gateways]]
name = "Production"
base_url = "{base_url}"
allow_private = true
[[gateways.probes]]
kind = "health"
period_s = {period_s}
[[gateways.teams]]
team_id = "low"
key = "env:KEY_LOW"
[[gateways.teams.probes]]
kind = "team_status"
period_s = {period_s}
[[gateways.teams.probes]]
kind = "balance"
period_s = {period_s}
[[recipients]]
email = "ops@example.com"
"""


@dataclass(frozen=True, slots=True)
class Running:
    up: Up
    gateway: RunningGateway
    mailbox: Mailbox

    def mails(self, state: str) -> int:
        query = f"SELECT count(*) FROM alerts_notification WHERE state = '{state}'"  # noqa: S608
        return int(str(self.up.rows(query)[0][0]))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    team = Team("low", credits_remaining=150)
    with running_gateway([team]) as gateway, open_mailbox() as mailbox:
        # So that a kill always meets probes in flight.
        gateway.set_fault(Fault(FaultKind.SLOW, route="* /api/*", delay_s=2.0))
        file = tmp_path / "gatewatch.toml"
        file.write_text(CONFIG.format(base_url=gateway.base_url, period_s=PERIOD_S))
        environment = plain(tmp_path) | {
            "KEY_LOW": example_key("low"),
            "EMAIL_URL": mailbox.url,
            "GATEWATCH_MAIL_WAIT_S": str(MAIL_WAIT_S),
        }
        loaded = manage(environment, "load_config", str(file))
        assert loaded.returncode == 0, loaded.stderr
        up = Up(environment)
        try:
            yield Running(up, gateway, mailbox)
        finally:
            up.kill()


def job_workers(up: Up) -> list[int]:
    return [w for s in children(up.main_of("qcluster")) for w in children(s)]


def cluster(up: Up) -> list[int]:
    return [up.main_of("qcluster")]


def web_and_guards(up: Up) -> list[int]:
    master = up.main_of("gunicorn")
    return [master, *children(master)[:1], *up.groups()]


VICTIMS: tuple[Callable[[Up], list[int]], ...] = (
    job_workers,
    cluster,
    web_and_guards,
)


def test_no_outcome_is_doubled_and_the_mail_arrives_once(running: Running) -> None:
    up = running.up
    wait_for(lambda: running.mails("queued"), 30)

    for victims in VICTIMS:
        killed = victims(up)
        assert killed
        assert 0 not in killed
        kill(*killed)
        up.works_on(40)
    wait_for(lambda: running.mails("sent"), 30)
    wait_for(lambda: running.mailbox.messages, 5)

    assert running.mails("queued") == 0
    assert len(running.mailbox.messages) == 1, running.mailbox.ids
    assert "150 of 1,000 credits" in str(running.mailbox.messages[0]["Subject"])
    # A run that is late after a kill may be followed by the next one in its rhythm, half
    # a period later; one that was run twice would be followed at once.
    assert closest_outcomes(up) >= timedelta(seconds=PERIOD_S / 2 - 0.6)
    assert closest_requests(running.gateway) >= PERIOD_S / 2 - 0.6


def closest_outcomes(up: Up) -> timedelta:
    """Return the shortest time between two outcomes of one probe."""
    rows = up.rows(
        "SELECT probe_id, started_at FROM probes_outcome ORDER BY probe_id, started_at"
    )
    gaps = []
    for _, group in groupby(rows, key=lambda row: row[0]):
        starts = [datetime.fromisoformat(str(row[1])) for row in group]
        gaps += [later - earlier for earlier, later in pairwise(starts)]
    assert len(gaps) > 2 * len(VICTIMS)
    return min(gaps)


def closest_requests(gateway: RunningGateway) -> float:
    """Return the fewest seconds between two requests for the same thing."""
    seen = sorted((request.path, request.at_s) for request in gateway.requests)
    return min(
        later - earlier
        for (path, earlier), (next_path, later) in pairwise(seen)
        if path == next_path
    )
