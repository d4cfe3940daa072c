"""Workers that are killed in the middle of what they do leave no number wrong."""

import subprocess
import sys
import time
from datetime import timedelta
from random import Random

import pytest
from django.db import connection

from dashboard.probes.models import Outcome
from dashboard.rollups.models import Rollup
from dashboard.rollups.rebuild import check
from tests.factories import NOW, make_probe, make_team

WORKERS, ROUNDS = 3, 2


def start(seed: int) -> subprocess.Popen[str]:
    name = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-m", "tests.rollups.soak_worker", name, str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_rollups_equal_outcomes_after_workers_were_killed_at_random() -> None:
    draw = Random()  # noqa: S311 (any moment will do)
    team = make_team()
    for kind in ("team_status", "balance", "key_check"):
        make_probe(team, kind=kind)
    make_probe(gateway=team.gateway)

    for round_number in range(ROUNDS):
        workers = [start(10 * round_number + number) for number in range(WORKERS)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            time.sleep(draw.uniform(0.1, 0.5))
            worker.kill()
            worker.communicate()

    stored = Outcome.objects.count()
    assert stored > WORKERS * ROUNDS
    assert Rollup.objects.filter(level=86_400).exists()
    latest = Outcome.objects.latest("started_at").started_at
    assert list(check(NOW - timedelta(days=2), latest + timedelta(days=1))) == []
