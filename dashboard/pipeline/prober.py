"""A small pool of threads that runs probes, each at its due moment."""

import queue
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from heapq import heappop, heappush
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
_LOOK_EVERY_S = 0.5


class Prober:
    """Claim due probes of `kinds`, run them side by side, hand answers to `recorder`.

    The threads only talk to gateways; every query is made by the thread that owns this.
    A probe is claimed up to half a second ahead, and started at its due moment.
    One gateway holds at most half of the threads, so that a dead one, whose every probe
    takes its whole deadline, never starves the others.
    """

    def __init__(
        self,
        recorder: Recorder,
        kinds: Sequence[ProbeKind],
        *,
        most_per_gateway: int | None = None,
    ) -> None:
        self._recorder = recorder
        self._kinds = kinds
        self._threads = settings.PROBE_THREADS
        self._most = most_per_gateway or self._threads // 2
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="probe")
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        # By gateway, from the claim to the answer.
        self._running: Counter[int] = Counter()
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
        while free := self._threads - self._running.total():
            full = [g for g, count in self._running.items() if count >= self._most]
            # All of one claim may be one gateway's, even that which holds most already.
            held = max((n for n in self._running.values() if n < self._most), default=0)
            most = min(free, self._most - held)
            claimed = probes.claim_due(
                self._kinds,
                now,
                until=now + timedelta(seconds=_LOOK_EVERY_S),
                most=most,
                full_gateways=full,
            )
            self._prepare(claimed, now, now_s)
            if len(claimed) < most:
                self._crowded = bool(full)
                return
        self._crowded = True

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
        while self._claimed and self._claimed[0][0] <= time.monotonic():
            _, _, ask = heappop(self._claimed)
            run = self._pool.submit(put, ask, self._recorder.breakers(ask.gateway_id))
            run.add_done_callback(lambda done: self._answers.put(done.result()))

    def seconds_to_next(self) -> float:
        """Return how long there is nothing to do unless an answer comes."""
        return max(0.0, min(self._look_at - time.monotonic(), self._seconds_to_work()))

    def _seconds_to_work(self) -> float:
        wait_s = self._recorder.seconds_to_flush()
        if self._claimed:
            wait_s = min(wait_s, self._claimed[0][0] - time.monotonic())
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
        if self._crowded:
            self._look_at = 0.0
        self._recorder.add(answer)

    def drain(self) -> None:
        """Wait for every run in flight and store what they saw."""
        while self._running.total():
            self._start_claimed()
            self.wait(self._seconds_to_work())
            self._recorder.flush_at_last(timezone.now())
        self._recorder.flush_at_last(timezone.now())
