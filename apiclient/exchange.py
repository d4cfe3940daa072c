"""The clock that travels with one request, and timeouts that know it.

httpcore hands a timeout to the network backend exactly as it came with the request. So
our timeouts are floats that know their exchange: each connect, read and write is cut to
what is left of it, and leaves its time there. A server that drips a byte at a time,
or sends 1xx answers for ever, thereby ends at the deadline.
"""

from collections.abc import Callable

import httpcore

from apiclient.report import Phases


class Exchange:
    """The clock of one request on the wire: its deadline, and when each phase ended.

    `deadline` and all moments are seconds of `clock`, which is monotonic.
    """

    __slots__ = (
        "began",
        "certificate_expires",
        "clock",
        "connected",
        "deadline",
        "ended",
        "first_byte",
        "on_begin",
        "secured",
        "sent",
    )

    def __init__(self, clock: Callable[[], float], timeout_s: float) -> None:
        self.clock = clock
        self.deadline = clock() + timeout_s
        self.began: float | None = None
        # Called once, when the request has got its connection; see AsyncWireTransport.
        self.on_begin: Callable[[], None] | None = None
        self.connected: float | None = None
        self.secured: float | None = None
        self.sent: float | None = None
        self.first_byte: float | None = None
        self.ended: float | None = None
        # Of the server's certificate: seconds since the epoch.
        self.certificate_expires: float | None = None

    def begin(self) -> None:
        """Note that the request has got its connection, and begins to use it."""
        if self.began is None:
            self.began = self.clock()
        told, self.on_begin = self.on_begin, None
        if told is not None:
            told()

    @property
    def reused(self) -> bool:
        """Whether the request went out on a connection that was already there."""
        return self.connected is None and self.sent is not None

    def begin_again(self) -> None:
        """Forget a try on a connection that the server had already closed."""
        self.began = self.connected = self.secured = self.sent = self.first_byte = None

    def latency_s(self) -> float:
        """Return the seconds from the first connect or write to the end."""
        ended = self.clock() if self.ended is None else self.ended
        return 0.0 if self.began is None else max(ended - self.began, 0.0)

    def phases(self) -> Phases:
        ended = self.clock() if self.ended is None else self.ended
        return Phases(
            connect_s=_between(self.began, self.connected),
            tls_s=_between(self.connected, self.secured),
            first_byte_s=_between(self.sent, self.first_byte),
            body_s=_between(self.first_byte, ended),
        )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(end - start, 0.0)


class Budget(float):
    """A timeout in seconds that knows its exchange."""

    __slots__ = ("exchange",)
    exchange: Exchange

    @classmethod
    def of(cls, seconds: float, exchange: Exchange) -> "Budget":
        budget = cls(seconds)
        budget.exchange = exchange
        return budget


def clamp(
    timeout: float | None, expired: type[httpcore.TimeoutException]
) -> tuple[float, Exchange]:
    """Return the seconds that are left, and the exchange; raise `expired` at zero.

    An exchange that ends before it began is our own congestion, not the gateway's.
    """
    if not isinstance(timeout, Budget):
        raise TypeError("the request came without the timeouts of an Exchange")
    exchange = timeout.exchange
    left_s = min(float(timeout), exchange.deadline - exchange.clock())
    if left_s <= 0 and exchange.began is None:
        raise httpcore.PoolTimeout("the deadline passed before anything was sent")
    if left_s <= 0:
        raise expired("the deadline passed")
    return left_s, exchange
