"""Which claimed run the prober's threads take, and when."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings

from dashboard.pipeline import asks
from dashboard.pipeline.answers import Answer, Ask
from dashboard.pipeline.asks import prepare
from dashboard.pipeline.prober import Prober, _Claim
from dashboard.pipeline.recorder import Recorder
from dashboard.probes.breaker_store import TickBreakers
from dashboard.probes.claims import claim_due
from dashboard.probes.kinds import CHEAP
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import Spent
from dashboard.teams.models import Gateway, Team
from tests.factories import NOW, make_gateway, make_probe


def claim(number: int, start_s: float, gateway_id: int = 1) -> _Claim:
    """Return a claimed run that is answered without a gateway."""
    gateway = Gateway(pk=gateway_id, base_url="https://gw.example")
    probe = Probe(pk=number, gateway=gateway, kind=ProbeKind.HEALTH, period_s=60)
    ask = replace(prepare(probe, Spent()), problem="nobody is asked")
    return _Claim(start_s, probe, ask, TickBreakers(gateway_id))


def until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 2
    while not holds() and time.monotonic() < ends_at:
        time.sleep(0.001)


def test_a_run_that_is_due_waits_for_no_thread_that_sleeps_until_a_later_one() -> None:
    with Prober(Recorder(), CHEAP) as prober:
        until(lambda: len(prober._idle) == len(prober._threads))
        now_s = time.monotonic()
        prober._hand_out([claim(1, now_s + 0.5)])
        until(lambda: not prober._claimed)
        prober._hand_out([claim(2, now_s)])

        answers = [prober._answers.get(timeout=2)[1] for _ in range(2)]

    assert [answer and answer.ask.probe_id for answer in answers] == [2, 1]


def test_while_five_gateways_hang_there_is_a_thread_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One takes half of the threads, the next half of what is left, and so on.

    When all are held and their calls have become slow, one of the reserve is called.
    """
    ended, asked = threading.Event(), Counter[int]()

    def hang(ask: Ask, _: object) -> Answer:
        asked[ask.gateway_id] += 1
        if ask.gateway_id < 6:
            ended.wait(5)
        return unasked(ask, TickBreakers(1))

    unasked = asks.put
    monkeypatch.setattr("dashboard.pipeline.prober.put", hang)
    now_s = time.monotonic()
    with Prober(Recorder(), CHEAP) as prober:
        until(lambda: len(prober._idle) == len(prober._threads))
        for gateway_id in range(1, 6):
            prober._hand_out([claim(n, now_s, gateway_id) for n in range(20)])
            until(lambda: asked[gateway_id] == max(1, 16 >> gateway_id))  # noqa: B023
        hung = dict(asked)
        prober._hand_out([claim(1, now_s, 6)])
        assert prober._place() is None, "all sixteen threads are held"
        monkeypatch.setattr("dashboard.pipeline.prober._SLOW_AFTER_S", 0.0)
        prober._hand_out([])
        until(lambda: asked[6] == 1)
        found = asked[6]
        prober._claimed.clear()
        ended.set()

    assert settings.PROBE_THREADS == 16
    assert (hung, found) == ({1: 8, 2: 4, 3: 2, 4: 1, 5: 1}, 1)


@pytest.mark.django_db
def test_two_gateways_with_much_to_do_leave_claims_for_the_next() -> None:
    """After a restart each may have hundreds of overdue probes, and hang."""
    busy = make_gateway(), make_gateway()
    teams = [Team(gateway=one, team_id=f"team-{n}") for one in busy for n in range(250)]
    overdue = NOW - timedelta(minutes=5)
    Probe.objects.bulk_create(
        Probe(
            gateway=team.gateway,
            team=team,
            kind=ProbeKind.TEAM_STATUS,
            period_s=60,
            next_run=overdue,
        )
        for team in Team.objects.bulk_create(teams)
    )
    prober = Prober(Recorder(), CHEAP)

    prober._look(NOW, 0.0)
    claimed = [prober._running[each.pk] for each in busy]
    late = make_probe(next_run=NOW)
    prober._look(NOW, 1.0)

    assert claimed == [128, 64]
    assert prober._running[late.gateway_id] == 1
    assert prober._crowded, "the next look comes soon"


@pytest.mark.django_db
def test_what_came_too_late_to_its_thread_is_due_again_as_it_was() -> None:
    """Else the same few of a gateway's probes would run each time, while it hangs."""
    due = make_probe(next_run=NOW, period_s=60)
    [claimed] = claim_due(CHEAP, NOW, most=1)
    recorder = Recorder()
    late = claim(due.pk, time.monotonic() - 21)._replace(probe=claimed)
    with Prober(recorder, CHEAP) as prober:
        prober._hand_out([late])
        prober.drain()

    due.refresh_from_db()
    assert (due.next_run, due.leased_until) == (NOW, None)
    assert recorder.stored == 0


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
