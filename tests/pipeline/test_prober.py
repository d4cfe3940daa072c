"""Which claimed run the prober's threads take, and when."""

import time
from collections.abc import Callable
from dataclasses import replace

from django.conf import settings

from dashboard.pipeline.answers import Ask
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.prober import Prober, _Claim
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.breaker_store import TickBreakers
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import Spent
from dashboard.teams.models import Gateway


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

        first = prober._answers.get(timeout=2)
        second = prober._answers.get(timeout=2)

    assert (first.ask.probe_id, second.ask.probe_id) == (2, 1)
