"""Ask and tell the breakers of one call, through any store, with compare-and-swap."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from apiclient import breaker
from apiclient.breaker import (
    Admit,
    BreakerPolicy,
    BreakerRow,
    BreakerState,
    BreakerStore,
    Pass,
    Result,
)
from apiclient.redact import redact
from apiclient.taxonomy import BreakerEffect

_TRIES = 8  # lost compare-and-swaps in a row before we give in to the others


@dataclass(frozen=True, slots=True)
class Ticket:
    """One breaker that let the call pass, and the row it was seen in."""

    key: str
    row: BreakerRow
    kind: Pass


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether an attempt may be sent; `held_s` is None when it may.

    `peek` says that a breaker is open and the attempt goes all the same, once.
    """

    tickets: tuple[Ticket, ...] = ()
    held_s: float | None = None
    peek: bool = False
    state: str = ""
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class _Held:
    seconds: float
    row: BreakerRow


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The breakers after a result: the route's state, and how long they would hold us.

    `may_retry` is false when the retry budget of the host is spent.
    """

    state: str = ""
    held_s: float = 0.0
    may_retry: bool = True


_ALL_CLOSED = Aftermath(BreakerState.CLOSED.value)


@dataclass(frozen=True, slots=True)
class Transition:
    """A breaker's change of state; `failures` in a row led to it, `reason` was the last."""

    key: str
    before: BreakerState
    after: BreakerState
    reason: str
    failures: int


class Gate:
    """The breakers of one client.

    `now` gives seconds since the epoch, `draw` a number on [0, 1). A store of None lets
    everything pass.
    """

    def __init__(
        self,
        store: BreakerStore | None,
        policy: BreakerPolicy,
        now: Callable[[], float],
        draw: Callable[[], float],
        on_change: Callable[[Transition], None] | None = None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._now = now
        self._draw = draw
        self._on_change = on_change

    def admit(self, keys: tuple[str, ...], mode: Admit) -> Admission:
        """Ask the breakers in turn; the first of `keys` gives the state that is shown."""
        if self._store is None:
            return Admission()
        now = self._now()
        tickets: list[Ticket] = []
        for key in keys:
            answer = self._admit_one(self._store, key, now, mode)
            if isinstance(answer, _Held):
                if tickets:
                    self.release(tuple(tickets))
                return _refusal(key, answer, now)
            tickets.append(answer)
        return Admission(
            tickets=tuple(tickets),
            peek=any(each.kind is Pass.PEEK for each in tickets),
            state=breaker.state(tickets[0].row, now).value if tickets else "",
        )

    def _admit_one(
        self, store: BreakerStore, key: str, now: float, mode: Admit
    ) -> Ticket | _Held:
        """Return a ticket, or for how many seconds the call is held."""
        row = breaker.CLOSED_ROW
        for _ in range(_TRIES):
            row = store.load(key)
            if breaker.is_untouched(row):
                return Ticket(key, row, Pass.PLAIN)
            decision = breaker.admit(row, now, self._policy, mode)
            if decision.new is not None and not store.swap(key, row, decision.new):
                continue
            if decision.held_s is not None:
                return _Held(decision.held_s, row)
            if decision.kind is Pass.TRIAL:
                self._tell(key, row, BreakerState.OPEN, BreakerState.HALF_OPEN)
            return Ticket(key, decision.new or row, decision.kind)
        return _Held(self._policy.open_s, row)

    def settle(
        self, tickets: tuple[Ticket, ...], results: tuple[Result, ...]
    ) -> Aftermath:
        """Tell each breaker its result, in the order of the keys."""
        if self._store is None or not tickets:
            return Aftermath()
        if self._policy.slow_s is None and all(
            result.effect is BreakerEffect.SUCCESS and breaker.is_untouched(ticket.row)
            for ticket, result in zip(tickets, results, strict=False)
        ):
            return _ALL_CLOSED
        now = self._now()
        rows = [
            self._settle_one(self._store, ticket, now, result)
            for ticket, result in zip(tickets, results, strict=False)
        ]
        held_s = max(breaker.open_until(row, now, self._policy) - now for row in rows)
        return Aftermath(breaker.state(rows[0], now).value, max(held_s, 0.0))

    def force(self, key: str, to: BreakerState | None) -> None:
        """Force a breaker open or closed, or let it go (None): it is closed then."""
        if self._store is None:
            raise ValueError("this client has no breakers")
        now = self._now()
        for _ in range(_TRIES):
            row = self._store.load(key)
            new = breaker.forced(row, to)
            if self._store.swap(key, row, new):
                before, after = breaker.state(row, now), breaker.state(new, now)
                self._tell(key, row, before, after)
                return
        raise RuntimeError(f"the breaker of {key} is changed too often; try again")

    def _tell(
        self, key: str, row: BreakerRow, before: BreakerState, after: BreakerState
    ) -> None:
        """Tell of a change that is stored by now; no lock is held."""
        if self._on_change is not None and before is not after:
            event = Transition(key, before, after, row.reason, row.failures)
            self._on_change(event)

    def release(self, tickets: tuple[Ticket, ...]) -> None:
        """Give back a half-open trial that was cancelled; no count changes."""
        self.settle(tickets, (Result(BreakerEffect.IGNORED),) * len(tickets))

    def _settle_one(
        self, store: BreakerStore, ticket: Ticket, now: float, result: Result
    ) -> BreakerRow:
        """Return the row as it is now.

        A closed breaker without failures that sees a success costs no store call: the row
        seen at admission says that there is nothing to write.
        """
        row = ticket.row
        for _ in range(_TRIES):
            new = breaker.settle(
                row,
                result,
                now=now,
                policy=self._policy,
                kind=ticket.kind,
                generation=ticket.row.generation,
                draw=self._draw(),
                trial_until=ticket.row.trial_until,
            )
            if new is None:
                return row
            if store.swap(ticket.key, row, new):
                if new.generation != row.generation:
                    told = new if new.open_until > 0 else row
                    before = breaker.state(row, now)
                    self._tell(ticket.key, told, before, breaker.state(new, now))
                return new
            row = store.load(ticket.key)
        return row


def _refusal(key: str, held: _Held, now: float) -> Admission:
    state = breaker.state(held.row, now).value
    return Admission(
        held_s=held.seconds, state=state, held_by=_held_by(key, state, held.row.reason)
    )


@lru_cache(maxsize=1024)
def _held_by(key: str, state: str, reason: str) -> str:
    """Return who holds a call, fit to be shown.

    Put into words once: redacting them costs more than the whole refusal.
    """
    after = f" after {reason}" if reason else ""
    return redact(f"the breaker of {key} is {state.replace('_', '-')}{after}")
