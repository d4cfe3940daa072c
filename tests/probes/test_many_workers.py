"""Several worker processes claim from one database at once."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from django.db import connection

from tests.factories import NOW, make_probe

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
WORKERS, PROBES = 3, 30


def at_once(action: str) -> list[object]:
    """Let some workers do it at the same moment; return what each of them got."""
    name = str(connection.settings_dict["NAME"])
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.probes.worker", name, action],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * WORKERS
    return answers


def test_no_run_is_claimed_twice() -> None:
    probes = {make_probe(period_s=5, next_run=NOW).pk for _ in range(PROBES)}

    shares = at_once("claim")

    runs = Counter(
        (pk, at) for share in shares if isinstance(share, list) for pk, at in share
    )
    assert {pk for pk, _ in runs} == probes
    assert set(runs.values()) == {1}


def test_a_lease_has_one_taker() -> None:
    assert sorted(map(bool, at_once("lease"))) == [False, False, True]
