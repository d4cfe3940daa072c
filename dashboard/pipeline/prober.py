"""A small pool of threads that runs probes, each at its due moment."""

import queue
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType
from typing import Self

from django.conf import settings
from django.utils import timezone

from dashboard.pipeline.answers import Answer
from dashboard.pipeline.asks import prepare, put
from dashboard.pipeline.recorder import Recorder
from dashboard.probes import services as probes
from dashboard.probes.kinds import PAID
from dashboard.probes.models import ProbeKind
from dashboard.probes.queries import spent_today

# New and changed probes are seen this soon; waking seldom saves more than it delays.
_LONGEST_WAIT_S = 0.5
_SHORTEST_WAIT_S = 0.05


class Prober:
    """Claim due probes of `kinds`, run them side by side, hand answers to `recorder`.

    The threads only talk to gateways; every query is made by the thread that owns this.
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
        self._running: Counter[int] = Counter()

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
        while free := self._threads - self._running.total():
            due_at = probes.next_due(self._kinds)
            if due_at is None or due_at > now:
                return
            full = [g for g, count in self._running.items() if count >= self._most]
            # One at a time where a gateway may only have one, to count it at once.
            most = min(free, self._most)
            if not self._start(now, most=most, full=full):
                return

    def _start(self, now: datetime, *, most: int, full: Sequence[int]) -> bool:
        claimed = probes.claim_due(self._kinds, now, most=most, full_gateways=full)
        paid = [probe.pk for probe in claimed if probe.kind in PAID]
        spent = spent_today(paid, now) if paid else {}
        for probe in claimed:
            ask = prepare(probe, spent.get(probe.pk, 0.0))
            breakers = self._recorder.breakers(probe.gateway_id)
            self._running[probe.gateway_id] += 1
            run = self._pool.submit(put, ask, breakers)
            run.add_done_callback(lambda done: self._answers.put(done.result()))
        return bool(claimed)

    def seconds_to_next(self, now: datetime) -> float:
        """Return how long there is nothing to do unless an answer comes."""
        due_at = probes.next_due(self._kinds)
        wait_s = min(self._recorder.seconds_to_flush(), _LONGEST_WAIT_S)
        if due_at is not None and due_at > now:
            wait_s = min(wait_s, (due_at - now).total_seconds())
        return max(wait_s, _SHORTEST_WAIT_S)

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
        self._recorder.add(answer)

    def drain(self) -> None:
        """Wait for every run in flight and store what they saw."""
        while self._running.total():
            self.wait(self._recorder.seconds_to_flush() + _SHORTEST_WAIT_S)
            self._recorder.flush_at_last(timezone.now())
        self._recorder.flush_at_last(timezone.now())
