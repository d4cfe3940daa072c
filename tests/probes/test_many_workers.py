"""Several worker processes claim from one database at once."""

import json
from collections import Counter

import pytest

from tests.at_once import at_once
from tests.factories import NOW, make_probe

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
WORKERS, PROBES = 3, 30


def answers(action: str) -> list[object]:
    """Let some workers do it at the same moment; return what each of them got."""
    program = ("-m", "tests.probes.worker")
    return [json.loads(each) for each in at_once(WORKERS, *program, arguments=[action])]


def test_no_run_is_claimed_twice() -> None:
    probes = {make_probe(period_s=5, next_run=NOW).pk for _ in range(PROBES)}

    shares = answers("claim")

    runs = Counter(
        (pk, at) for share in shares if isinstance(share, list) for pk, at in share
    )
    assert {pk for pk, _ in runs} == probes
    assert set(runs.values()) == {1}


def test_a_lease_has_one_taker() -> None:
    assert sorted(map(bool, answers("lease"))) == [False, False, True]
