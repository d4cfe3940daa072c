"""A small pool of threads that run probes, each at its due moment."""

import queue
import threading
import time
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from math import inf
from operator import attrgetter
from types import TracebackType
from typing import NamedTuple, Self

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from dashboard.pipeline.answers import Answer, Ask
from dashboard.pipeline.asks import prepare, put
from dashboard.pipeline.recorder import FLUSH_AT, Recorder
from dashboard.probes import services as probes
from dashboard.probes.breaker_store import TickBreakers
from dashboard.probes.claims import (
    LEASE_MARGIN,
    claim_due,
    give_back,
    share,
    starts_at,
)
from dashboard.probes.kinds import PAID
from dashboard.probes.models import Probe, ProbeKind
from dashboard.probes.services import Spent

# One look claims what falls due until the next, so that many probes share one
# transaction; new and changed probes are seen this soon.
_LOOK_EVERY_S = 1.0
# While some were left out, for want of threads, the next look is this soon; at once
# where nothing is claimed ahead.
_LOOK_AGAIN_S = 0.1
# A call that has lasted so long gives its place to another, of so many threads more:
# where all gateways but one hang at once, that one is still asked.
_SLOW_AFTER_S = 1.0
_RESERVE = 16
# How many runs may be claimed beyond those that can have a thread.
_MOST_AHEAD = 240
# How late a claimed run may start: the margin of its lease.
_PATIENCE_S = LEASE_MARGIN.total_seconds()


class _Claim(NamedTuple):
    """A claimed run, and when it starts in seconds of the monotonic clock.

    A step of the other clock must not stop us.
    """

    start_s: float
    probe: Probe
    ask: Ask
    breakers: TickBreakers


