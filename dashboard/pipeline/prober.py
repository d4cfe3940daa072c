"""A small pool of threads that runs probes, each at its due moment."""

import queue
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
from dashboard.probes.models import ProbeKind
from dashboard.probes.queries import spent_today

# One look claims what falls due until the next, so that many probes share one
# transaction; new and changed probes are seen this soon.
_LOOK_EVERY = timedelta(seconds=0.5)


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
        # A heap: what starts first comes first.
        self._claimed: list[tuple[datetime, int, Ask]] = []
        self._look_at: datetime | None = None
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
        if self._look_at is None or now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self._look(now)
        self._start_claimed(now)

    def _look(self, now: datetime) -> None:
        while free := self._threads - self._running.total():
            full = [g for g, count in self._running.items() if count >= self._most]
            # All of one claim may be one gateway's, even that which holds most already.
            held = max((n for n in self._running.values() if n < self._most), default=0)
            most = min(free, self._most - held)
            if self._claim(now, most=most, full=full) < most:
                self._crowded = bool(full)
                return
        self._crowded = True

    def _claim(self, now: datetime, *, most: int, full: Sequence[int]) -> int:
        claimed = probes.claim_due(
            self._kinds, now, until=now + _LOOK_EVERY, most=most, full_gateways=full
        )
        paid = [probe.pk for probe in claimed if probe.kind in PAID]
        spent = spent_today(paid, now) if paid else {}
        for probe in claimed:
            ask = prepare(probe, spent.get(probe.pk, 0.0))
            heappush(self._claimed, (probes.starts_at(probe), probe.pk, ask))
            self._running[probe.gateway_id] += 1
        return len(claimed)

    def _start_claimed(self, now: datetime) -> None:
        while self._claimed and self._claimed[0][0] <= now:
            _, _, ask = heappop(self._claimed)
            run = self._pool.submit(put, ask, self._recorder.breakers(ask.gateway_id))
            run.add_done_callback(lambda done: self._answers.put(done.result()))

    def seconds_to_next(self, now: datetime) -> float:
        """Return how long there is nothing to do unless an answer comes."""
        look_s = (self._look_at - now).total_seconds() if self._look_at else 0.0
        return max(0.0, min(look_s, self._seconds_to_work(now)))

    def _seconds_to_work(self, now: datetime) -> float:
        wait_s = self._recorder.seconds_to_flush()
        if self._claimed:
            wait_s = min(wait_s, (self._claimed[0][0] - now).total_seconds())
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
            self._look_at = None
        self._recorder.add(answer)

    def drain(self) -> None:
        """Wait for every run in flight and store what they saw."""
        while self._running.total():
            self._start_claimed(timezone.now())
            self.wait(self._seconds_to_work(timezone.now()))
            self._recorder.flush_at_last(timezone.now())
        self._recorder.flush_at_last(timezone.now())
