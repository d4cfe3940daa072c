"""Which claimed run the prober's threads take, and when."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.conf import settings

from dashboard.pipeline import asks
from dashboard.pipeline.answers import Ask
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.prober import Prober, _Claim
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.breaker_store import TickBreakers
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import Spent
from dashboard.teams.models import Gateway, Team


def asked(number: int) -> Ask:
    """Return a question that is answered without a gateway."""
    gateway = Gateway(pk=1, base_url="https://gw.example")
    probe = Probe(pk=number, gateway=gateway, kind=ProbeKind.HEALTH, period_s=60)
    return replace(prepare(probe, Spent()), problem="nobody is asked")


def until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 2
    while not holds() and time.monotonic() < ends_at:
        time.sleep(0.001)


def test_a_run_that_is_due_waits_for_no_thread_that_sleeps_until_a_later_one() -> None:
    breakers = TickBreakers(1)
    with Prober(Recorder(), CHEAP) as prober:
        until(lambda: len(prober._idle) == settings.PROBE_THREADS)
        now_s = time.monotonic()
        prober._hand_out([_Claim(now_s + 0.5, asked(1), breakers)])
        until(lambda: not prober._claimed)
        prober._hand_out([_Claim(now_s, asked(2), breakers)])

        answers = [prober._answers.get(timeout=2)[1] for _ in range(2)]

    assert [answer and answer.ask.probe_id for answer in answers] == [2, 1]


def test_a_key_that_cannot_be_read_stops_its_own_probe_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise OSError("/run/secrets/acme: the disk is gone")

    monkeypatch.setattr(asks, "resolve", broken)
    gateway = Gateway(pk=1, base_url="https://gw.example")
    team = Team(pk=1, team_id="acme", gateway=gateway)
    probe = Probe(pk=1, gateway=gateway, team=team, kind=ProbeKind.BALANCE, period_s=60)

    ask = prepare(probe, Spent())

    assert ask.problem == "OSError while reading the key; see the log"
    assert not ask.capped
