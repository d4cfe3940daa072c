"""A worker process of its own, for the tests in which several want the same thing.

    python -m tests.probes.worker DATABASE claim|lease

It says when it is ready, begins when it reads a line, and prints what it got as JSON.
"""

# ruff: noqa: E402 (models can only be imported once Django is set up)

import json
import os
import sys
from datetime import datetime, timedelta
from uuid import uuid4

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()


from django.db import connection, transaction

from dashboard.probes import claims, heartbeats, services
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Outcome
from tests.factories import NOW

ROUNDS = 4


def claim() -> list[tuple[int, str]]:
    """Claim and record all that is due in some rounds; return each probe and moment."""
    claimed = []
    for number in range(ROUNDS):
        now = NOW + timedelta(seconds=5 * number)
        while probes := claims.claim_due(CHEAP, now, most=4):
            runs = [(probe.pk, claims.starts_at(probe)) for probe in probes]
            claimed += [(pk, at.isoformat()) for pk, at in runs]
            with transaction.atomic():
                services.record([_outcome(pk, at) for pk, at in runs], now)
    return claimed


def _outcome(probe_id: int, at: datetime) -> Outcome:
    return Outcome(
        probe_id=probe_id, started_at=at, latency_us=1, elapsed_us=1, attempts=1
    )


def lease() -> bool:
    return heartbeats.lease("tick-0", uuid4(), NOW, 15)


def main() -> None:
    database, action = sys.argv[1:]
    connection.settings_dict["NAME"] = database
    connection.ensure_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    json.dump(claim() if action == "claim" else lease(), sys.stdout)


if __name__ == "__main__":
    main()
