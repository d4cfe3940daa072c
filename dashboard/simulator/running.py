"""Run the stand-in in a thread of this process, as tests want it."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from time import monotonic as process_monotonic

from dashboard.simulator.faults import Fault, FaultKind, Standing
from dashboard.simulator.gateway import ADMIN_KEY, Gateway, Seen
from dashboard.simulator.latency import AT_ONCE, Latency
from dashboard.simulator.server import KEEP_ALIVE_S, Server, utc_now
from dashboard.simulator.world import Team

_START_S = 10.0


class RunningGateway:
    """A gateway that listens, to be used from any thread.

    `requests` is the bounded log of what arrived, control requests left out.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self.gateway = server.gateway

    @property
    def base_url(self) -> str:
        return self._server.base_url

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def requests(self) -> deque[Seen]:
        return self.gateway.requests

    def team(self, team_id: str) -> Team:
        """Return a team, to read or to change. Raises KeyError for an unknown one."""
        return self.gateway.team(team_id)

    def faults(self) -> list[Standing]:
        return self.gateway.faults()

    def set_fault(self, fault: Fault) -> None:
        """Switch a fault on; it holds for the next request when this returns."""
        self.gateway.set_fault(fault)
        self._follow(listening_changed=fault.kind is FaultKind.REFUSE)

    def clear_fault(self, name: str) -> bool:
        """Switch a fault off by its name; tell whether it stood."""
        found = self.gateway.clear_fault(name)
        self._follow(listening_changed=found)
        return found

    def clear_faults(self) -> None:
        self.gateway.clear_faults()
        self._follow(listening_changed=True)

    def _follow(self, *, listening_changed: bool) -> None:
        if listening_changed:
            asyncio.run_coroutine_threadsafe(
                self._server.look_at_faults(), self._loop
            ).result(_START_S)


@contextmanager
def running_gateway(
    teams: Sequence[Team | str] = ("acme",),
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    latency: Latency = AT_ONCE,
    seed: int = 1,
    admin_key: str = ADMIN_KEY,
    monotonic: Callable[[], float] = process_monotonic,
    now: Callable[[], datetime] = utc_now,
    keep_alive_s: float = KEEP_ALIVE_S,
) -> Iterator[RunningGateway]:
    """Run a gateway on an ephemeral loopback port until the block ends.

    A team given by its id alone is active, with 1000 credits and `example_key(id)`.
    """
    gateway = Gateway(
        [Team(one) if isinstance(one, str) else one for one in teams],
        monotonic=monotonic,
        now=now,
        seed=seed,
        latency=latency,
        admin_key=admin_key,
    )
    server = Server(gateway, host=host, port=port, now=now, keep_alive_s=keep_alive_s)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulated-gateway")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(_START_S)
        yield RunningGateway(server, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