class Prober:
    """Claim due probes of `kinds`, run them side by side, hand answers to `recorder`.

    The threads only talk to gateways; every query is made by the thread that owns this.
    A probe is claimed up to a second ahead. A thread takes the claimed run that is next,
    sleeps until its due moment, runs it and leaves its answer: the owner, which wakes
    once a second, is woken by none of it. As few threads as will do are awake, and the
    one that slept last is called first: whoever ran a moment ago runs cheaply.
    One gateway holds at most half of the threads, so that a dead one, whose every probe
    takes its whole deadline, never starves the others; and each at most half of those
    that the others leave, or a single one of the reserve where calls are slow. Claims
    are shared out like threads.
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
        self._threads = [
            threading.Thread(target=self._work, name=f"probe-{number}", daemon=True)
            for number in range(settings.PROBE_THREADS + _RESERVE)
        ]
        self._most = most_per_gateway or settings.PROBE_THREADS // 2
        self._claims_ahead = most_ahead > 0
        self._most_claimed = settings.PROBE_THREADS + most_ahead
        self._most_claimed_of_one = self._most + most_ahead
        # By gateway, from the claim until its answer was taken; only the owner counts.
        self._running: Counter[int] = Counter()
        # What was claimed and came too late to its thread.
        self._never_begun: list[Probe] = []
        # Guards what the threads change: everything down to `_over`.
        self._lock = threading.Lock()
        # What starts first comes first.
        self._claimed: list[_Claim] = []
        # By gateway: those that have a thread, and those of them that do not sleep any more.
        self._held: Counter[int] = Counter()
        self._busy: Counter[int] = Counter()
        # When the calls of those that do not sleep began; the first is the oldest.
        self._begun: list[float] = []
        # Until when threads sleep, each until its run is due; and the bells of those idle.
        self._watched: list[float] = []
        self._idle: list[threading.Event] = []
        self._over = False
        # None from a run that was too late to begin.
        self._answers: queue.SimpleQueue[tuple[Probe, Answer | None]] = (
            queue.SimpleQueue()
        )
        # Set when the owner should not sleep on.
        self._news = threading.Event()
        self._look_at = 0.0
        # Whether the last look may have left out probes that are due.
        self._crowded = not self._claims_ahead
        self._draining = False

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._over = True
            for bell in self._idle:
                bell.set()
        for thread in self._threads:
            thread.join()

    # The owner's thread.

    def start_due(self, now: datetime) -> None:
        """Claim what falls due until the next look, and hand it to the threads."""
        now_s = time.monotonic()
        if now_s >= self._look_at:
            self._look_at = now_s + _LOOK_EVERY_S
            self._look(now, now_s)

    def _look(self, now: datetime, now_s: float) -> None:
        self._give_back()
        with self._lock:
            # What has become slow since made room.
            self._call()
        left_out = not self._claims_ahead
        while room := self._most_claimed - self._running.total():
            taken = self._taken()
            left_out |= self._has_full(taken)
            claimed = claim_due(
                self._kinds,
                now,
                until=now + timedelta(seconds=_LOOK_EVERY_S),
                most=room,
                running=taken,
                most_per_gateway=self._most_claimed_of_one,
            )
            self._hand_out(self._prepared(claimed, now, now_s))
            gateway_ids = {probe.gateway_id for probe in claimed}
            has_full = self._has_full({pk: self._running[pk] for pk in gateway_ids})
            left_out |= has_full
            # One that has become full may have kept others out of this claim.
            if not claimed or (len(claimed) < room and not has_full):
                break
        self._crowded = left_out or not room

    def _give_back(self) -> None:
        if self._never_begun:
            give_back(self._never_begun)
            self._never_begun = []

    def _taken(self) -> dict[int, int]:
        """Return what each gateway has claimed: all that it may where it is behind."""
        most = self._most_claimed_of_one
        with self._lock:
            return {
                gateway_id: most if self._is_behind(gateway_id) else count
                for gateway_id, count in self._running.items()
            }

    def _has_full(self, taken: Mapping[int, int]) -> bool:
        """Say whether a gateway that has `taken` so many may claim no more."""
        left = self._most_claimed - self._running.total()
        most = self._most_claimed_of_one
        return any(count >= share(left + count, most) for count in taken.values())

    def _is_behind(self, gateway_id: int) -> bool:
        """Say whether all its threads are busy and as many runs wait, or more."""
        most = self._share(gateway_id)
        return self._busy[gateway_id] >= most and self._running[gateway_id] >= 2 * most

    def _share(self, gateway_id: int) -> int:
        """Return how many threads a gateway may have now."""
        left = settings.PROBE_THREADS - self._held.total() + self._held[gateway_id]
        return share(left, self._most)

    def _prepared(
        self, claimed: Sequence[Probe], now: datetime, now_s: float
    ) -> list[_Claim]:
        breakers = self._recorder.breakers({probe.gateway_id for probe in claimed})
        paid = [probe for probe in claimed if probe.kind in PAID]
        spent = probes.spent(paid, now) if paid else {}
        found = []
        for probe in claimed:
            start_s = now_s + (starts_at(probe) - now).total_seconds()
            ask = prepare(probe, spent.get(probe.pk, Spent()))
            if ask.capped:
                probes.note_capped([probe.pk], now)
            found.append(_Claim(start_s, probe, ask, breakers[ask.gateway_id]))
        return found

    def _hand_out(self, claims: Sequence[_Claim]) -> None:
        with self._lock:
            self._running.update(claim.ask.gateway_id for claim in claims)
            self._claimed.extend(claims)
            self._claimed.sort(key=attrgetter("start_s"))
            self._call()

    @property
    def is_busy(self) -> bool:
        """Whether any run is claimed whose answer has not been taken."""
        return self._running.total() > 0

    def seconds_to_next(self) -> float:
        """Return how long the owner has nothing to do unless there are news."""
        return max(0.0, self._look_at - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Wait `seconds`, or until there are news; take the answers that came."""
        self._news.wait(seconds)
        self._news.clear()
        try:
            while True:
                probe, answer = self._answers.get_nowait()
                self._running[probe.gateway_id] -= 1
                if answer is not None:
                    self._recorder.add(answer)
                else:
                    self._never_begun.append(probe)
                if self._crowded:
                    soon_s = _LOOK_AGAIN_S if self._claims_ahead else 0.0
                    self._look_at = min(self._look_at, time.monotonic() + soon_s)
        except queue.Empty:
            return

    def drain(self) -> None:
        """Wait for every run in flight and store what they saw."""
        self._draining = True
        self._recorder.flush_at_last(timezone.now())
        while self.is_busy:
            self.wait(_LOOK_EVERY_S)
            self._recorder.flush_at_last(timezone.now())
            # Without the database they wait until their leases end.
            with suppress(DatabaseError):
                self._give_back()

    # The probes' threads.

    def _work(self) -> None:
        bell = threading.Event()
        while (claim := self._next(bell)) is not None:
            began_s = self._begin(claim)
            # Too late its lease may be over, and another worker may have it.
            in_time = began_s - claim.start_s <= _PATIENCE_S
            answer = put(claim.ask, claim.breakers) if in_time else None
            self._answers.put((claim.probe, answer))
            self._end(claim.ask.gateway_id, began_s)

    def _next(self, bell: threading.Event) -> _Claim | None:
        """Return the next run when it is due; None when all is over."""
        while (claim := self._take(bell)) is None:
            if self._over:
                return None
            bell.wait()
        time.sleep(max(0.0, claim.start_s - time.monotonic()))
        return None if self._over else claim

    def _take(self, bell: threading.Event) -> _Claim | None:
        """Take the next claim; where there is none, be idle until the bell rings."""
        with self._lock:
            place = self._place()
            if place is None:
                bell.clear()
                self._idle.append(bell)
                return None
            claim = self._claimed.pop(place)
            self._held[claim.ask.gateway_id] += 1
            self._watched.append(claim.start_s)
            return claim

    def _place(self) -> int | None:
        """Return where the first claim is whose gateway may have another thread."""
        slow = bisect(self._begun, time.monotonic() - _SLOW_AFTER_S)
        if self._held.total() >= settings.PROBE_THREADS + slow:
            return None
        for place, claim in enumerate(self._claimed):
            gateway_id = claim.probe.gateway_id
            if self._held[gateway_id] < self._share(gateway_id):
                return place
        return None

    def _call(self) -> None:
        """Call an idle thread to the next claim, unless one wakes in time for it."""
        place = self._place() if self._idle else None
        if place is not None and self._claimed[place].start_s < min(
            self._watched, default=inf
        ):
            self._idle.pop().set()

    def _begin(self, claim: _Claim) -> float:
        with self._lock:
            began_s = time.monotonic()
            self._watched.remove(claim.start_s)
            self._busy[claim.ask.gateway_id] += 1
            self._begun.append(began_s)
            self._call()
        return began_s

    def _end(self, gateway_id: int, began_s: float) -> None:
        with self._lock:
            self._begun.remove(began_s)
            self._busy[gateway_id] -= 1
            self._held[gateway_id] -= 1
            ended = self._draining and not self._claimed and not self._held.total()
        if ended or self._crowded or self._answers.qsize() >= FLUSH_AT:
            self._news.set()
