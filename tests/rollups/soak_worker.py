"""Stores results as fast as it can until it is killed, each flush minutes of time.

    python -m tests.rollups.soak_worker DATABASE SEED

Results come late, out of order and from all probes; it says when it is ready.
"""

# ruff: noqa: E402 (models can only be imported once Django is set up)

import os
import sys
from datetime import datetime, timedelta
from random import Random

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.db import DatabaseError, connection

from apiclient import ErrorClass
from dashboard.pipeline.answers import Answer, own_fault
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.models import Outcome, Probe
from dashboard.probes.services import Spent
from tests.factories import NOW

_CLASSES = ["", "", "", "timeout", "server_error", "breaker_held"]


def main() -> None:
    connection.settings_dict["NAME"] = sys.argv[1]
    draw = Random(int(sys.argv[2]))  # noqa: S311 (not a secret)
    probes = list(Probe.objects.select_related("gateway", "team"))
    recorder, now = Recorder(), NOW
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        now += timedelta(seconds=draw.uniform(1, 300))
        for _ in range(draw.randint(1, 12)):
            recorder.add(_answer(draw.choice(probes), now, draw))
        try:
            recorder.flush(now)
        except DatabaseError:
            connection.close()


def _answer(probe: Probe, now: datetime, draw: Random) -> Answer:
    at = now - timedelta(seconds=draw.expovariate(1 / 200))
    outcome = Outcome(
        probe_id=probe.pk,
        started_at=at,
        latency_us=int(draw.lognormvariate(11, 1)),
        elapsed_us=60_000,
        connect_us=900,
        first_byte_us=draw.choice([None, 10_000]),
        attempts=draw.randint(1, 2),
        error_class=draw.choice(_CLASSES),
    )
    ask = prepare(probe, Spent())
    report = own_fault(ask, ErrorClass.INTERNAL, "not looked at", at)
    return Answer(ask, report, outcome, None)


if __name__ == "__main__":
    main()
