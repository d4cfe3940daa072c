"""A small pool of threads that runs probes, each at its due moment."""

import queue
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import inf
from types import TracebackType
from typing import Self

from django.conf import settings
from django.utils import timezone

from dashboard.pipeline.answers import Answer, Ask
from dashboard.pipeline.asks import prepare, put
from dashboard.pipeline.recorder import Recorder
from dashboard.probes import services as probes
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import Spent

# One look claims what falls due until the next, so that many probes share one
# transaction; new and changed probes are seen this soon.
_LOOK_EVERY_S = 1.0
# While some were left out, for want of threads, the next look is this soon.
_LOOK_AGAIN_S = 0.1
# How many runs may be claimed beyond those that can have a thread.
_MOST_AHEAD = 64
# How late a claimed run may start: the margin of its lease.
_PATIENCE_S = probes.LEASE_MARGIN.total_seconds()


class Prober:
    """Claim due probes of `kinds`, run them side by side, hand answers to `recorder`.

    The threads only talk to gateways; every query is made by the thread that owns this.
    A probe is claimed up to a second ahead, and started at its due moment.
    One gateway holds at most half of the threads, so that a dead one, whose every probe
    takes its whole deadline, never starves the others.
    """

    def __init__(
        self,
        recorder: Recorder,
        kinds: Sequence[ProbeKind],
        *,
        most_per_gateway: int | None = None,
        most_ahead: int = _MOST_AHEAD,
    ) -> None:
        self._recorder = recorder
        self._kinds = kinds
        self._threads = settings.PROBE_THREADS
        self._most = most_per_gateway or self._threads // 2
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="probe")
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._most_claimed = self._threads + most_ahead
        self._most_claimed_of_one = self._most + most_ahead
        # By gateway, from the claim to the answer; and those that have a thread.
        self._running: Counter[int] = Counter()
        self._busy: Counter[int] = Counter()
        # A heap: what starts first comes first. Its moments and that of the next look
        # are seconds of the monotonic clock: a step of the other must not stop us.
        self._claimed: list[tuple[float, int, Ask]] = []
        self._look_at = 0.0
        # Whether the last look left out probes that had no free thread.
        self._crowded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start_due(self, now: datetime) -> None:
        """Start the probes that are due, as many as have a free thread."""
        now_s = time.monotonic()
        if now_s >= self._look_at:
            self._look_at = now_s + _LOOK_EVERY_S
            self._look(now, now_s)
        self._start_claimed()

    def _look(self, now: datetime, now_s: float) -> None:
        while room := self._most_claimed - self._running.total():
            claimed = probes.claim_due(
                self._kinds,
                now,
                until=now + timedelta(seconds=_LOOK_EVERY_S),
                most=room,
                running=self._taken(),
                most_per_gateway=self._most_claimed_of_one,
            )
            self._prepare(claimed, now, now_s)
            # One that has become full may have kept others out of this claim.
            if not claimed or (len(claimed) < room and not self._is_full(claimed)):
                break
        self._crowded = not room or any(map(self._has_no_thread, self._busy))

    def _taken(self) -> dict[int, int]:
        """Return what each gateway has claimed: all that it may where it is slow."""
        most = self._most_claimed_of_one
        return {
            gateway_id: most if self._has_no_thread(gateway_id) else count
            for gateway_id, count in self._running.items()
        }

    def _is_full(self, claimed: Sequence[Probe]) -> bool:
        most = self._most_claimed_of_one
        return any(self._running[probe.gateway_id] >= most for probe in claimed)

    def _has_no_thread(self, gateway_id: int) -> bool:
        return self._busy[gateway_id] >= self._most

    def _prepare(self, claimed: Sequence[Probe], now: datetime, now_s: float) -> None:
        paid = [probe for probe in claimed if probe.kind in PAID]
        spent = probes.spent(paid, now) if paid else {}
        for probe in claimed:
            start_s = now_s + (probes.starts_at(probe) - now).total_seconds()
            ask = prepare(probe, spent.get(probe.pk, Spent()))
            if ask.capped:
                probes.note_capped([probe.pk], now)
            heappush(self._claimed, (start_s, probe.pk, ask))
            self._running[probe.gateway_id] += 1

    def _start_claimed(self) -> None:
        waiting = []
        while (
            self._claimed
            and self._busy.total() < self._threads
            and self._claimed[0][0] <= time.monotonic()
        ):
            claim = heappop(self._claimed)
            start_s, _, ask = claim
            if time.monotonic() - start_s > _PATIENCE_S:
                # Its lease may be over, and another worker may have it.
                self._running[ask.gateway_id] -= 1
            elif self._has_no_thread(ask.gateway_id):
                waiting.append(claim)
            else:
                self._start(ask)
        for claim in waiting:
            heappush(self._claimed, claim)

    def _start(self, ask: Ask) -> None:
        self._busy[ask.gateway_id] += 1
        run = self._pool.submit(put, ask, self._recorder.breakers(ask.gateway_id))
        run.add_done_callback(lambda done: self._answers.put(done.result()))

    def seconds_to_next(self) -> float:
        """Return how long there is nothing to do unless an answer comes."""
        return max(0.0, min(self._look_at - time.monotonic(), self._seconds_to_work()))

    def _seconds_to_work(self) -> float:
        wait_s = self._recorder.seconds_to_flush()
        if self._busy.total() < self._threads:
            starts = [
                start_s
                for start_s, _, ask in self._claimed
                if not self._has_no_thread(ask.gateway_id)
            ]
            wait_s = min(wait_s, min(starts, default=inf) - time.monotonic())
        return max(0.0, wait_s)

    def wait(self, seconds: float) -> None:
        """Wait for the first answer, at most `seconds`; take all that are there."""
        try:
            self._take(self._answers.get(timeout=seconds))
            while True:
                self._take(self._answers.get_nowait())
        except queue.Empty:
            return

    def _take(self, answer: Answer) -> None:
        self._running[answer.ask.gateway_id] -= 1
        self._busy[answer.ask.gateway_id] -= 1
        if self._crowded:
            self._look_at = min(self._look_at, time.monotonic() + _LOOK_AGAIN_S)
        self._recorder.add(answer)

    def drain(self) -> None:
        """Wait for every run in flight and store what they saw."""
        while self._running.total():
            self._start_claimed()
            self.wait(self._seconds_to_work())
            self._recorder.flush_at_last(timezone.now())
        self._recorder.flush_at_last(timezone.now())
